/** Shapes, and the laws of symbolic extents. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  affineExtent,
  bindExtent,
  checkedShape,
  checkedSize,
  type Extent,
  isConcrete,
  multiplyExtents,
  opaqueSymbol,
  sameShape,
  scaledExtent,
  showShape,
  sizeOf,
  stridesOf,
} from '../../lib/tensor/shape.js';
import { expectRefusal } from '../cases/refusal.js';

/** One ⌊(x + add) / divide⌋. */
const step = fc.record({ add: fc.integer({ min: -20, max: 20 }), divide: fc.integer({ min: 1, max: 7 }) });
const extent = fc.integer({ min: 0, max: 5000 });
const chain = (x: Extent, steps: readonly { add: number; divide: number }[]): Extent =>
  steps.reduce((e, { add, divide }) => affineExtent(e, add, divide), x);

describe('symbolic extents', () => {
  it.each([
    [[], 'H'],
    [[[2, 1]], 'H+2'],
    [[[-2, 1]], 'H-2'],
    [[[1, 2]], '(H+1)//2'],
    [[[0, 2]], '(H)//2'],
    [
      [
        [1, 2],
        [-1, 1],
      ],
      '(H-1)//2',
    ],
    [
      [
        [1, 2],
        [1, 2],
      ],
      '(H+3)//4',
    ],
    [
      [
        [-3, 1],
        [3, 1],
      ],
      'H',
    ],
  ] as [[number, number][], string][])('write %j as %s', (steps, text) => {
    expect(
      chain(
        'H',
        steps.map(([add, divide]) => ({ add, divide })),
      ),
    ).toBe(text);
  });

  it('obey ⌊(⌊(x + a) / m⌋ + b) / n⌋ = ⌊(x + a + m·b) / (m·n)⌋', () => {
    fc.assert(
      fc.property(extent, step, step, (x, { add: a, divide: m }, { add: b, divide: n }) => {
        expect(affineExtent(affineExtent(x, a, m), b, n)).toBe(affineExtent(x, a + m * b, m * n));
        expect(affineExtent(affineExtent('H', a, m), b, n)).toBe(affineExtent('H', a + m * b, m * n));
      }),
    );
  });

  it('become, once bound, what the number would have become', () => {
    fc.assert(
      fc.property(extent, fc.array(step, { maxLength: 5 }), (x, steps) => {
        expect(bindExtent(chain('H', steps), new Map([['H', x]]))).toBe(chain(x, steps));
      }),
    );
  });

  it('go through opaque symbols as through names', () => {
    const opaque = scaledExtent('H', 2, 1);
    expect(opaque).toBe('{H*2+1}');
    fc.assert(
      fc.property(extent, fc.array(step, { maxLength: 4 }), (x, steps) => {
        expect(bindExtent(chain(opaque, steps), new Map([['{H*2+1}', x]]))).toBe(chain(x, steps));
      }),
    );
  });

  it('stay unknown where a symbol is not bound', () => {
    expect(bindExtent('(W+1)//2', new Map([['H', 3]]))).toBeUndefined();
    expect(
      bindExtent(
        opaqueSymbol('H+W'),
        new Map([
          ['H', 3],
          ['W', 4],
        ]),
      ),
    ).toBeUndefined();
    expect(bindExtent(7, new Map())).toBe(7);
  });

  it('scale and multiply where that says something, and are opaque otherwise', () => {
    expect([
      scaledExtent(5, 2, -1),
      scaledExtent('H', 1, 3),
      scaledExtent('H', 2, 0),
      scaledExtent('H', 2, -1),
    ]).toEqual([9, 'H+3', '{H*2}', '{H*2-1}']);
    expect([
      multiplyExtents(3, 4),
      multiplyExtents(1, 'H'),
      multiplyExtents('H', 1),
      multiplyExtents('H', 'W'),
    ]).toEqual([12, 'H', 'H', '{H*W}']);
  });
});

describe('checkedShape', () => {
  it('copies what is a shape', () => {
    const shape = [2, 0, 3];
    expect(checkedShape(shape, 'test')).toEqual(shape);
    expect(checkedShape(shape, 'test')).not.toBe(shape);
    expect(checkedShape([], 'test')).toEqual([]);
  });

  it.each([
    ['a negative extent', [2, -1], '[ 2, -1 ]'],
    ['a fraction', [1.5], '[ 1.5 ]'],
    ['NaN', [NaN], '[ NaN ]'],
    ['infinity', [Infinity], '[ Infinity ]'],
    ['a bigint', [2n], '[ 2n ]'],
    ['text', ['2'], "[ '2' ]"],
    ['a number alone', 3, '3'],
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['an object', { length: 1 }, '{ length: 1 }'],
  ])('refuses %s', (_, shape, shown) => {
    expectRefusal(
      () => checkedShape(shape, 'test'),
      'ERR_SHAPE',
      `test: shape expects up to 32 non-negative whole numbers, got ${shown}`,
    );
  });

  it('refuses too many axes in a short message of one line', () => {
    expectRefusal(
      () => checkedShape(new Array(33).fill(1), 'test'),
      'ERR_SHAPE',
      'test: shape expects up to 32 non-negative whole numbers, got [ 1, 1, 1, 1, 1, ... 28 more items ]',
    );
  });

  it('refuses sizes that a float64 cannot count, unless an axis is empty', () => {
    const shape = [2 ** 30, 2 ** 30];
    expectRefusal(
      () => checkedShape(shape, 'test'),
      'ERR_LIMIT',
      'test: shape [1073741824,1073741824] has more than 2^53 elements',
    );
    expectRefusal(() => checkedSize([...shape, 0], 'test'), 'ERR_LIMIT', /more than 2\^53 elements/);
    expect(checkedSize([3, 0, 5], 'test')).toBe(0);
    expect(checkedSize([3, 5], 'test')).toBe(15);
  });
});

test('sizes, strides and equality of shapes follow row-major order', () => {
  expect([sizeOf([]), sizeOf([2, 3, 4]), sizeOf([2, 0])]).toEqual([1, 24, 0]);
  expect(stridesOf([2, 3, 4])).toEqual([12, 4, 1]);
  expect([sameShape([2, 'H'], [2, 'H']), sameShape([2, 'H'], [2, 'W']), sameShape([2], [2, 1])]).toEqual([
    true,
    false,
    false,
  ]);
  expect([isConcrete([2, 3]), isConcrete([2, 'H'])]).toEqual([true, false]);
  expect([showShape([1, 'N', 3]), showShape(null)]).toEqual(['[1,N,3]', 'none']);
});

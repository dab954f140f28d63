/** Shapes: checked, compared, shown. */
import { describe, expect, it, test } from 'vitest';
import { symbolic } from '../../lib/tensor/extent.js';
import {
  checkedShape,
  checkedSize,
  isConcrete,
  sameShape,
  showShape,
  sizeOf,
  stridesOf,
} from '../../lib/tensor/shape.js';
import { expectRefusal } from '../cases/refusal.js';

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
  const [H, W] = [symbolic('H'), symbolic('W')];
  expect([sameShape([2, H], [2, symbolic('H')]), sameShape([2, H], [2, W]), sameShape([2], [2, 1])]).toEqual([
    true,
    false,
    false,
  ]);
  expect([isConcrete([2, 3]), isConcrete([2, H])]).toEqual([true, false]);
  expect([showShape([1, symbolic('N'), 3]), showShape(null)]).toEqual(['[1,N,3]', 'none']);
});

import { inspect } from 'node:util';
import { describe, expect, it, test, vi } from 'vitest';
import { Linear } from '../../lib/nn/layers/linear.js';
import { type DType, dtypes, isDType, isFloatDType, storageLength } from '../../lib/tensor/dtype.js';
import { rand, randn } from '../../lib/tensor/random.js';
import { full, ones, Tensor, tensor, zeros } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';

const names = Object.keys(dtypes) as DType[];
const numeric = names.filter((dtype) => dtypes[dtype].number !== undefined);

describe('a new tensor', () => {
  it.each(names)('of %s holds zeros of the length the format needs', (dtype) => {
    const t = new Tensor(dtype, [3, 5]);
    expect(t.data).toBeInstanceOf(dtypes[dtype].array);
    expect(t.data.byteLength).toBe(Math.ceil((15 * dtypes[dtype].bits) / 8));
    expect(t.data.every((element) => Number(element) === 0)).toBe(true);
  });

  it('wraps the array it is given and owns its shape', () => {
    const [data, shape] = [Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]];
    const t = new Tensor('float32', shape, data);
    shape[0] = 9;
    expect(t.data).toBe(data);
    expect(t.shape).toEqual([2, 3]);
    expect(Object.isFrozen(t.shape)).toBe(true);
    expect(t.size).toBe(6);
  });

  it('may be a scalar or empty', () => {
    expect(new Tensor('float32', []).size).toBe(1);
    expect(new Tensor('float32', [4, 0]).data.length).toBe(0);
  });

  it('is refused for an unknown format', () => {
    expectRefusal(
      () => new Tensor('float31' as 'float32', [1]),
      'ERR_INPUT',
      /^tensor: dtype expects one of float64, float32, .*, got 'float31'$/,
    );
    expectRefusal(() => new Tensor('toString' as 'float32', [1]), 'ERR_INPUT', /^tensor: dtype .*, got 'toString'$/);
    expectRefusal(() => new Tensor(undefined as never, [1]), 'ERR_INPUT', /^tensor: dtype .*, got undefined$/);
    expectRefusal(() => ones([1]).to('float31' as never), 'ERR_INPUT', /^to: dtype .*, got 'float31'$/);
  });

  it('is refused for an array of another kind', () => {
    const refused = (data: unknown, shown: string): void =>
      expectRefusal(
        () => new Tensor('float32', [2], data as never),
        'ERR_INPUT',
        `tensor: float32 expects a Float32Array, got ${shown}`,
      );
    refused(new Float64Array(2), 'Float64Array(2) [ 0, 0 ]');
    refused([1, 2], '[ 1, 2 ]');
    refused(5, '5');
    refused(null, 'null');
  });

  it('is refused for an array of another length', () => {
    expectRefusal(
      () => new Tensor('float32', [2, 3], new Float32Array(5)),
      'ERR_SHAPE',
      'tensor: shape [2,3] expects 6 Float32Array elements, got 5',
    );
    expectRefusal(
      () => new Tensor('float4_e2m1fn', [5], new Uint8Array(2)),
      'ERR_SHAPE',
      'tensor: shape [5] expects 3 Uint8Array elements, got 2',
    );
  });

  it('is refused with a code when memory cannot be had', () => {
    class NoMemory extends Float64Array {
      constructor() {
        super(2 ** 53);
      }
    }
    vi.spyOn(dtypes.float64, 'array', 'get').mockReturnValue(NoMemory as never);
    try {
      expectRefusal(() => new Tensor('float64', [2, 3]), 'ERR_OOM', 'tensor: no memory for float64 [2,3]');
    } finally {
      vi.restoreAllMocks();
    }
  });

  it('is refused before memory is asked for where nobody can mean its size', () => {
    const message = (shape: string): string => `tensor: shape ${shape} has more than 2^31 - 1 elements`;
    expectRefusal(() => new Tensor('float64', [2 ** 50]), 'ERR_LIMIT', message('[1125899906842624]'));
    for (const make of [zeros, ones, randn, rand])
      expectRefusal(() => make([2 ** 16, 2 ** 15]), 'ERR_LIMIT', message('[65536,32768]'));
    expectRefusal(() => new Linear(2 ** 24, 2 ** 24), 'ERR_LIMIT', message('[16777216,16777216]'));
    expect(new Tensor('uint8', [0, 2 ** 40]).size).toBe(0);
  });
});

describe('reshape', () => {
  const t = tensor([1, 2, 3, 4, 5, 6], [2, 3]);

  it('shows the same memory under another shape', () => {
    const r = t.reshape([3, -1]);
    expect([r.shape, t.reshape([6]).shape, t.reshape([1, -1, 3]).shape]).toEqual([[3, 2], [6], [1, 2, 3]]);
    expect(r.data).toBe(t.data);
  });

  it('of an empty tensor stays empty', () => {
    expect(zeros([0, 4]).reshape([-1, 2]).shape).toEqual([0, 2]);
    expect(zeros([0, 4]).reshape([5, 0]).shape).toEqual([5, 0]);
  });

  it.each([
    [[4], 'reshape: [2,3] cannot become [4]'],
    [[4, -1], 'reshape: [2,3] cannot become [4,-1]'],
    [[-1, -1], 'reshape: [2,3] cannot become [-1,-1]'],
    [[0, -1], 'reshape: [2,3] cannot become [0,-1]'],
    [[-2, 3], 'reshape: shape expects up to 32 non-negative whole numbers, got [ -2, 3 ]'],
    [6 as never, 'reshape: shape expects up to 32 non-negative whole numbers, got 6'],
  ])('to %j is refused', (shape, message) => {
    expectRefusal(() => t.reshape(shape), 'ERR_SHAPE', message);
  });
});

describe('to', () => {
  it.each(numeric.flatMap((from) => numeric.map((to) => [from, to] as const)))(
    'turns %s into %s and keeps small whole numbers',
    (from, to) => {
      const t = tensor([0, 1, 1, 0], [2, 2], from);
      const converted = t.to(to);
      expect(converted.dtype).toBe(to);
      expect(converted.shape).toEqual([2, 2]);
      expect(converted.toArray()).toEqual([
        [0, 1],
        [1, 0],
      ]);
      expect(converted.data.buffer).not.toBe(t.data.buffer);
    },
  );

  it('cuts fractions towards zero, and NaN and infinities to 0, for integers', () => {
    const t = tensor([2.7, -2.7, NaN, Infinity, -Infinity]);
    for (const dtype of ['int64', 'int32', 'int16', 'int8'] as const)
      expect(t.to(dtype).toArray()).toEqual([2, -2, 0, 0, 0]);
  });

  it('rounds to float32 and to sixteen bits', () => {
    expect(tensor([0.1], [1], 'float64').to('float32').data[0]).toBe(Math.fround(0.1));
    expect(tensor([0.1], [1], 'float64').to('float16').toArray()).toEqual([0.0999755859375]);
    expect(tensor([0.1], [1], 'float64').to('bfloat16').toArray()).toEqual([0.10009765625]);
  });

  it('takes everything but zero for true', () => {
    expect([...tensor([0, -0, 0.5, -3, NaN]).to('bool').data]).toEqual([0, 0, 1, 1, 1]);
  });

  it.each(names.filter((dtype) => !numeric.includes(dtype)))(
    'neither reads nor writes %s, which is only carried',
    (dtype) => {
      const message = `tensor: ${dtype} is stored and carried, but not converted`;
      expectRefusal(() => new Tensor(dtype, [2]).to('float32'), 'ERR_UNSUPPORTED', message);
      expectRefusal(() => tensor([1, 2]).to(dtype), 'ERR_UNSUPPORTED', message);
      expect(new Tensor(dtype, [2]).to(dtype).dtype).toBe(dtype);
    },
  );
});

describe('tensor()', () => {
  it('finds the shape in nested lists', () => {
    const t = tensor([
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
    ]);
    expect([t.dtype, t.shape, [...t.data]]).toEqual(['float32', [1, 2, 3], [1, 2, 3, 4, 5, 6]]);
    expect(t.toArray()).toEqual([
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
    ]);
  });

  it('takes a number, a flat list with a shape, or a typed array', () => {
    expect(tensor(5).shape).toEqual([]);
    expect(tensor(5).toArray()).toBe(5);
    expect(tensor([1, 2, 3, 4], [2, 2]).toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(tensor(Int16Array.of(1, -2), [2, 1], 'float64').toArray()).toEqual([[1], [-2]]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
  });

  it.each([
    ['too few in a row', [[1, 2], [3]], '[2,2]'],
    ['too many in a row', [[1], [2, 3]], '[2,1]'],
    ['unequal rows whose total fits', [[1, 2], [3], [4, 5, 6]], '[3,2]'],
    [
      'unequal depth',
      [
        [1, 2],
        [[3], 4],
      ],
      '[2,2]',
    ],
    ['a number among lists', [[1], 2], '[2,1]'],
    ['text', [1, '2'], '[2]'],
    ['a hole', Object.assign(new Array(3), { 0: 1, 2: 3 }), '[3]'],
    ['nothing', undefined, '[]'],
    ['null', null, '[]'],
  ])('refuses %s', (_, values, shape) => {
    const message = `tensor: expects numbers in lists of equal length and depth, as the first branch ${shape}`;
    expectRefusal(() => tensor(values as never), 'ERR_SHAPE', message);
  });

  it('copies a typed array as memory, however many numbers it holds, not number by number', () => {
    const values = Float32Array.of(0.1, -0, NaN, 1e38);
    values[Symbol.iterator] = () => {
      throw new Error('read as a list');
    };
    const copy = tensor(values);
    expect([...copy.data.slice(0, 2), copy.data[3]]).toEqual([Math.fround(0.1), -0, Math.fround(1e38)]);
    expect(copy.data[2]).toBeNaN();
    expect(copy.data.buffer).not.toBe(values.buffer);
    expect(tensor(new Uint8Array(0)).shape).toEqual([0]);
  });

  it.each([
    ['DataView', new DataView(new ArrayBuffer(8))],
    ['BigInt64Array', new BigInt64Array(2)],
    ['BigUint64Array', new BigUint64Array(0)],
  ])('refuses a %s, which holds no numbers', (kind, values) => {
    expectRefusal(
      () => tensor(values as never),
      'ERR_INPUT',
      `tensor: expects a typed array of numbers, got a ${kind}`,
    );
  });

  it('refuses nesting deeper than a tensor may be, without overflowing the stack', () => {
    let values: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) values = [values];
    expectRefusal(() => tensor(values as never), 'ERR_SHAPE', /^tensor: shape expects up to 32/);
  });

  it('refuses a shape of another size', () => {
    expectRefusal(
      () => tensor([1, 2, 3], [2, 2]),
      'ERR_SHAPE',
      'tensor: shape [2,2] expects 4 Float64Array elements, got 3',
    );
  });
});

test('zeros, ones and full fill every format that has numbers', () => {
  for (const dtype of numeric) {
    expect(zeros([2], dtype).toArray()).toEqual([0, 0]);
    expect(ones([2], dtype).toArray()).toEqual([1, 1]);
    expect(full([2], 1, dtype).toArray()).toEqual([1, 1]);
  }
  expect(full([2], 0.5).toArray()).toEqual([0.5, 0.5]);
});

test('a clone has its own memory', () => {
  const t = tensor([1, 2]);
  const copy = t.clone();
  copy.data[0] = 9;
  expect(t.toArray()).toEqual([1, 2]);
});

test('a tensor prints as its format and shape, with the first values', () => {
  expect(String(zeros([2, 3]))).toBe('Tensor(float32, [2,3])');
  expect(inspect(tensor([1, 2]))).toBe('Tensor(float32, [2]) Float32Array(2) [ 1, 2 ]');
  expect(inspect(zeros([50, 50])).length).toBeLessThan(200);
});

test('the table of formats knows its names, and how many elements of the array a size takes', () => {
  expect([isDType('bfloat16'), isDType('float'), isDType('__proto__'), isDType(3)]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect(names.filter(isFloatDType)).toEqual(['float64', 'float32', 'float16', 'bfloat16']);
  expect([storageLength('float32', 5), storageLength('float4_e2m1fn', 5), storageLength('float6_e2m3fn', 5)]).toEqual([
    5, 3, 4,
  ]);
  expect(storageLength('complex64', 5)).toBe(40);
});

import { describe, expect, it, test } from 'vitest';
import { bytesOf, difference, isIdentical } from '../../lib/tensor/compare.js';
import { Tensor, tensor } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';

describe('difference', () => {
  it('is the largest distance, and its ratio to the largest of the second tensor', () => {
    expect(difference(tensor([1, 2, 3.5]), tensor([1, 2.5, -4]))).toEqual({ absolute: 7.5, relative: 7.5 / 4 });
  });

  it('is zero for equal tensors, for two of zeros, of either sign, and for empty ones', () => {
    const none = { absolute: 0, relative: 0 };
    expect(difference(tensor([1, -2]), tensor([1, -2]))).toEqual(none);
    expect(difference(tensor([0, -0]), tensor([-0, 0]))).toEqual(none);
    expect(difference(tensor([]), tensor([]))).toEqual(none);
  });

  it('is infinite relative to zeros', () => {
    expect(difference(tensor([1e-30]), tensor([0])).relative).toBe(Infinity);
  });

  it('measures against a scale that includes the elements that agree', () => {
    expect(difference(tensor([100, 1]), tensor([100, 2])).relative).toBe(0.01);
  });

  it('counts NaN against NaN, and an infinity against itself, as equal', () => {
    expect(difference(tensor([NaN, Infinity, -Infinity, 2]), tensor([NaN, Infinity, -Infinity, 4]))).toEqual({
      absolute: 2,
      relative: 0.5,
    });
  });

  it.each([
    [NaN, 1],
    [1, NaN],
    [Infinity, 1],
    [1, Infinity],
    [Infinity, -Infinity],
    [NaN, Infinity],
  ])('is infinite where %d meets %d', (a, b) => {
    expect(difference(tensor([a, 1]), tensor([b, 1]))).toEqual({ absolute: Infinity, relative: Infinity });
  });

  it('compares numbers across formats', () => {
    expect(difference(tensor([1, 2], [2], 'float16'), tensor([1, 4], [2], 'int32'))).toEqual({
      absolute: 2,
      relative: 0.5,
    });
  });

  it('refuses different shapes, even of equal size', () => {
    expectRefusal(
      () => difference(tensor([1, 2]), tensor([[1, 2]])),
      'ERR_SHAPE',
      'difference: shapes [2] and [1,2] differ',
    );
  });
});

describe('isIdentical', () => {
  it('distinguishes formats, shapes, and the signs of zeros', () => {
    expect(isIdentical(tensor([1, 2]), tensor([1, 2]))).toBe(true);
    expect(isIdentical(tensor([1, 2]), tensor([1, 2], [2], 'float64'))).toBe(false);
    expect(isIdentical(tensor([1, 2]), tensor([[1, 2]]))).toBe(false);
    expect(isIdentical(tensor([0]), tensor([-0]))).toBe(false);
    expect(isIdentical(tensor([1]), tensor([1 + 2 ** -23]))).toBe(false);
  });

  it('takes any NaN for any other, in every float format', () => {
    const otherNaN = new Float32Array(new Uint32Array([0xffc00001]).buffer);
    expect(isIdentical(tensor([NaN]), new Tensor('float32', [1], otherNaN))).toBe(true);
    expect(
      isIdentical(
        new Tensor('float16', [1], Uint16Array.of(0x7e00)),
        new Tensor('float16', [1], Uint16Array.of(0xfe01)),
      ),
    ).toBe(true);
    expect(isIdentical(tensor([NaN, 0]), tensor([NaN, -0]))).toBe(false);
  });

  it('compares 64-bit integers beyond what a float64 holds', () => {
    const of = (value: bigint): Tensor<'int64'> => new Tensor('int64', [1], BigInt64Array.of(value));
    expect(isIdentical(of(2n ** 60n), of(2n ** 60n))).toBe(true);
    expect(isIdentical(of(2n ** 60n), of(2n ** 60n + 1n))).toBe(false);
  });
});

test('bytesOf shows the part of the memory that is the tensor, without a copy', () => {
  const view = new Tensor('float32', [2], new Float32Array(4).subarray(1, 3));
  bytesOf(view)[3] = 0x3f;
  expect(bytesOf(view).length).toBe(8);
  expect(view.data[0]).toBe(0.5);
});

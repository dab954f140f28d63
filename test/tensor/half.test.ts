/**
 * Sixteen-bit floats: rounding and widening against PyTorch, and against exact arithmetic where PyTorch rounds twice.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIdentical } from '../../lib/tensor/compare.js';
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from '../../lib/tensor/half.js';
import type { Tensor } from '../../lib/tensor/tensor.js';
import { goldenTensors } from '../ops/golden.js';

const golden = goldenTensors('rounding');
const formats = [
  { name: 'float16', narrow: numberToFloat16, widen: float16ToNumber, infinity: 0x7c00, fractionBits: 10 },
  { name: 'bfloat16', narrow: numberToBfloat16, widen: bfloat16ToNumber, infinity: 0x7f80, fractionBits: 7 },
] as const;

describe.each(formats)('$name', ({ name, narrow, widen, infinity, fractionBits }) => {
  it('rounds float64 once, to nearest, ties to even: subnormals, overflow and numbers beside a tie included', () => {
    const values = golden.get(`${name}/values`) as Tensor<'float64'>;
    const rounded = golden.get(`${name}/rounded`) as Tensor<typeof name>;
    const wrong = [...values.data].filter((value, i) => !Number.isNaN(value) && narrow(value) !== rounded.data[i]);
    expect(wrong).toEqual([]);
    expect(isIdentical(values.to(name), rounded)).toBe(true);
  });

  it('widens to the number that PyTorch reads', () => {
    const bits = golden.get(`${name}/bits`) as Tensor<typeof name>;
    expect(isIdentical(bits.to('float32'), golden.get(`${name}/widened`) as Tensor)).toBe(true);
  });

  it('gives every one of its 65 536 bit patterns back, and NaN as a NaN', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const back = narrow(widen(bits));
      if ((bits & 0x7fff) > infinity) expect(back & 0x7fff).toBeGreaterThan(infinity);
      else if (back !== bits) expect.fail(`${bits.toString(16)} came back as ${back.toString(16)}`);
    }
  });

  it('keeps the order of numbers', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        expect(widen(narrow(low))).toBeLessThanOrEqual(widen(narrow(high)));
      }),
    );
  });

  it('is not fooled by what float32 would round to a tie', () => {
    const tie = 1 + 2 ** -(fractionBits + 1);
    const above = tie + 2 ** -40;
    expect(Math.fround(above)).toBe(tie);
    expect(widen(narrow(tie))).toBe(1);
    expect(widen(narrow(above))).toBe(1 + 2 ** -fractionBits);
  });

  it('keeps the sign of zero and of what becomes zero', () => {
    expect([-0, -1e-300, 1e-300].map(narrow)).toEqual([0x8000, 0x8000, 0]);
    expect(Object.is(widen(0x8000), -0)).toBe(true);
  });
});

/** Numbers to fill tensors with: seeded, and of a kind that the comparison can rely on. */
import { type Random, randn } from '../../lib/tensor/random.js';
import { sizeOf } from '../../lib/tensor/shape.js';
import { Tensor } from '../../lib/tensor/tensor.js';

/**
 * `integers`: whole numbers from −8 to 8, whose products sum exactly in float32 (262 144 of them fit below 2^24), so
 * that engines must agree bit for bit. `normal`: standard normal numbers.
 */
export type Fill = 'integers' | 'normal';

export function filled(shape: readonly number[], fill: Fill, generator: Random): Tensor {
  return fill === 'integers' ? integers(shape, generator) : randn(shape, { generator });
}

/** Whole numbers from −magnitude to magnitude. */
function integers(shape: readonly number[], generator: Random, magnitude = 8): Tensor {
  return new Tensor(
    'float32',
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => generator.integer(-magnitude, magnitude)),
  );
}

/** The same kinds, but above zero, as a variance must be. */
export function positive(shape: readonly number[], fill: Fill, generator: Random): Tensor {
  const values = filled(shape, fill, generator);
  for (let i = 0; i < values.data.length; i++)
    values.data[i] = Math.abs(values.data[i]) + (fill === 'integers' ? 1 : 0.05);
  return values;
}

/**
 * Float32 numbers on which kernels stumble: not a number, infinities, both zeros, subnormals, the corners of the
 * piecewise functions with their neighbours, where float32's exponential ends, the largest.
 */
export const specialNumbers: readonly number[] = [
  ...[NaN, Infinity, -Infinity, 0, -0],
  ...[1e-45, 1e-40, 1.1754944e-38, 1e-30, 1e-8, 0.5, 1, 2, 2.9999998, 3, 3.0000002, 5.9999995, 6, 6.0000005].flatMap(
    bothSigns,
  ),
  ...[8, 20, 30, 88, 89, 104, 700, 1e4, 1e38, 3.4028235e38].flatMap(bothSigns),
];

function bothSigns(x: number): number[] {
  return [Math.fround(x), -Math.fround(x)];
}

/**
 * How far float32 may be from float64: one function of the operator and its inputs.
 *
 * A sum of n products differs from the exact one by at most (n + 4)·2⁻²⁴·Σ|x||w| (plus the bias), element by element;
 * sums that are formed in stretches by less; everything else by a few units in the last place of what it is computed
 * from.
 */

import type { OperatorName } from '../../lib/ops/registry.js';
import { Tensor } from '../../lib/tensor/tensor.js';
import type { OperatorCase } from '../cases/case.js';
import { referenceOf } from '../cases/case.js';

const unit = 2 ** -24;

/** The largest allowed |native − reference| of every element of every output. */
export function boundsOf(
  c: OperatorCase,
  inputs: readonly (Tensor | null)[],
  expected: readonly Tensor<'float64'>[],
): Float64Array[] {
  const factor = factors[c.operator]?.(inputs) ?? 0;
  if (sumsOfProducts.has(c.operator))
    return referenceOf(c, inputs.map(magnitude)).map((mag) => mag.data.map((m) => factor * unit * m));
  if (c.operator === 'batchNorm' || c.operator === 'batchNormTraining') {
    const most = normMagnitude(inputs);
    return expected.map((e) => e.data.map((y) => factor * unit * (Math.abs(y) + most)));
  }
  return expected.map((e) => e.data.map((y) => factor * unit * Math.max(1, Math.abs(y))));
}

/**
 * Relative error of a product in bfloat16. Of 8 bits the first is always set, so a part is off by 2⁻⁸ of itself at most
 * (1 + 2⁻⁸ becomes 1); of two parts the second one is, which is 2⁻⁸ of the first, and the product of the second parts
 * is left out.
 */
export const productError = { bfloat16: 2 ** -7 + 2 ** -16, bfloat16x3: 3 * 2 ** -16 + 2 ** -24 } as const;

/** The largest allowed error of a sum of n products in bfloat16, relative to Σ|x||w|. */
export function bfloat16Bound(precision: keyof typeof productError, products: number): number {
  return productError[precision] + (3 * products + 4) * unit;
}

/**
 * ‖result − expected‖ / ‖expected‖, the root mean square of the differences over that of what was expected; 0 where
 * nothing differs.
 */
export function relativeRms(
  result: { readonly data: ArrayLike<number> },
  expected: { readonly data: ArrayLike<number> },
): number {
  let [error, size] = [0, 0];
  for (let i = 0; i < result.data.length; i++) {
    error += (result.data[i] - expected.data[i]) ** 2;
    size += expected.data[i] ** 2;
  }
  return error === 0 ? 0 : Math.sqrt(error / size);
}

const sumsOfProducts: ReadonlySet<OperatorName> = new Set([
  'conv2d',
  'convTranspose2d',
  'linear',
  'averagePool2d',
  'globalAveragePool2d',
  'adaptiveAveragePool2d',
]);

/**
 * Units in the last place: of the magnitude for sums of products, of the result (at least 1) elsewhere; what is absent
 * is exact.
 */
const factors: { readonly [N in OperatorName]?: (inputs: readonly (Tensor | null)[]) => number } = {
  conv2d: (inputs) => productOf(inputs[1], 1) + 4,
  convTranspose2d: (inputs) => productOf(inputs[1], 0) + 4,
  linear: (inputs) => Math.min(256, productOf(inputs[1], 1)) + Math.ceil(productOf(inputs[1], 1) / 256) + 4,
  averagePool2d: pooled,
  globalAveragePool2d: pooled,
  adaptiveAveragePool2d: pooled,
  batchNorm: () => 8,
  batchNormTraining: () => 8,
  add: () => 1,
  mul: () => 1,
  leakyRelu: () => 1,
  prelu: () => 1,
  sigmoid: () => 4,
  silu: () => 4,
  hardSigmoid: () => 2,
  hardSwish: () => 3,
  gelu: () => 4,
  tanh: () => 4,
  softmax: () => 8,
};

/** Halves down to stretches of 16 (native/kernels/body/vector.inl), and the division. */
function pooled([x]: readonly (Tensor | null)[]): number {
  const pixels = Math.max(1, productOf(x, 2));
  return Math.min(16, pixels) + Math.ceil(Math.log2(pixels)) + 2;
}

function productOf(tensor: Tensor | null, from: number): number {
  return tensor === null ? 1 : tensor.shape.slice(from).reduce((a, b) => a * b, 1);
}

function magnitude(tensor: Tensor | null): Tensor | null {
  return tensor && new Tensor('float32', tensor.shape, tensor.data.map(Math.abs));
}

/** The largest |x − μ|·γ/σ + |β| there can be. */
function normMagnitude([x, weight, bias, mean, variance]: readonly (Tensor | null)[]): number {
  const largest = (t: Tensor | null | undefined, otherwise: number): number =>
    t ? t.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0) : otherwise;
  const smallestVariance = variance ? variance.data.reduce((a, b) => Math.min(a, b), Infinity) : 0.01;
  return (
    ((largest(x, 0) + largest(mean, 0)) * largest(weight, 1)) / Math.sqrt(smallestVariance + 1e-5) + largest(bias, 0)
  );
}

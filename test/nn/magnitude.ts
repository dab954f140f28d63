/**
 * How far a block in floating point may be from itself in exact numbers, element by element: (n + 16)·u·Σ|x||w|, u =
 * 2⁻²⁴ in float32, 2⁻⁵³ in float64.
 *
 * Σ|x||w| is the block's own sentence with every number in absolute value (means with the sign that makes them add up);
 * n is the length of the longest sum of products in it.
 */

import { convTranspose2d } from '../../lib/ops/conv/convTranspose2d.js';
import { batchNorm } from '../../lib/ops/norm/batchNorm.js';
import { type Ops, vocabulary } from '../../lib/ops/vocabulary.js';
import { type AnyTensor, Tensor } from '../../lib/tensor/tensor.js';

type T = Tensor<'float64'>;

/** The allowed |rounded − exact| of every element of what `sentence` makes of `x`, in the format of `x`. */
export function roundingBound(sentence: (f: Ops<T>, x: T) => T, x: Tensor<'float32' | 'float64'>): Float64Array {
  const unit = x.dtype === 'float32' ? 2 ** -24 : 2 ** -53;
  let longest = 1;
  const magnitudes = vocabulary<T>({
    lift: (tensor) => tensor.to('float64'),
    apply(operator, inputs, attributes) {
      const positive = inputs.map((input, i) => input && absolute(input, operator === batchNorm && i === 3 ? -1 : 1));
      if (operator.name === 'conv2d') longest = Math.max(longest, lengthOf(positive[1] as T, 1));
      if (operator === convTranspose2d) longest = Math.max(longest, lengthOf(positive[1] as T, 0));
      return operator.reference(positive, attributes) as T[];
    },
  });
  const sums = sentence(magnitudes, absolute(x.to('float64'), 1));
  return sums.data.map((sum) => (longest + 16) * unit * sum);
}

/** Index and numbers of the first element beyond its bound; null where there is none. */
export function firstBeyond(actual: AnyTensor, expected: AnyTensor, bound: Float64Array): string | null {
  const [a, b] = [actual.to('float64').data, expected.to('float64').data];
  const i = a.findIndex((value, at) => !(Math.abs(value - b[at]) <= bound[at]));
  return i < 0 ? null : `element ${i}: ${a[i]} for ${b[i]} ± ${bound[i]}`;
}

function absolute(tensor: T, sign: 1 | -1): T {
  return new Tensor(
    'float64',
    tensor.shape,
    tensor.data.map((value) => sign * Math.abs(value)),
  );
}

function lengthOf(weight: T, from: number): number {
  return weight.shape.slice(from).reduce((product, extent) => product * extent, 1);
}

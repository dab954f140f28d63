/**
 * How far ONNX Runtime's float32 may be from float64: what native code is held to, and where ONNX spells a meaning with
 * several operators, theirs.
 */
import type { Tensor } from '../../lib/tensor/tensor.js';
import type { OperatorCase } from '../cases/case.js';
import { boundsOf } from '../engine/bounds.js';

const unit = 2 ** -24;

/** The largest allowed |runtime − reference| of every element. */
export function runtimeBounds(
  c: OperatorCase,
  inputs: readonly (Tensor | null)[],
  expected: Tensor<'float64'>,
): Float64Array {
  // x · σ(x): four units of σ, which lies below 1, come out times x, and the product is rounded once more.
  if (c.operator === 'silu')
    return Float64Array.from(inputs[0]?.data as Float32Array, (x) => 5 * unit * Math.max(1, Math.abs(x)));
  return boundsOf(c, inputs, [expected])[0];
}

/**
 * How far two tensors are apart, in the project's one definition of relative error: max|a − b| / max|b| over the
 * tensor.
 */
import { refused } from '../checks.js';
import { RepconvError } from '../errors.js';
import { isFloatDType } from './dtype.js';
import { sameShape, showShape } from './shape.js';
import { type AnyTensor, isTensor } from './tensor.js';

/** What {@link difference} found. */
export interface Difference {
  /** max |a − b|. */
  readonly absolute: number;
  /** max |a − b| / max |b|; 0 where both are zero everywhere. */
  readonly relative: number;
}

/**
 * The largest difference of two tensors of one shape. NaN against NaN and ∞ against the same ∞ count as equal; any
 * other meeting with a non-finite number is ∞.
 * @throws ERR_SHAPE for different shapes, ERR_INPUT for what is no tensor
 * @example
 * ```ts
 * import { difference, tensor } from 'repconv';
 *
 * console.log(difference(tensor([1, 2.5]), tensor([1, 2]))); // { absolute: 0.5, relative: 0.25 }
 * ```
 */
export function difference(a: AnyTensor, b: AnyTensor): Difference {
  checkTensors(a, b, 'difference');
  if (!sameShape(a.shape, b.shape))
    throw new RepconvError('ERR_SHAPE', `difference: shapes ${showShape(a.shape)} and ${showShape(b.shape)} differ`);
  const [x, y] = [
    a.dtype === 'float32' || a.dtype === 'float64' ? a.data : a.to('float64').data,
    b.dtype === 'float32' || b.dtype === 'float64' ? b.data : b.to('float64').data,
  ] as [Float64Array, Float64Array];
  let absolute = 0;
  let scale = 0;
  for (let i = 0; i < x.length; i++) {
    if (Object.is(x[i], y[i])) {
      if (Number.isFinite(y[i])) scale = Math.max(scale, Math.abs(y[i]));
      continue;
    }
    const distance = Math.abs(x[i] - y[i]);
    if (!Number.isFinite(distance)) return { absolute: Infinity, relative: Infinity };
    absolute = Math.max(absolute, distance);
    scale = Math.max(scale, Math.abs(y[i]));
  }
  return { absolute, relative: absolute === 0 ? 0 : absolute / scale };
}

/** Whether two tensors have the same format, shape and bits (NaN equals NaN; 0 and −0 differ). @throws ERR_INPUT */
export function isIdentical(a: AnyTensor, b: AnyTensor): boolean {
  checkTensors(a, b, 'isIdentical');
  if (a.dtype !== b.dtype || !sameShape(a.shape, b.shape)) return false;
  if (Buffer.compare(bytesOf(a), bytesOf(b)) === 0) return true;
  // NaN has many bit patterns, and which one a computation gives is nobody's promise.
  if (!isFloatDType(a.dtype)) return false;
  const [x, y] = [a.to('float64').data, b.to('float64').data];
  return x.every((value, i) => Object.is(value, y[i]));
}

/** @throws ERR_INPUT */
function checkTensors(a: unknown, b: unknown, operation: string): void {
  for (const [i, tensor] of [a, b].entries())
    if (!isTensor(tensor)) throw refused(`${operation}: the ${i === 0 ? 'first' : 'second'}`, 'a Tensor', tensor);
}

/** The bytes of a tensor's elements, without a copy. */
export function bytesOf({ data }: AnyTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

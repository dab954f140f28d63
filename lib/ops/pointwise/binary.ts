/**
 * The operators of two inputs that work element by element, each a row: its formula. Their inputs broadcast as in
 * PyTorch and NumPy: axes aligned at the end, extent 1 stretched.
 */
import { RepconvError } from '../../errors.js';
import type { Extent } from '../../tensor/extent.js';
import { type Shape, showShape, sizeOf, stridesOf } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { type Assume, type NoAttributes, type Operator, required, withoutOptions } from '../operator.js';

/** a + b. */
export const add = binary('add', (a, b) => a + b);

/** a · b. */
export const mul = binary('mul', (a, b) => a * b);

/** All of them by name. */
export const binaryOperators = { add, mul } as const;

/** An operator that applies one function to pairs of elements. */
function binary(name: string, formula: (a: number, b: number) => number): Operator<NoAttributes, NoAttributes> {
  return {
    name,
    inputs: [{ name: 'first input' }, { name: 'second input' }],
    complete: withoutOptions(name),
    infer(inputs, _, assume) {
      const [a, b] = [required(inputs, 0, name, 'first input'), required(inputs, 1, name, 'second input')];
      return [{ dtype: a.dtype, shape: broadcastShape(a.shape, b.shape, name, assume) }];
    },
    reference(inputs) {
      const [a, b] = inputs as [Tensor<'float64'>, Tensor<'float64'>];
      const shape = broadcastShape(a.shape, b.shape, name) as number[];
      const output = new Tensor('float64', shape);
      const [fromA, fromB] = [broadcastIndex(a.shape, shape), broadcastIndex(b.shape, shape)];
      for (let i = 0; i < output.data.length; i++) output.data[i] = formula(a.data[fromA(i)], b.data[fromB(i)]);
      return [output];
    },
  };
}

/** @throws ERR_SHAPE */
function broadcastShape(a: Shape, b: Shape, operation: string, assume?: Assume): Extent[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [x, y] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (x !== y && x !== 1 && y !== 1 && !assume?.(x, y))
      throw new RepconvError(
        'ERR_SHAPE',
        `${operation}: shapes ${showShape(a)} and ${showShape(b)} do not broadcast (axis ${axis}: ${x} and ${y})`,
      );
    // Where two are taken as equal, a number says more than a formula.
    return x === 1 || (y !== 1 && typeof y === 'number') ? y : x;
  });
}

/** Maps a position in the broadcast result to the position in an input of the given shape. */
function broadcastIndex(shape: readonly number[], result: readonly number[]): (position: number) => number {
  if (sizeOf(shape) === sizeOf(result)) return (position) => position;
  const strides = stridesOf(shape);
  const steps = result.map((extent, axis) => {
    const own = axis - result.length + shape.length;
    return { extent, step: own < 0 || shape[own] === 1 ? 0 : strides[own] };
  });
  return (position) => {
    let index = 0;
    let rest = position;
    for (let axis = steps.length - 1; axis >= 0; axis--) {
      index += (rest % steps[axis].extent) * steps[axis].step;
      rest = Math.floor(rest / steps[axis].extent);
    }
    return index;
  };
}

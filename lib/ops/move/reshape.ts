/**
 * reshape: the same elements in row-major order under another shape; one extent may be −1, 0 keeps the input's extent
 * on that axis (ONNX).
 */
import { entriesOf, isWholeNumber, refused } from '../../checks.js';
import { RepconvError } from '../../errors.js';
import { optionsOf } from '../../options.js';
import { type Extent, floorDivide, times } from '../../tensor/extent.js';
import { isConcrete, maxRank, type Shape, showShape, sizeOf } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { type Operator, required } from '../operator.js';

export interface ReshapeAttributes {
  readonly shape: readonly number[];
}

function reshapeAttributes(options: { shape: readonly number[] }): ReshapeAttributes {
  const { shape } = optionsOf(options, { shape: undefined }, 'reshape');
  const entries = entriesOf(shape, maxRank);
  if (entries === null || !entries.every(isExtent) || entries.filter((e) => e === -1).length > 1)
    throw refused('reshape: shape', `up to ${maxRank} whole numbers of at least 0 and at most one -1`, shape);
  return { shape: entries };
}

function isExtent(entry: unknown): entry is number {
  return isWholeNumber(entry, -1);
}

export const reshape: Operator<ReshapeAttributes> = {
  name: 'reshape',
  inputs: [{ name: 'input' }],
  complete: reshapeAttributes,

  infer(inputs, { shape }) {
    const input = required(inputs, 0, 'reshape', 'input');
    return [{ dtype: input.dtype, shape: reshapedShape(input.shape, shape) }];
  },

  reference([input], { shape }) {
    const x = input as Tensor<'float64'>;
    return [new Tensor('float64', reshapedShape(x.shape, shape) as number[], x.data.slice())];
  },
};

function reshapedShape(from: Shape, wanted: readonly number[]): Extent[] {
  const misfit = (): RepconvError =>
    new RepconvError('ERR_SHAPE', `reshape: ${showShape(from)} cannot become ${showShape(wanted)}`);
  const result: Extent[] = wanted.map((extent, axis) => {
    if (extent !== 0) return extent;
    if (axis >= from.length) throw misfit();
    return from[axis];
  });
  // What stands on both sides cancels, symbols and empty axes too; what is left must divide.
  const [left, right] = [[...from], result.filter((extent) => extent !== -1)];
  for (const extent of [...right]) {
    const at = left.indexOf(extent);
    if (at < 0) continue;
    left.splice(at, 1);
    right.splice(right.indexOf(extent), 1);
  }
  if (!isConcrete(right)) {
    const isSameSize = left.reduce<Extent>(times, 1) === (right as Shape).reduce<Extent>(times, 1);
    if (isSameSize && !result.includes(-1)) return result;
    throw misfit();
  }
  const known = sizeOf(right);
  const wildcard = result.indexOf(-1);
  if (!isConcrete(left)) {
    if (wildcard < 0) throw misfit();
    // Whether it divides, a plan for numbers finds.
    result[wildcard] = floorDivide(left.reduce<Extent>(times, 1), known);
    return result;
  }
  const rest = sizeOf(left) / known;
  if (wildcard >= 0 ? !Number.isInteger(rest) : sizeOf(left) !== known) throw misfit();
  if (wildcard >= 0) result[wildcard] = rest;
  return result;
}

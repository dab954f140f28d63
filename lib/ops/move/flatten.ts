/** flatten: the axes from startAxis to endAxis become one. */
import { RepconvError } from '../../errors.js';
import { optionsOf } from '../../options.js';
import { type Extent, times } from '../../tensor/extent.js';
import type { Shape } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { axisNumber, checkedAxis, type Operator, required } from '../operator.js';

export interface FlattenAttributes {
  readonly startAxis: number;
  readonly endAxis: number;
}

function flattenAttributes(options: { startAxis?: number; endAxis?: number } = {}): FlattenAttributes {
  const { startAxis, endAxis } = optionsOf(options, { startAxis: 1, endAxis: -1 }, 'flatten');
  return {
    startAxis: axisNumber(startAxis, 'flatten: startAxis'),
    endAxis: axisNumber(endAxis, 'flatten: endAxis'),
  };
}

export const flatten: Operator<FlattenAttributes> = {
  name: 'flatten',
  inputs: [{ name: 'input' }],
  complete: flattenAttributes,

  infer(inputs, attributes) {
    const input = required(inputs, 0, 'flatten', 'input');
    return [{ dtype: input.dtype, shape: flattenedShape(input.shape, attributes) }];
  },

  reference([input], attributes) {
    const x = input as Tensor<'float64'>;
    return [new Tensor('float64', flattenedShape(x.shape, attributes) as number[], x.data.slice())];
  },
};

function flattenedShape(shape: Shape, { startAxis, endAxis }: FlattenAttributes): Extent[] {
  const rank = Math.max(shape.length, 1);
  const start = checkedAxis(startAxis, rank, 'flatten');
  const end = checkedAxis(endAxis, rank, 'flatten');
  if (end < start)
    throw new RepconvError(
      'ERR_INPUT',
      `flatten: endAxis expects an axis not before startAxis ${startAxis}, got ${endAxis} (${rank} axes)`,
    );
  const joined = shape.slice(start, end + 1).reduce<Extent>(times, 1);
  return [...shape.slice(0, start), joined, ...shape.slice(end + 1)];
}

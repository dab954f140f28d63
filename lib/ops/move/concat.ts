/** concat: tensors laid one after the other along one axis; all other extents agree. */
import { RepconvError } from '../../errors.js';
import { optionsOf } from '../../options.js';
import { type Extent, plus } from '../../tensor/extent.js';
import { showShape, sizeOf } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { axisNumber, checkedAxis, type Operator, required } from '../operator.js';

export interface ConcatAttributes {
  readonly axis: number;
}

function concatAttributes(options: { axis?: number } = {}): ConcatAttributes {
  const { axis } = optionsOf(options, { axis: 1 }, 'concat');
  return { axis: axisNumber(axis, 'concat: axis') };
}

export const concat: Operator<ConcatAttributes> = {
  name: 'concat',
  inputs: [{ name: 'input', isList: true }],
  complete: concatAttributes,

  infer(inputs, { axis }, assume) {
    const first = required(inputs, 0, 'concat', 'first input');
    const at = checkedAxis(axis, first.shape.length, 'concat');
    let extent: Extent = first.shape[at];
    for (let index = 1; index < inputs.length; index++) {
      const { shape } = required(inputs, index, 'concat', `input ${index}`);
      if (
        shape.length !== first.shape.length ||
        shape.some((e, i) => i !== at && e !== first.shape[i] && !assume?.(first.shape[i], e))
      ) {
        throw new RepconvError(
          'ERR_SHAPE',
          `concat: input ${index} expects ${showShape(first.shape)} except on axis ${at}, got ${showShape(shape)}`,
        );
      }
      extent = plus(extent, shape[at]);
    }
    return [{ dtype: first.dtype, shape: first.shape.map((e, i) => (i === at ? extent : e)) }];
  },

  reference(inputs, attributes) {
    const parts = inputs as Tensor<'float64'>[];
    const [{ shape }] = this.infer(parts, attributes) as { shape: readonly number[] }[];
    const at = checkedAxis(attributes.axis, shape.length, 'concat');
    const output = new Tensor('float64', shape);
    let written = 0;
    for (let outer = 0; outer < sizeOf(shape.slice(0, at)); outer++) {
      for (const part of parts) {
        const run = sizeOf(part.shape.slice(at));
        output.data.set(part.data.subarray(outer * run, (outer + 1) * run), written);
        written += run;
      }
    }
    return [output];
  },
};

/** softmax: e^(x − max) / Σ e^(x − max) along one axis. */
import { optionsOf } from '../../options.js';
import { sizeOf } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { axisNumber, checkedAxis, type Operator, required } from '../operator.js';

export interface SoftmaxAttributes {
  readonly axis: number;
}

function softmaxAttributes(options: { axis?: number } = {}): SoftmaxAttributes {
  const { axis } = optionsOf(options, { axis: -1 }, 'softmax');
  return { axis: axisNumber(axis, 'softmax: axis') };
}

export const softmax: Operator<SoftmaxAttributes> = {
  name: 'softmax',
  inputs: [{ name: 'input' }],
  complete: softmaxAttributes,

  infer(inputs, { axis }) {
    const input = required(inputs, 0, 'softmax', 'input');
    checkedAxis(axis, input.shape.length, 'softmax');
    return [input];
  },

  reference([input], { axis }) {
    const x = input as Tensor<'float64'>;
    const at = checkedAxis(axis, x.shape.length, 'softmax');
    const [extent, step] = [x.shape[at], sizeOf(x.shape.slice(at + 1))];
    const output = new Tensor('float64', x.shape);
    for (let start = 0; start < x.size; start += extent * step) {
      for (let lane = start; lane < start + step; lane++) {
        const line = Float64Array.from({ length: extent }, (_, i) => x.data[lane + i * step]);
        const largest = line.reduce((a, b) => Math.max(a, b), -Infinity);
        const powers = line.map((value) => Math.exp(value - largest));
        const sum = powers.reduce((a, b) => a + b, 0);
        powers.forEach((power, i) => {
          output.data[lane + i * step] = power / sum;
        });
      }
    }
    return [output];
  },
};

/** linear: y = x · Wᵀ + b over the last axis. input [N, …, F], weight [O, F], bias [O] or none. */
import { RepconvError } from '../../errors.js';
import { showShape } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import {
  checkPerChannel,
  elementsOf,
  type NoAttributes,
  type Operator,
  required,
  requiredRank,
  type TensorType,
  withoutOptions,
} from '../operator.js';

export const linear: Operator<NoAttributes> = {
  name: 'linear',
  inputs: [
    { name: 'input' },
    { name: 'weight', isParameter: true },
    { name: 'bias', isParameter: true, isOptional: true },
  ],
  complete: withoutOptions('linear'),

  infer(inputs) {
    const [input, weight] = [required(inputs, 0, 'linear', 'input'), requiredRank(inputs, 1, 2, 'linear', 'weight')];
    if (input.shape.length === 0)
      throw new RepconvError('ERR_SHAPE', 'linear: input expects at least 1 axis, got none');
    const features = input.shape.at(-1);
    if (features !== weight.shape[1])
      throw new RepconvError(
        'ERR_SHAPE',
        `linear: weight expects ${weight.shape[1]} input features, got ${features} (input ${showShape(input.shape)}, weight ${showShape(weight.shape)})`,
      );
    checkPerChannel(inputs, 2, weight.shape[0], 'linear', 'bias');
    return [{ dtype: input.dtype, shape: [...input.shape.slice(0, -1), weight.shape[0]] }];
  },

  macs: ([, weight], [output]) => (elementsOf(output) / Number(output.shape.at(-1))) * elementsOf(weight as TensorType),

  reference(inputs) {
    const [input, weight, bias] = inputs as [Tensor<'float64'>, Tensor<'float64'>, Tensor<'float64'> | null];
    const [O, F] = weight.shape;
    const output = new Tensor('float64', [...input.shape.slice(0, -1), O]);
    const [x, w, y] = [input.data, weight.data, output.data];
    for (let i = 0; i < y.length; i++) {
      const [row, o] = [Math.floor(i / O), i % O];
      let sum = bias ? bias.data[o] : 0;
      for (let f = 0; f < F; f++) sum += x[row * F + f] * w[o * F + f];
      y[i] = sum;
    }
    return [output];
  },
};

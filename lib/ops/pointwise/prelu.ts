/**
 * prelu: x for x > 0, else slope · x; one slope for all or one per channel. input [N, C, …], slope [1] or [C]. He et
 * al. 2015.
 */
import { RepconvError } from '../../errors.js';
import { showShape, sizeOf } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { type NoAttributes, type Operator, required, withoutOptions } from '../operator.js';

export const prelu: Operator<NoAttributes> = {
  name: 'prelu',
  inputs: [{ name: 'input' }, { name: 'slope' }],
  complete: withoutOptions('prelu'),

  infer(inputs) {
    const [input, slope] = [required(inputs, 0, 'prelu', 'input'), required(inputs, 1, 'prelu', 'slope')];
    const channels = input.shape.length < 2 ? 1 : input.shape[1];
    if (slope.shape.length !== 1 || (slope.shape[0] !== 1 && slope.shape[0] !== channels)) {
      throw new RepconvError(
        'ERR_SHAPE',
        `prelu: slope expects shape [1]${channels === 1 ? '' : ` or [${channels}]`}, got ${showShape(slope.shape)}`,
      );
    }
    return [input];
  },

  reference(inputs) {
    const [input, slope] = inputs as [Tensor<'float64'>, Tensor<'float64'>];
    const perChannel = sizeOf(input.shape.slice(2));
    return [
      new Tensor(
        'float64',
        input.shape,
        input.data.map((x, i) => (x > 0 ? x : slope.data[Math.floor(i / perChannel) % slope.data.length] * x)),
      ),
    ];
  },
};

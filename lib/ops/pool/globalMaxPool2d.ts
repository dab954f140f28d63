/** globalMaxPool2d: the largest value of every channel. input [N, C, H, W], output [N, C, 1, 1]. */
import type { Tensor } from '../../tensor/tensor.js';
import { type NoAttributes, type Operator, withoutOptions } from '../operator.js';
import { adaptiveSpans, inferGlobalPooling, pooled } from './pooling.js';

export const globalMaxPool2d: Operator<NoAttributes> = {
  name: 'globalMaxPool2d',
  inputs: [{ name: 'input' }],
  complete: withoutOptions('globalMaxPool2d'),

  infer: (inputs) => [inferGlobalPooling(inputs, 'globalMaxPool2d')],

  reference([input]) {
    const x = input as Tensor<'float64'>;
    return [pooled(x, adaptiveSpans(x.shape[2], 1), adaptiveSpans(x.shape[3], 1), -Infinity, Math.max)];
  },
};

/** globalAveragePool2d: the mean of every channel. input [N, C, H, W], output [N, C, 1, 1]. */
import type { Tensor } from '../../tensor/tensor.js';
import { type NoAttributes, type Operator, withoutOptions } from '../operator.js';
import { adaptiveSpans, inferGlobalPooling, pooled } from './pooling.js';

export const globalAveragePool2d: Operator<NoAttributes> = {
  name: 'globalAveragePool2d',
  inputs: [{ name: 'input' }],
  complete: withoutOptions('globalAveragePool2d'),

  infer: (inputs) => [inferGlobalPooling(inputs, 'globalAveragePool2d')],

  reference([input]) {
    const x = input as Tensor<'float64'>;
    return [
      pooled(
        x,
        adaptiveSpans(x.shape[2], 1),
        adaptiveSpans(x.shape[3], 1),
        0,
        (sum, value) => sum + value,
        (sum, row, column) => sum / (row.to * column.to),
      ),
    ];
  },
};

/**
 * adaptiveAveragePool2d: means over bins that divide the image into a fixed number of rows and columns. input [N, C, H,
 * W], output [N, C, h, w].
 */
import { optionsOf } from '../../options.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { Operator } from '../operator.js';
import { type Pair, type PairLike, pair } from '../window.js';
import { adaptiveSpans, inferAdaptivePooling, pooled } from './pooling.js';

export interface AdaptiveAveragePool2dAttributes {
  readonly outputSize: Pair;
}

function adaptiveAveragePool2dAttributes(options: { outputSize: PairLike }): AdaptiveAveragePool2dAttributes {
  const { outputSize } = optionsOf(options, { outputSize: undefined }, 'adaptiveAveragePool2d');
  return { outputSize: pair(outputSize, 'adaptiveAveragePool2d', 'outputSize', 1) };
}

export const adaptiveAveragePool2d: Operator<AdaptiveAveragePool2dAttributes> = {
  name: 'adaptiveAveragePool2d',
  inputs: [{ name: 'input' }],
  complete: adaptiveAveragePool2dAttributes,

  infer: (inputs, { outputSize }) => [inferAdaptivePooling(inputs, outputSize, 'adaptiveAveragePool2d')],

  reference([input], { outputSize }) {
    const x = input as Tensor<'float64'>;
    return [
      pooled(
        x,
        adaptiveSpans(x.shape[2], outputSize[0]),
        adaptiveSpans(x.shape[3], outputSize[1]),
        0,
        (sum, value) => sum + value,
        (sum, row, column) => sum / (row.bound * column.bound),
      ),
    ];
  },
};

/**
 * adaptiveMaxPool2d: largest values over bins that divide the image into a fixed number of rows and columns. input [N,
 * C, H, W], output [N, C, h, w].
 */
import { optionsOf } from '../../options.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { Operator } from '../operator.js';
import { type Pair, type PairLike, pair } from '../window.js';
import { adaptiveSpans, inferAdaptivePooling, pooled } from './pooling.js';

export interface AdaptiveMaxPool2dAttributes {
  readonly outputSize: Pair;
}

function adaptiveMaxPool2dAttributes(options: { outputSize: PairLike }): AdaptiveMaxPool2dAttributes {
  const { outputSize } = optionsOf(options, { outputSize: undefined }, 'adaptiveMaxPool2d');
  return { outputSize: pair(outputSize, 'adaptiveMaxPool2d', 'outputSize', 1) };
}

export const adaptiveMaxPool2d: Operator<AdaptiveMaxPool2dAttributes> = {
  name: 'adaptiveMaxPool2d',
  inputs: [{ name: 'input' }],
  complete: adaptiveMaxPool2dAttributes,

  infer: (inputs, { outputSize }) => [inferAdaptivePooling(inputs, outputSize, 'adaptiveMaxPool2d')],

  reference([input], { outputSize }) {
    const x = input as Tensor<'float64'>;
    return [
      pooled(
        x,
        adaptiveSpans(x.shape[2], outputSize[0]),
        adaptiveSpans(x.shape[3], outputSize[1]),
        -Infinity,
        Math.max,
      ),
    ];
  },
};

/** maxPool2d: the largest value of every window; padding never wins, NaN always does. input [N, C, H, W]. */
import { optionsOf } from '../../options.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { Operator } from '../operator.js';
import { type Pair, type PairLike, pair } from '../window.js';
import {
  inferPooling,
  type PoolingAttributes,
  type PoolingOptions,
  pooled,
  poolingAttributes,
  poolingDefaults,
  windowSpans,
} from './pooling.js';

/** How a window of maxima slides, complete. */
export interface MaxPool2dAttributes extends PoolingAttributes {
  /** Pixels from one element of the window to the next: height, width. */
  readonly dilation: Pair;
}

/** How a window of maxima slides over an image. */
export interface MaxPool2dOptions extends PoolingOptions {
  /** Pixels from one element of the window to the next; default 1. */
  dilation?: PairLike;
}

export function maxPool2dAttributes(options: MaxPool2dOptions): MaxPool2dAttributes {
  const { dilation, ...window } = optionsOf(options, { ...poolingDefaults, dilation: 1 }, 'maxPool2d');
  return { ...poolingAttributes(window, 'maxPool2d'), dilation: pair(dilation, 'maxPool2d', 'dilation', 1) };
}

export const maxPool2d: Operator<MaxPool2dAttributes> = {
  name: 'maxPool2d',
  inputs: [{ name: 'input' }],
  complete: maxPool2dAttributes,

  infer: (inputs, attributes) => [inferPooling(inputs, attributes, 'maxPool2d', attributes.dilation)],

  reference([input], attributes) {
    const x = input as Tensor<'float64'>;
    const [, , rows, columns] = inferPooling([x], attributes, 'maxPool2d', attributes.dilation).shape as number[];
    return [
      pooled(
        x,
        windowSpans(x.shape[2], rows, 0, attributes, attributes.dilation),
        windowSpans(x.shape[3], columns, 1, attributes, attributes.dilation),
        -Infinity,
        Math.max,
      ),
    ];
  },
};

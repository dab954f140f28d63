import type { PairLike } from '../../ops/window.js';
import { optionsOf } from '../../options.js';
import { BatchNorm2d } from '../layers/batchNorm2d.js';
import { Sequential } from '../layers/containers.js';
import { Conv2d, type Conv2dLayerOptions, conv2dLayerDefaults } from '../layers/conv2d.js';

/** Options of {@link convBn}: those of the convolution, and `eps`. */
export interface ConvBnOptions extends Conv2dLayerOptions {
  /** What the batch norm adds to the variance; default 1e-5. */
  eps?: number;
}

/**
 * A convolution and its batch norm, under the keys `conv` and `bn`. The convolution has a bias unless told otherwise,
 * as the article's `conv_bn`; folding keeps it. [N, C, H, W] → [N, O, H', W'].
 * @throws ERR_INPUT for sizes that are no convolution
 * @example
 * ```ts
 * import { convBn, randn } from 'repconv';
 *
 * const layers = convBn(3, 8, 3, { stride: 2, padding: 1, bias: false }).eval();
 * console.log(layers.forward(randn([1, 3, 16, 16])).shape); // [ 1, 8, 8, 8 ]
 * ```
 */
export function convBn(
  inChannels: number,
  outChannels: number,
  kernelSize: PairLike,
  options: ConvBnOptions = {},
): Sequential {
  const { eps, ...convolution } = optionsOf(options, { ...conv2dLayerDefaults, eps: 1e-5 }, 'convBn');
  return new Sequential({
    conv: new Conv2d(inChannels, outChannels, kernelSize, convolution),
    bn: new BatchNorm2d(outChannels, { eps }),
  });
}

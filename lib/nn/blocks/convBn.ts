import type { PaddingLike, PairLike } from '../../ops/window.js';
import { optionsOf } from '../../options.js';
import { BatchNorm2d } from '../layers/batchNorm2d.js';
import { Sequential } from '../layers/containers.js';
import { Conv2d, type Conv2dLayerOptions, conv2dLayerDefaults } from '../layers/conv2d.js';

/** Of {@link convBn}: those of the convolution, and `eps`. */
export interface ConvBnOptions extends Conv2dLayerOptions {
  stride?: PairLike;
  padding?: PaddingLike;
  /** Of the batch norm; default 1e-5. */
  eps?: number;
}

/**
 * A convolution and its batch norm, under the keys `conv` and `bn`. The convolution has a bias unless told otherwise,
 * as the article's `conv_bn`; folding keeps it. [N, C, H, W] → [N, O, H', W'].
 * @throws ERR_INPUT for sizes that are no convolution
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

/** Channel attention: x · sigmoid(expand(relu(reduce(mean(x))))). Hu et al. 2018 (arXiv:1709.01507), section 3. */
import { listOf } from '../../checks.js';
import type { Ops } from '../../ops/vocabulary.js';
import { optionsOf } from '../../options.js';
import { Conv2d } from '../layers/conv2d.js';
import { Module } from '../module.js';

/** Options of {@link SqueezeExcite}. */
export interface SqueezeExciteOptions {
  /** Channels between the two convolutions: fewer, a sixteenth of them for instance. */
  reducedChannels: number;
  /** Keys of the two 1×1 convolutions: RepVGG calls them `down` and `up`, MobileOne `reduce` and `expand`. */
  keys?: readonly [string, string];
}

/**
 * Scales every channel of [N, C, H, W] by a number from 0 to 1 that follows from the means of all channels. Prints as
 * SEBlock. Keys: `weight` and `bias` of two 1×1 convolutions, `reduce` and `expand` or as `keys` says. Hu et al. 2018
 * (arXiv:1709.01507), section 3.
 */
export class SqueezeExcite extends Module {
  private readonly reduce: Conv2d;
  private readonly expand: Conv2d;

  /** @throws ERR_INPUT */
  constructor(channels: number, options: SqueezeExciteOptions) {
    super();
    const { reducedChannels, keys } = optionsOf(
      options,
      { reducedChannels: undefined, keys: ['reduce', 'expand'] },
      'SqueezeExcite',
    );
    const [reduce, expand] = listOf(keys, 'SqueezeExcite: keys', [2], 'texts', (key) => typeof key === 'string');
    this.reduce = this.child(reduce, new Conv2d(channels, reducedChannels as number, 1));
    this.expand = this.child(expand, new Conv2d(reducedChannels as number, channels, 1));
  }

  /** The block is called SEBlock where it comes from. */
  override get typeName(): string {
    return 'SEBlock';
  }

  override compute<X>(f: Ops<X>, x: X): X {
    const inner = f.relu(this.reduce.compute(f, f.globalAveragePool2d(x)));
    return f.mul(x, f.sigmoid(this.expand.compute(f, inner)));
  }
}

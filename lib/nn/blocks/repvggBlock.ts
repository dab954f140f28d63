/**
 * RepVGG's block: 3×3 + 1×1 + identity, each with a batch norm. Ding et al. 2021 (arXiv:2101.03697), section 3.2.
 *
 *     y = relu(se(bn(conv3×3(x)) + bn(conv1×1(x)) + bn(x)))
 *
 * The identity is there where input and output have one shape; se in D2se only.
 */
import { flag } from '../../checks.js';
import type { Ops } from '../../ops/vocabulary.js';
import { isOne, type PairLike, pair } from '../../ops/window.js';
import { optionsOf } from '../../options.js';
import { Identity, ReLU } from '../layers/activations.js';
import { BatchNorm2d } from '../layers/batchNorm2d.js';
import type { Sequential } from '../layers/containers.js';
import { Conv2d } from '../layers/conv2d.js';
import type { Module } from '../module.js';
import { convBn } from './convBn.js';
import { ReparamBlock } from './reparamBlock.js';
import { SqueezeExcite } from './squeezeExcite.js';

/** Options of {@link RepVGGBlock}. */
export interface RepVGGBlockOptions {
  /** Pixels from one window to the next; default 1. */
  stride?: PairLike;
  /** Groups of both convolutions; default 1. */
  groups?: number;
  /** Squeeze-and-excite with a sixteenth of the channels, before the activation; default false. */
  useSe?: boolean;
  /** What the batch norms add to the variance; default 1e-5. */
  eps?: number;
  /** Makes the deployed form: `rbr_reparam` in place of the branches; default false. */
  deploy?: boolean;
}

const defaults = { stride: 1, groups: 1, useSe: false, eps: 1e-5, deploy: false } as const;

/**
 * relu(se(3×3 + 1×1 + identity)), each branch with a batch norm, [N, C, H, W] → [N, O, ⌈H/s⌉, ⌈W/s⌉]; the identity is
 * there where C = O and the stride is 1. Keys: `rbr_dense`, `rbr_1x1` (each `conv` and `bn`), `rbr_identity`, `se`;
 * deployed: `rbr_reparam`. Ding et al. 2021 (arXiv:2101.03697), section 3.2.
 *
 * @example
 * ```ts
 * import { RepVGGBlock } from 'repconv';
 *
 * const block = new RepVGGBlock(16, 16, { groups: 2 }).eval();
 * const { kernel, bias } = block.getEquivalentKernelBias();
 * console.log(kernel.shape, bias.shape); // [ 16, 8, 3, 3 ] [ 16 ]
 * ```
 */
export class RepVGGBlock extends ReparamBlock {
  private readonly nonlinearity: ReLU;
  private readonly se: Module;
  private identity: BatchNorm2d | null;
  private dense: Sequential | null;
  private pointwise: Sequential | null;

  /** @throws ERR_INPUT for channels that the groups do not divide, stride 0, … */
  constructor(inChannels: number, outChannels: number, options: RepVGGBlockOptions = {}) {
    super(inChannels, 'rbr_reparam');
    const { stride, groups, useSe, eps, deploy } = optionsOf(options, defaults, 'RepVGGBlock');
    this.nonlinearity = this.child('nonlinearity', new ReLU());
    this.se = this.child(
      'se',
      flag(useSe, 'RepVGGBlock: useSe')
        ? new SqueezeExcite(outChannels, { reducedChannels: Math.floor(outChannels / 16), keys: ['down', 'up'] })
        : new Identity(),
    );
    if (flag(deploy, 'RepVGGBlock: deploy')) {
      this.identity = this.dense = this.pointwise = null;
      this.setReparam(new Conv2d(inChannels, outChannels, 3, { stride, groups, padding: 1 }));
      return;
    }
    const keepsShape = inChannels === outChannels && isOne(pair(stride, 'RepVGGBlock', 'stride', 1));
    this.identity = keepsShape ? this.child('rbr_identity', new BatchNorm2d(inChannels, { eps })) : null;
    this.dense = this.child(
      'rbr_dense',
      convBn(inChannels, outChannels, 3, { stride, groups, padding: 1, bias: false, eps }),
    );
    this.pointwise = this.child('rbr_1x1', convBn(inChannels, outChannels, 1, { stride, groups, bias: false, eps }));
  }

  protected override branches<X>(f: Ops<X>, x: X): X {
    const sum = f.add((this.dense as Sequential).compute(f, x), (this.pointwise as Sequential).compute(f, x));
    return this.identity === null ? sum : f.add(sum, this.identity.compute(f, x));
  }

  protected override finish<X>(f: Ops<X>, x: X): X {
    return this.nonlinearity.compute(f, this.se.compute(f, x));
  }

  protected override removeBranches(): void {
    for (const name of ['rbr_identity', 'rbr_dense', 'rbr_1x1']) this.removeChild(name);
    this.identity = this.dense = this.pointwise = null;
  }
}

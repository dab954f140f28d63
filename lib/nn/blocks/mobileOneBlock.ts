/**
 * MobileOne's block: several k×k branches, a 1×1 branch where k > 1, a skip with a batch norm. Vasu et al. 2023
 * (arXiv:2206.04040), section 3.2.
 *
 *     y = relu(se(bn(x) + bn(conv1×1(x)) + Σ_i bn(conv_i k×k(x))))
 */
import { flag, wholeNumber } from '../../checks.js';
import type { Ops } from '../../ops/vocabulary.js';
import { isOne, type PairLike, pair, positiveInteger } from '../../ops/window.js';
import { optionsOf } from '../../options.js';
import { Identity, ReLU } from '../layers/activations.js';
import { BatchNorm2d } from '../layers/batchNorm2d.js';
import { ModuleList, type Sequential } from '../layers/containers.js';
import { Conv2d } from '../layers/conv2d.js';
import type { Module } from '../module.js';
import { convBn } from './convBn.js';
import { ReparamBlock } from './reparamBlock.js';
import { SqueezeExcite } from './squeezeExcite.js';

/** Options of {@link MobileOneBlock}. */
export interface MobileOneBlockOptions {
  /** Pixels from one window to the next; default 1. */
  stride?: PairLike;
  /** Pixels around the image, for the k×k convolutions; default 0. */
  padding?: number;
  /** Groups of all convolutions; default 1. */
  groups?: number;
  /** Squeeze-and-excite with a sixteenth of the channels, before the activation; default false. */
  useSe?: boolean;
  /** Number of k×k branches; default 1. */
  branches?: number;
  /** What the batch norms add to the variance; default 1e-5. */
  eps?: number;
  /** Makes the deployed form: `reparam_conv` in place of the branches; default false. */
  deploy?: boolean;
}

const defaults = { stride: 1, padding: 0, groups: 1, useSe: false, branches: 1, eps: 1e-5, deploy: false } as const;
/** Far more than anybody has tried (the paper: 4), and few enough to be made. */
const maxBranches = 64;

/**
 * relu(se(Σ k×k + 1×1 + identity)), each branch with a batch norm, [N, C, H, W] → [N, O, H', W']. The 1×1 is there
 * where k > 1, the identity where C = O and the stride is 1. Keys: `rbr_conv.0` …, `rbr_scale`, `rbr_skip`, `se`;
 * deployed: `reparam_conv`. Vasu et al. 2023 (arXiv:2206.04040), section 3.2.
 *
 * @example
 * ```ts
 * import { MobileOneBlock, randn, repconv } from 'repconv';
 *
 * const block = new MobileOneBlock(8, 8, 3, { padding: 1, groups: 8, branches: 4 }).eval();
 * const { model, report } = repconv(block);
 * console.log(report.blocks[0].into); // 3×3 depthwise
 * console.log(model.forward(randn([1, 8, 6, 6])).shape); // [ 1, 8, 6, 6 ]
 * ```
 */
export class MobileOneBlock extends ReparamBlock {
  private readonly se: Module;
  private readonly activation: ReLU;
  private skip: BatchNorm2d | null;
  private convs: ModuleList | null;
  private scale: Sequential | null;

  /** @throws ERR_INPUT for channels that the groups do not divide, stride 0, … */
  constructor(inChannels: number, outChannels: number, kernelSize: number, options: MobileOneBlockOptions = {}) {
    super(inChannels, 'reparam_conv');
    const { stride, padding, groups, useSe, branches, eps, deploy } = optionsOf(options, defaults, 'MobileOneBlock');
    positiveInteger(kernelSize, 'MobileOneBlock', 'kernelSize');
    wholeNumber(branches, 'MobileOneBlock: branches', 1, maxBranches);
    this.se = this.child(
      'se',
      flag(useSe, 'MobileOneBlock: useSe')
        ? new SqueezeExcite(outChannels, { reducedChannels: Math.floor(outChannels / 16) })
        : new Identity(),
    );
    this.activation = this.child('activation', new ReLU());
    if (flag(deploy, 'MobileOneBlock: deploy')) {
      this.skip = this.convs = this.scale = null;
      this.setReparam(new Conv2d(inChannels, outChannels, kernelSize, { stride, padding, groups }));
      return;
    }
    const keepsShape = inChannels === outChannels && isOne(pair(stride, 'MobileOneBlock', 'stride', 1));
    const shared = { stride, groups, bias: false, eps };
    this.skip = keepsShape ? this.child('rbr_skip', new BatchNorm2d(inChannels, { eps })) : null;
    this.convs = this.child(
      'rbr_conv',
      new ModuleList(
        Array.from({ length: branches }, () => convBn(inChannels, outChannels, kernelSize, { ...shared, padding })),
      ),
    );
    this.scale = kernelSize > 1 ? this.child('rbr_scale', convBn(inChannels, outChannels, 1, shared)) : null;
  }

  protected override branches<X>(f: Ops<X>, x: X): X {
    const branches = [...(this.convs as ModuleList), this.scale, this.skip].filter(
      (branch): branch is Module => branch !== null,
    );
    return branches.map((branch) => branch.compute(f, x)).reduce((sum, branch) => f.add(sum, branch));
  }

  protected override finish<X>(f: Ops<X>, x: X): X {
    return this.activation.compute(f, this.se.compute(f, x));
  }

  protected override removeBranches(): void {
    for (const name of ['rbr_skip', 'rbr_conv', 'rbr_scale']) this.removeChild(name);
    this.skip = this.convs = this.scale = null;
  }
}

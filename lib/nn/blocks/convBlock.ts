/**
 * The article's ConvBlock, with its faults mended (docs/article.md names them and what each costs).
 *
 *               ┌─ conv3_3: 3×3 convolution + batch norm ─┐
 *     x ────────┼─ conv1_1: 1×1 convolution + batch norm ─┼─ + ─ relu ─ y
 *               └─ rbr_identity: batch norm ──────────────┘            only where input and output have one shape
 *
 * deployed: x ─ rbr_reparam: 3×3 convolution ─ relu ─ y
 */
import { flag } from '../../checks.js';
import type { Ops } from '../../ops/vocabulary.js';
import { isOne, type PaddingMode, type PairLike, pair } from '../../ops/window.js';
import { optionsOf } from '../../options.js';
import { Identity, ReLU } from '../layers/activations.js';
import { BatchNorm2d } from '../layers/batchNorm2d.js';
import type { Sequential } from '../layers/containers.js';
import { Conv2d } from '../layers/conv2d.js';
import { convBn } from './convBn.js';
import { ReparamBlock } from './reparamBlock.js';

/** Options of {@link ConvBlock}. */
export interface ConvBlockOptions {
  /** Pixels from one window to the next; default 1. */
  stride?: PairLike;
  /** Groups of both convolutions; default 1. */
  groups?: number;
  /** How the 3×3 convolution continues the image beyond its border; default `zeros`. */
  paddingMode?: PaddingMode;
  /** What the batch norms add to the variance; default 1e-5. */
  eps?: number;
  /** Makes the deployed form: `rbr_reparam` in place of the branches; default false. */
  deploy?: boolean;
}

const defaults = { stride: 1, groups: 1, paddingMode: 'zeros', eps: 1e-5, deploy: false } as const;

/**
 * relu(3×3 + 1×1 + identity), each branch with a batch norm, [N, C, H, W] → [N, O, ⌈H/s⌉, ⌈W/s⌉]; the identity is there
 * where C = O and the stride is 1. Keys: `conv3_3`, `conv1_1` (each `conv` and `bn`), `rbr_identity`; deployed:
 * `rbr_reparam`.
 *
 * The block of "Implementing re-parameterized convolution by hand", without its eight faults (docs/article.md); after
 * RepVGG, Ding et al. 2021 (arXiv:2101.03697).
 *
 * @example
 * ```ts
 * import { ConvBlock, difference, randn } from 'repconv';
 *
 * const block = new ConvBlock(8, 8).eval();
 * const x = randn([1, 8, 12, 12]);
 * const before = block.forward(x);
 * block.switchToDeploy();
 * console.log([...block.stateDict().keys()].join()); // rbr_reparam.weight,rbr_reparam.bias
 * console.log(difference(block.forward(x), before).relative < 1e-5); // true
 * ```
 */
export class ConvBlock extends ReparamBlock {
  private readonly identity: Identity;
  private readonly relu: ReLU;
  private normIdentity: BatchNorm2d | null;
  private conv3x3: Sequential | null;
  private conv1x1: Sequential | null;

  /** @throws ERR_INPUT for channels that the groups do not divide, stride 0, … */
  constructor(inChannels: number, outChannels: number, options: ConvBlockOptions = {}) {
    super(inChannels, 'rbr_reparam');
    const { stride, groups, paddingMode, eps, deploy } = optionsOf(options, defaults, 'ConvBlock');
    const spatial = { stride, groups };
    this.identity = this.child('identity', new Identity());
    this.relu = this.child('relu', new ReLU());
    if (flag(deploy, 'ConvBlock: deploy')) {
      this.normIdentity = this.conv3x3 = this.conv1x1 = null;
      this.setReparam(new Conv2d(inChannels, outChannels, 3, { ...spatial, padding: 1, paddingMode }));
      return;
    }
    const keepsShape = inChannels === outChannels && isOne(pair(stride, 'ConvBlock', 'stride', 1));
    this.normIdentity = keepsShape ? this.child('rbr_identity', new BatchNorm2d(outChannels, { eps })) : null;
    this.conv3x3 = this.child(
      'conv3_3',
      convBn(inChannels, outChannels, 3, { ...spatial, padding: 1, paddingMode, eps }),
    );
    this.conv1x1 = this.child('conv1_1', convBn(inChannels, outChannels, 1, { ...spatial, eps }));
  }

  protected override branches<X>(f: Ops<X>, x: X): X {
    const sum = f.add((this.conv3x3 as Sequential).compute(f, x), (this.conv1x1 as Sequential).compute(f, x));
    return this.normIdentity === null ? sum : f.add(sum, this.normIdentity.compute(f, this.identity.compute(f, x)));
  }

  protected override finish<X>(f: Ops<X>, x: X): X {
    return this.relu.compute(f, x);
  }

  protected override removeBranches(): void {
    for (const name of ['rbr_identity', 'conv3_3', 'conv1_1']) this.removeChild(name);
    this.normIdentity = this.conv3x3 = this.conv1x1 = null;
  }
}

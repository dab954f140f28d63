import { flag, wholeNumber } from '../../checks.js';
import { RepconvError } from '../../errors.js';
import { type Conv2dAttributes, conv2dAttributes, conv2dDefaults } from '../../ops/conv/conv2d.js';
import type { Ops } from '../../ops/vocabulary.js';
import { type Padding, type PaddingLike, type PaddingMode, type Pair, type PairLike, pair } from '../../ops/window.js';
import { optionsOf } from '../../options.js';
import type { AnyTensor } from '../../tensor/tensor.js';
import { uniformByFanIn } from '../init.js';
import { Module } from '../module.js';
import { pythonBool, pythonTuple } from '../python.js';

/** Options of {@link Conv2d}, with PyTorch's defaults. A pair is one number for both axes, or [height, width]. */
export interface Conv2dLayerOptions {
  /** Pixels from one window to the next; default 1. */
  stride?: PairLike;
  /** Pixels around the image, default 0: one number, [height, width], or [top, left, bottom, right]. */
  padding?: PaddingLike;
  /** Pixels from one element of the kernel to the next; default 1. */
  dilation?: PairLike;
  /** Parts into which the channels are divided, each convolved by itself; default 1. */
  groups?: number;
  /** Whether a number is added to each output channel; default true. */
  bias?: boolean;
  /** How the image goes on beyond its border; default `zeros`. */
  paddingMode?: PaddingMode;
}

/** What is taken where nobody says. */
export const conv2dLayerDefaults = { ...conv2dDefaults, bias: true } as const;

/**
 * A convolution [N, C, H, W] → [N, O, H', W'] with H' = ⌊(H + top + bottom − d·(K − 1) − 1) / s⌋ + 1. Keys: `weight`
 * [O, C / groups, K, L], `bias` [O].
 *
 * @example
 * ```ts
 * import { Conv2d, randn } from 'repconv';
 *
 * const conv = new Conv2d(3, 8, 3, { stride: 2, padding: 1, paddingMode: 'reflect' });
 * console.log(conv.forward(randn([1, 3, 32, 48])).shape); // [ 1, 8, 16, 24 ]
 * console.log(conv.weight.shape); // [ 8, 3, 3, 3 ]
 * ```
 */
export class Conv2d extends Module {
  /** Channels of the input. */
  readonly inChannels: number;
  /** Channels of the output. */
  readonly outChannels: number;
  /** Height and width of the kernel. */
  readonly kernelSize: Pair;
  /** How the kernel slides. */
  readonly attributes: Conv2dAttributes;

  /**
   * Weights are random, as PyTorch's are: uniform within 1 / √(C / groups · K · L).
   * @throws ERR_INPUT for sizes that are no convolution
   */
  constructor(inChannels: number, outChannels: number, kernelSize: PairLike, options: Conv2dLayerOptions = {}) {
    super();
    const { bias, ...attributes } = optionsOf(options, conv2dLayerDefaults, 'Conv2d');
    this.inChannels = channels(inChannels, 'Conv2d', 'inChannels');
    this.outChannels = channels(outChannels, 'Conv2d', 'outChannels');
    this.kernelSize = pair(kernelSize, 'Conv2d', 'kernelSize', 1);
    this.attributes = conv2dAttributes(attributes);
    const { groups } = this.attributes;
    checkGroups(groups, inChannels, outChannels, 'Conv2d');
    const fanIn = (inChannels / groups) * this.kernelSize[0] * this.kernelSize[1];
    this.parameter('weight', uniformByFanIn([outChannels, inChannels / groups, ...this.kernelSize], fanIn));
    if (flag(bias, 'Conv2d: bias')) this.parameter('bias', uniformByFanIn([outChannels], fanIn));
  }

  /** The kernels [O, C / groups, K, L]. */
  get weight(): AnyTensor {
    return this.tensor('weight') as AnyTensor;
  }

  /** What is added to each output channel, [O]; null where there is none. */
  get bias(): AnyTensor | null {
    return this.tensor('bias');
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.conv2d(x, f.lift(this.weight), this.bias && f.lift(this.bias), this.attributes);
  }

  protected override extraRepr(): string {
    const { stride, padding, dilation, groups, paddingMode } = this.attributes;
    return [
      `${this.inChannels}, ${this.outChannels}, kernel_size=${pythonTuple(this.kernelSize)}, stride=${pythonTuple(stride)}`,
      ...(padding.some((p) => p !== 0) ? [`padding=${pythonTuple(shownPadding(padding))}`] : []),
      ...(dilation.some((d) => d !== 1) ? [`dilation=${pythonTuple(dilation)}`] : []),
      ...(groups === 1 ? [] : [`groups=${groups}`]),
      ...(this.bias === null ? [`bias=${pythonBool(false)}`] : []),
      ...(paddingMode === 'zeros' ? [] : [`padding_mode=${paddingMode}`]),
    ].join(', ');
  }
}

/** (height, width) where PyTorch could say it so. */
export function shownPadding(padding: Padding): readonly number[] {
  const [top, left, bottom, right] = padding;
  return top === bottom && left === right ? [top, left] : padding;
}

/** @throws ERR_INPUT */
export function channels(count: number, layer: string, role: string): number {
  return wholeNumber(count, `${layer}: ${role}`, 1, 2 ** 24);
}

/** @throws ERR_INPUT */
export function checkGroups(groups: number, inChannels: number, outChannels: number, layer: string): void {
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new RepconvError(
      'ERR_INPUT',
      `${layer}: groups expects a divisor of ${inChannels} input and ${outChannels} output channels, got ${groups}`,
    );
  }
}

import { flag } from '../../checks.js';
import {
  type ConvTranspose2dAttributes,
  type ConvTranspose2dOptions,
  convTranspose2dAttributes,
  convTranspose2dDefaults,
} from '../../ops/conv/convTranspose2d.js';
import type { Ops } from '../../ops/vocabulary.js';
import { type Pair, type PairLike, pair } from '../../ops/window.js';
import { optionsOf } from '../../options.js';
import type { AnyTensor } from '../../tensor/tensor.js';
import { uniformByFanIn } from '../init.js';
import { Module } from '../module.js';
import { pythonBool, pythonTuple } from '../python.js';
import { channels, checkGroups, shownPadding } from './conv2d.js';

/**
 * A transposed convolution [N, C, H, W] → [N, O, H', W'] with H' = (H − 1)·s − top − bottom + d·(K − 1) + outputPadding
 * + 1. Keys: `weight` [C, O / groups, K, L], `bias` [O].
 */
export class ConvTranspose2d extends Module {
  /** Channels of the input. */
  readonly inChannels: number;
  /** Channels of the output. */
  readonly outChannels: number;
  /** Height and width of the kernel. */
  readonly kernelSize: Pair;
  /** How the kernel is laid over the output. */
  readonly attributes: ConvTranspose2dAttributes;

  /** @throws ERR_INPUT for sizes that are no convolution */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: PairLike,
    options: ConvTranspose2dOptions & { bias?: boolean } = {},
  ) {
    super();
    const { bias, ...attributes } = optionsOf(options, { ...convTranspose2dDefaults, bias: true }, 'ConvTranspose2d');
    this.inChannels = channels(inChannels, 'ConvTranspose2d', 'inChannels');
    this.outChannels = channels(outChannels, 'ConvTranspose2d', 'outChannels');
    this.kernelSize = pair(kernelSize, 'ConvTranspose2d', 'kernelSize', 1);
    this.attributes = convTranspose2dAttributes(attributes);
    const { groups } = this.attributes;
    checkGroups(groups, inChannels, outChannels, 'ConvTranspose2d');
    // PyTorch computes the fan from the weight's second axis, whatever it means here.
    const fanIn = (outChannels / groups) * this.kernelSize[0] * this.kernelSize[1];
    this.parameter('weight', uniformByFanIn([inChannels, outChannels / groups, ...this.kernelSize], fanIn));
    if (flag(bias, 'ConvTranspose2d: bias')) this.parameter('bias', uniformByFanIn([outChannels], fanIn));
  }

  /** The kernels [C, O / groups, K, L]. */
  get weight(): AnyTensor {
    return this.tensor('weight') as AnyTensor;
  }

  /** What is added to each output channel, [O]; null where there is none. */
  get bias(): AnyTensor | null {
    return this.tensor('bias');
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.convTranspose2d(x, f.lift(this.weight), this.bias && f.lift(this.bias), this.attributes);
  }

  protected override extraRepr(): string {
    const { stride, padding, outputPadding, dilation, groups } = this.attributes;
    return [
      `${this.inChannels}, ${this.outChannels}, kernel_size=${pythonTuple(this.kernelSize)}, stride=${pythonTuple(stride)}`,
      ...(padding.some((p) => p !== 0) ? [`padding=${pythonTuple(shownPadding(padding))}`] : []),
      ...(dilation.some((d) => d !== 1) ? [`dilation=${pythonTuple(dilation)}`] : []),
      ...(outputPadding.some((p) => p !== 0) ? [`output_padding=${pythonTuple(outputPadding)}`] : []),
      ...(groups === 1 ? [] : [`groups=${groups}`]),
      ...(this.bias === null ? [`bias=${pythonBool(false)}`] : []),
    ].join(', ');
  }
}

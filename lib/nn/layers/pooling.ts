/** Pooling and flattening as modules, under PyTorch's names. */

import { axisNumber } from '../../ops/operator.js';
import { type AveragePool2dAttributes, averagePool2dAttributes } from '../../ops/pool/averagePool2d.js';
import { type MaxPool2dAttributes, maxPool2dAttributes } from '../../ops/pool/maxPool2d.js';
import type { Ops } from '../../ops/vocabulary.js';
import { isOne, type PaddingLike, type PairLike, pair } from '../../ops/window.js';
import { optionsOf } from '../../options.js';
import { Module } from '../module.js';
import { pythonBool, pythonTuple } from '../python.js';

/** Options of pooling layers, with PyTorch's defaults. A pair is one number for both axes, or [height, width]. */
export interface Pool2dOptions {
  /** Pixels from one window to the next; default: the kernel's size. */
  stride?: PairLike;
  /** Pixels around the image, at most half the kernel; default 0. */
  padding?: PaddingLike;
  /** Whether an incomplete last window counts; default false. */
  ceilMode?: boolean;
}

/** The largest value of each window, [N, C, H, W] → [N, C, H', W']. Padding never wins. */
export class MaxPool2d extends Module {
  /** How the window slides. */
  readonly attributes: MaxPool2dAttributes;
  private readonly shown: string;

  /** @throws ERR_INPUT */
  constructor(kernelSize: PairLike, options: Pool2dOptions & { dilation?: PairLike } = {}) {
    super();
    const given = optionsOf(options, { ...windowDefaults(kernelSize), dilation: 1 }, 'MaxPool2d');
    this.attributes = maxPool2dAttributes({ kernelSize, ...given });
    this.shown = `${shownWindow(kernelSize, given)}, dilation=${shown(given.dilation)}, ceil_mode=${pythonBool(given.ceilMode)}`;
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.maxPool2d(x, this.attributes);
  }

  protected override extraRepr(): string {
    return this.shown;
  }
}

/**
 * The mean of each window, [N, C, H, W] → [N, C, H', W']; padding counts as zeros, or not at all with `countIncludePad:
 * false`.
 */
export class AvgPool2d extends Module {
  /** How the window slides. */
  readonly attributes: AveragePool2dAttributes;
  private readonly shown: string;

  /** @throws ERR_INPUT */
  constructor(kernelSize: PairLike, options: Pool2dOptions & { countIncludePad?: boolean } = {}) {
    super();
    const given = optionsOf(options, { ...windowDefaults(kernelSize), countIncludePad: true }, 'AvgPool2d');
    this.attributes = averagePool2dAttributes({ kernelSize, ...given });
    this.shown = shownWindow(kernelSize, given);
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.averagePool2d(x, this.attributes);
  }

  protected override extraRepr(): string {
    return this.shown;
  }
}

/**
 * Means over parts that divide the image into `outputSize` rows and columns, [N, C, H, W] → [N, C, h, w]; 1 is the mean
 * of each channel.
 */
export class AdaptiveAvgPool2d extends Module {
  /** Rows and columns of the output, as they were given. */
  readonly outputSize: PairLike;
  private readonly isGlobal: boolean;

  /** @throws ERR_INPUT */
  constructor(outputSize: PairLike) {
    super();
    this.isGlobal = isOne(pair(outputSize, 'AdaptiveAvgPool2d', 'outputSize', 1));
    this.outputSize = outputSize;
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return this.isGlobal ? f.globalAveragePool2d(x) : f.adaptiveAveragePool2d(x, { outputSize: this.outputSize });
  }

  protected override extraRepr(): string {
    return `output_size=${shown(this.outputSize)}`;
  }
}

/**
 * The largest values of parts that divide the image into `outputSize` rows and columns, [N, C, H, W] → [N, C, h, w].
 */
export class AdaptiveMaxPool2d extends Module {
  /** Rows and columns of the output, as they were given. */
  readonly outputSize: PairLike;
  private readonly isGlobal: boolean;

  /** @throws ERR_INPUT */
  constructor(outputSize: PairLike) {
    super();
    this.isGlobal = isOne(pair(outputSize, 'AdaptiveMaxPool2d', 'outputSize', 1));
    this.outputSize = outputSize;
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return this.isGlobal ? f.globalMaxPool2d(x) : f.adaptiveMaxPool2d(x, { outputSize: this.outputSize });
  }

  protected override extraRepr(): string {
    return `output_size=${shown(this.outputSize)}`;
  }
}

/** Axes `startDim` to `endDim`, both included, become one; by default [N, C, H, W] → [N, C·H·W]. */
export class Flatten extends Module {
  /** The first of the axes. */
  readonly startDim: number;
  /** The last of the axes; a negative one counts from the last of the input. */
  readonly endDim: number;

  /** @throws ERR_INPUT */
  constructor(options: { startDim?: number; endDim?: number } = {}) {
    super();
    const { startDim, endDim } = optionsOf(options, { startDim: 1, endDim: -1 }, 'Flatten');
    this.startDim = axisNumber(startDim, 'Flatten: startDim');
    this.endDim = axisNumber(endDim, 'Flatten: endDim');
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.flatten(x, { startAxis: this.startDim, endAxis: this.endDim });
  }

  protected override extraRepr(): string {
    return `start_dim=${this.startDim}, end_dim=${this.endDim}`;
  }
}

/** As given: a number stays a number in PyTorch's print. */
function shown(value: number | readonly number[]): string {
  return typeof value === 'number' ? String(value) : pythonTuple(value);
}

/** What is taken where nobody says. */
function windowDefaults(kernelSize: PairLike): Required<Pool2dOptions> {
  return { stride: kernelSize, padding: 0, ceilMode: false };
}

function shownWindow(kernelSize: PairLike, { stride, padding }: Required<Pool2dOptions>): string {
  return `kernel_size=${shown(kernelSize)}, stride=${shown(stride)}, padding=${shown(padding)}`;
}

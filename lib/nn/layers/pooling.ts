/** Pooling and flattening as modules, under PyTorch's names. */
import { type AveragePool2dAttributes, averagePool2dAttributes } from '../../ops/averagePool2d.js';
import { type MaxPool2dAttributes, maxPool2dAttributes } from '../../ops/maxPool2d.js';
import type { Ops } from '../../ops/vocabulary.js';
import { type PaddingLike, type Pair, type PairLike, pair } from '../../ops/window.js';
import { Module } from '../module.js';
import { pythonBool, pythonTuple } from '../python.js';

/** PyTorch's options of pooling layers. A pair is one number for both or [height, width]. */
export interface Pool2dOptions {
  /** Default: the kernel's size. */
  stride?: PairLike;
  /** In pixels, default 0. */
  padding?: PaddingLike;
  /** Whether an incomplete last window counts; default false. */
  ceilMode?: boolean;
}

/** The largest value of each window, [N, C, H, W] → [N, C, H', W']. Padding never wins. @throws ERR_INPUT */
export class MaxPool2d extends Module {
  readonly attributes: MaxPool2dAttributes;
  private readonly shown: string;

  constructor(kernelSize: PairLike, { dilation = 1, ...options }: Pool2dOptions & { dilation?: PairLike } = {}) {
    super();
    this.attributes = maxPool2dAttributes({ kernelSize, dilation, ...options });
    this.shown = `${shownWindow(kernelSize, options)}, dilation=${shown(dilation)}, ceil_mode=${pythonBool(this.attributes.ceilMode)}`;
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
 * false`. @throws ERR_INPUT
 */
export class AvgPool2d extends Module {
  readonly attributes: AveragePool2dAttributes;
  private readonly shown: string;

  constructor(
    kernelSize: PairLike,
    { countIncludePad = true, ...options }: Pool2dOptions & { countIncludePad?: boolean } = {},
  ) {
    super();
    this.attributes = averagePool2dAttributes({ kernelSize, countIncludePad, ...options });
    this.shown = shownWindow(kernelSize, options);
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.averagePool2d(x, this.attributes);
  }

  protected override extraRepr(): string {
    return this.shown;
  }
}

/**
 * The means of a fixed number of bins, [N, C, H, W] → [N, C, ...outputSize]; 1 is the mean of each channel. @throws
 * ERR_INPUT
 */
export class AdaptiveAvgPool2d extends Module {
  readonly outputSize: PairLike;

  constructor(outputSize: PairLike) {
    super();
    this.outputSize = outputSize;
    pair(outputSize, 'AdaptiveAvgPool2d', 'outputSize', 1);
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return isOne(this.outputSize)
      ? f.globalAveragePool2d(x)
      : f.adaptiveAveragePool2d(x, { outputSize: this.outputSize });
  }

  protected override extraRepr(): string {
    return `output_size=${shown(this.outputSize)}`;
  }
}

/** The largest values of a fixed number of bins, [N, C, H, W] → [N, C, ...outputSize]. @throws ERR_INPUT */
export class AdaptiveMaxPool2d extends Module {
  readonly outputSize: PairLike;

  constructor(outputSize: PairLike) {
    super();
    this.outputSize = outputSize;
    pair(outputSize, 'AdaptiveMaxPool2d', 'outputSize', 1);
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return isOne(this.outputSize) ? f.globalMaxPool2d(x) : f.adaptiveMaxPool2d(x, { outputSize: this.outputSize });
  }

  protected override extraRepr(): string {
    return `output_size=${shown(this.outputSize)}`;
  }
}

/** Axes `startDim` to `endDim`, both included, become one; by default [N, C, H, W] → [N, C·H·W]. */
export class Flatten extends Module {
  readonly startDim: number;
  readonly endDim: number;

  constructor({ startDim = 1, endDim = -1 }: { startDim?: number; endDim?: number } = {}) {
    super();
    this.startDim = startDim;
    this.endDim = endDim;
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.flatten(x, { startAxis: this.startDim, endAxis: this.endDim });
  }

  protected override extraRepr(): string {
    return `start_dim=${this.startDim}, end_dim=${this.endDim}`;
  }
}

function isOne(size: PairLike): boolean {
  const [height, width]: Pair = typeof size === 'number' ? [size, size] : size;
  return height === 1 && width === 1;
}

/** As given: a number stays a number in PyTorch's print. */
function shown(value: number | readonly number[]): string {
  return typeof value === 'number' ? String(value) : pythonTuple(value);
}

function shownWindow(kernelSize: PairLike, { stride, padding }: Pool2dOptions): string {
  return `kernel_size=${shown(kernelSize)}, stride=${shown(stride ?? kernelSize)}, padding=${shown(padding ?? 0)}`;
}

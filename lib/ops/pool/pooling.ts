/** What max and average pooling share: attributes, size rule, and the walk over the windows. */
import { flag } from '../../checks.js';
import { RepconvError } from '../../errors.js';
import { showShape } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { checkHasPixels, type InputTypes, requiredRank, type TensorType } from '../operator.js';
import { type Padding, type PaddingLike, type Pair, type PairLike, paddingOf, pair, windowExtent } from '../window.js';

/** How a pooling window slides, complete: {@link PoolingOptions} with what was left out. */
export interface PoolingAttributes {
  /** Height and width of the window. */
  readonly kernelSize: Pair;
  /** Pixels from one window to the next: height, width. */
  readonly stride: Pair;
  /** Pixels added around the image: top, left, bottom, right. */
  readonly padding: Padding;
  /** Whether a last, incomplete window counts (PyTorch's `ceil_mode`). */
  readonly ceilMode: boolean;
}

/** How a pooling window slides over an image. */
export interface PoolingOptions {
  /** Height and width of the window. */
  kernelSize: PairLike;
  /** Pixels from one window to the next; default: the kernel size. */
  stride?: PairLike;
  /** Pixels added around the image, at most half the kernel; default 0. They count as −∞ for maxima. */
  padding?: PaddingLike;
  /** Whether a last, incomplete window counts (PyTorch's `ceil_mode`); default false. */
  ceilMode?: boolean;
}

/** What is taken where nobody says. */
export const poolingDefaults = { kernelSize: undefined, stride: undefined, padding: 0, ceilMode: false } as const;

/** @throws ERR_INPUT; the padding may be at most half the kernel, so that no window lies wholly outside */
export function poolingAttributes(
  options: { readonly [N in keyof PoolingOptions]: PoolingOptions[N] | undefined },
  operation: string,
): PoolingAttributes {
  const kernelSize = pair(options.kernelSize, operation, 'kernelSize', 1);
  const padding = paddingOf(options.padding, operation);
  if (padding.some((p, side) => p > kernelSize[side % 2] / 2)) {
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: padding expects at most half the kernel ${showShape(kernelSize)}, got ${showShape(padding)}`,
    );
  }
  return {
    kernelSize,
    stride: pair(options.stride === undefined ? kernelSize : options.stride, operation, 'stride', 1),
    padding,
    ceilMode: flag(options.ceilMode, `${operation}: ceilMode`),
  };
}

/** @param dilation of the window, where the operator has one */
export function inferPooling(
  inputs: InputTypes,
  attributes: PoolingAttributes,
  operation: string,
  dilation: Pair = [1, 1],
): TensorType {
  const input = requiredRank(inputs, 0, 4, operation, 'input');
  checkHasPixels(input, operation);
  const { dtype, shape } = input;
  const window = { ...attributes, kernel: attributes.kernelSize, dilation };
  return {
    dtype,
    shape: [
      shape[0],
      shape[1],
      windowExtent(shape[2], 0, window, operation),
      windowExtent(shape[3], 1, window, operation),
    ],
  };
}

/** Whole image to one value per channel: [N, C, H, W] → [N, C, 1, 1]. */
export function inferGlobalPooling(inputs: InputTypes, operation: string): TensorType {
  const input = requiredRank(inputs, 0, 4, operation, 'input');
  checkHasPixels(input, operation);
  return { dtype: input.dtype, shape: [input.shape[0], input.shape[1], 1, 1] };
}

/** To a fixed output size: bin i covers ⌊i·H/h⌋ … ⌈(i + 1)·H/h⌉. */
export function inferAdaptivePooling(inputs: InputTypes, outputSize: Pair, operation: string): TensorType {
  const input = requiredRank(inputs, 0, 4, operation, 'input');
  checkHasPixels(input, operation);
  return { dtype: input.dtype, shape: [input.shape[0], input.shape[1], ...outputSize] };
}

/**
 * A window of one output position along one axis: input positions from, from + step, … below to; bound: where it ends
 * inside the padded input.
 */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly bound: number;
}

export function windowSpans(
  extent: number,
  positions: number,
  axis: 0 | 1,
  { kernelSize, stride, padding }: PoolingAttributes,
  dilation: Pair = [1, 1],
): Span[] {
  const [k, d] = [kernelSize[axis], dilation[axis]];
  return Array.from({ length: positions }, (_, i) => {
    const start = i * stride[axis] - padding[axis];
    const skipped = start < 0 ? Math.ceil(-start / d) : 0;
    return {
      from: start + skipped * d,
      to: Math.min(start + d * (k - 1) + 1, extent),
      step: d,
      bound: Math.min(start + k, extent + padding[axis === 0 ? 2 : 3]) - start,
    };
  });
}

export function adaptiveSpans(extent: number, positions: number): Span[] {
  return Array.from({ length: positions }, (_, i) => {
    const [from, to] = [Math.floor((i * extent) / positions), Math.ceil(((i + 1) * extent) / positions)];
    return { from, to, step: 1, bound: to - from };
  });
}

/** Folds every window with `reduce`, then `finish`es it knowing the two spans. */
export function pooled(
  input: Tensor<'float64'>,
  rows: readonly Span[],
  columns: readonly Span[],
  start: number,
  reduce: (sum: number, x: number) => number,
  finish: (sum: number, row: Span, column: Span) => number = (sum) => sum,
): Tensor<'float64'> {
  const [N, C, H, W] = input.shape;
  const output = new Tensor('float64', [N, C, rows.length, columns.length]);
  const [from, into] = [input.data, output.data];
  let written = 0;
  for (let plane = 0; plane < N * C; plane++) {
    for (const row of rows) {
      for (const column of columns) {
        let value = start;
        for (let y = row.from; y < row.to; y += row.step) {
          for (let x = column.from; x < column.to; x += column.step)
            value = reduce(value, from[(plane * H + y) * W + x]);
        }
        into[written++] = finish(value, row, column);
      }
    }
  }
  return output;
}

/** How many input positions a span covers. */
export function spanLength({ from, to, step }: Span): number {
  return Math.max(0, Math.ceil((to - from) / step));
}

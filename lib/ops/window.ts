/**
 * Attributes of everything that slides a window over an image: pairs (height, width) and the four paddings, given as
 * users give them and completed here; and the size rule they share.
 */
import { isWholeNumber, listOf, oneOf, wholeNumber } from '../checks.js';
import { RepconvError } from '../errors.js';
import { type Extent, floorDivide, plus } from '../tensor/extent.js';
import { showShape } from '../tensor/shape.js';
import { concreteExtent, type TensorType } from './operator.js';

/** Height, width. */
export type Pair = readonly [number, number];
/** Top, left, bottom, right (the order of ONNX). */
export type Padding = readonly [number, number, number, number];
/** One number for both axes, or (height, width). */
export type PairLike = number | Pair;
/** One number for all sides, (height, width), or (top, left, bottom, right). */
export type PaddingLike = number | Pair | Padding;
/** What the border is filled with; PyTorch's names. */
export type PaddingMode = 'zeros' | 'reflect' | 'replicate' | 'circular';

/** Largest extent, stride, padding, … that is taken seriously; keeps every index below 2^53. */
const maxWindow = 2 ** 24;

/** @throws ERR_INPUT when a number is not whole, or not between `least` and {@link maxWindow} */
export function pair(value: unknown, operation: string, role: string, least: number): Pair {
  return windowNumbers(value, [2], operation, role, least) as unknown as Pair;
}

/** Whether both are 1. */
export function isOne([height, width]: Pair): boolean {
  return height === 1 && width === 1;
}

/** @throws ERR_INPUT */
export function paddingOf(value: unknown, operation: string): Padding {
  const [top, left, bottom = top, right = left] = windowNumbers(value, [2, 4], operation, 'padding', 0);
  return [top, left, bottom, right];
}

/** @throws ERR_INPUT */
export function positiveInteger(value: unknown, operation: string, role: string): number {
  return wholeNumber(value, `${operation}: ${role}`, 1, maxWindow);
}

/** @throws ERR_INPUT for an unknown mode */
export function paddingModeOf(mode: unknown, what: string): PaddingMode {
  return oneOf(mode, ['zeros', 'reflect', 'replicate', 'circular'], what);
}

/** Height and width of a weight [., ., K, K']. @throws ERR_SHAPE when a side is symbolic or 0 */
export function kernelOf(weight: TensorType, operation: string): Pair {
  const kernel = [
    concreteExtent(weight, 2, operation, 'weight'),
    concreteExtent(weight, 3, operation, 'weight'),
  ] as const;
  if (kernel[0] === 0 || kernel[1] === 0)
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: weight expects a kernel of at least 1×1, got ${showShape(weight.shape)}`,
    );
  return kernel;
}

/**
 * Number of window positions along one axis: ⌊(extent + before + after − span) / stride⌋ + 1, where span =
 * dilation·(kernel − 1) + 1.
 *
 * With `ceilMode` ⌈⌉ instead, but (as in PyTorch) no window may begin beyond the input and its leading padding, so at
 * most ⌈(extent + before) / stride⌉. Both are ⌊(extent + a) / stride⌋, and the smaller one is that with the smaller a.
 * @throws ERR_SHAPE when no window fits
 */
export function windowExtent(
  extent: Extent,
  axis: 0 | 1,
  window: { kernel: Pair; stride: Pair; padding: Padding; dilation: Pair; ceilMode?: boolean },
  operation: string,
): Extent {
  const [kernel, stride, dilation] = [window.kernel[axis], window.stride[axis], window.dilation[axis]];
  const before = window.padding[axis];
  const after = window.padding[axis === 0 ? 2 : 3];
  const span = dilation * (kernel - 1) + 1;
  const add = before + after - span + stride;
  const positions = floorDivide(plus(extent, window.ceilMode ? Math.min(add, before) + stride - 1 : add), stride);
  if (typeof positions === 'number' && positions < 1) {
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: a window of ${span} does not fit into ${extent} with padding ${before} and ${after}`,
    );
  }
  return positions;
}

/** A number for both axes, or a list of numbers. */
function windowNumbers(
  value: unknown,
  lengths: readonly number[],
  operation: string,
  role: string,
  least: number,
): number[] {
  return listOf(
    typeof value === 'number' ? [value, value] : value,
    `${operation}: ${role}`,
    lengths,
    `whole numbers from ${least} to 2^24`,
    (entry): entry is number => isWholeNumber(entry, least, maxWindow),
  );
}

/**
 * Attributes of everything that slides a window over an image: pairs (height, width) and the four paddings, given as users give them and
 * completed here; and the size rule they share.
 */
import { RepconvError } from '../errors.js';
import { affineExtent, type Extent, opaqueSymbol } from '../tensor/shape.js';

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

/** @throws ERR_INPUT when a number is not whole or lies below `least` */
export function pair(value: PairLike, operation: string, role: string, least: number): Pair {
  const both: Pair = typeof value === 'number' ? [value, value] : value;
  checkNumbers(both, [2], operation, role, least);
  return [both[0], both[1]];
}

/** @throws ERR_INPUT */
export function paddingOf(value: PaddingLike, operation: string): Padding {
  const all: Pair | Padding = typeof value === 'number' ? [value, value] : value;
  checkNumbers(all, [2, 4], operation, 'padding', 0);
  return all.length === 2 ? [all[0], all[1], all[0], all[1]] : [all[0], all[1], all[2], all[3]];
}

/** @throws ERR_INPUT */
export function positiveInteger(value: number, operation: string, role: string): number {
  checkNumbers([value], [1], operation, role, 1);
  return value;
}

/** @throws ERR_INPUT for an unknown mode */
export function paddingModeOf(mode: PaddingMode, operation: string): PaddingMode {
  const known: readonly PaddingMode[] = ['zeros', 'reflect', 'replicate', 'circular'];
  if (!known.includes(mode))
    throw new RepconvError('ERR_INPUT', `${operation}: paddingMode expects one of ${known.join(', ')}, got ${String(mode)}`);
  return mode;
}

/**
 * Number of window positions along one axis: ⌊(extent + before + after − dilation·(kernel − 1) − 1) / stride⌋ + 1, or with ⌈⌉ when `ceilMode`,
 * where a last window that would begin beyond the input and its leading padding is dropped (PyTorch).
 * @throws ERR_SHAPE when the window does not fit
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
  const slack = before + after - dilation * (kernel - 1) - 1;
  if (typeof extent === 'number' && extent + slack < 0) {
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: a window of ${dilation * (kernel - 1) + 1} does not fit into ${extent} with padding ${before} and ${after}`,
    );
  }
  if (!window.ceilMode || stride === 1) return affineExtent(extent, slack + stride, stride);
  if (typeof extent !== 'number') return opaqueSymbol(`ceil((${extent}${slack < 0 ? slack : `+${slack}`})/${stride})+1`);
  const positions = Math.ceil((extent + slack) / stride) + 1;
  return (positions - 1) * stride >= extent + before ? positions - 1 : positions;
}

function checkNumbers(values: readonly number[], lengths: readonly number[], operation: string, role: string, least: number): void {
  const isValid =
    Array.isArray(values) && lengths.includes(values.length) && values.every((v) => Number.isInteger(v) && v >= least && v <= maxWindow);
  if (!isValid)
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: ${role} expects ${lengths.join(' or ')} whole number${lengths[0] === 1 ? '' : 's'} of at least ${least}, got ${JSON.stringify(values)}`,
    );
}

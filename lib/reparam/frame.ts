/**
 * Frames: the geometry of a convolution, apart from its numbers, and how geometries compose and add.
 *
 * An axis is one of the image's. No axis is a linear layer, one is a convolution over a line, two over an image, three
 * over a volume; the rules are the same, axis by axis. Their answers are a frame and the places that the taps of the
 * given kernels take in it, or a reason; kernels are computed by whoever wants them (algebra.ts), so it is known what a
 * merge would cost before a number is touched.
 */
import type { PaddingMode } from '../ops/window.js';
import type { Extent } from '../tensor/extent.js';
import { Reason } from './reason.js';

/** The geometry along one axis of the image. */
export interface FrameAxis {
  /** Taps of the kernel. */
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Padding in front of the image. */
  readonly before: number;
  /** Padding behind it. */
  readonly after: number;
  /** What a transposed convolution adds behind its output; 0 for an ordinary one. */
  readonly outputPadding: number;
}

export interface Frame {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly groups: number;
  readonly axes: readonly FrameAxis[];
  /** How the image is continued beyond its border; `zeros` wherever there is no padding. */
  readonly paddingMode: PaddingMode;
  readonly isTransposed: boolean;
}

/** How a sequence of two becomes one. */
export interface Composition {
  readonly frame: Frame;
  /** What makes the kernel: the channels of one of the two scaled, or those between them contracted. */
  readonly by: 'scaling outputs' | 'scaling inputs' | 'contraction';
  /** Where the pairs of taps come to lie, the second's outside, the first's inside. */
  readonly taps: readonly number[];
}

/** How two branches become one. */
export interface Addition {
  readonly frame: Frame;
  /** Where the taps of each come to lie. */
  readonly taps: readonly [readonly number[], readonly number[]];
}

/**
 * The frame of x ↦ second(first(x)).
 *
 * | case                          | exact                                                                     |
 * |-------------------------------|---------------------------------------------------------------------------|
 * | anything → 1×1                | always                                                                    |
 * | 1×1 → k×k                     | if the k×k pads with what the 1×1 gives there: no padding, or no bias,    |
 * |                               | or a mode that continues the image                                        |
 * | j×j → k×k                     | if the k×k does not pad: taps at d₁·u + s₁·d₂·v, stride s₁·s₂             |
 * | 1×1 without bias → transposed | always                                                                    |
 *
 * @param hasBias whether the first adds anything but 0: its numbers matter only so far
 */
export function composeFrames(second: Frame, first: Frame, hasBias: boolean): Composition | Reason {
  if (second.isTransposed && (!isPointwise(first) || isPadded(first))) return new Reason('TRANSPOSED', '');
  if (first.isTransposed && (!isPointwise(second) || isPadded(second))) return new Reason('TRANSPOSED', '');
  if (second.isTransposed && hasBias) return new Reason('BORDER_BIAS', 'transposed');
  const border = second.isTransposed ? borderOf(second) : composedBorder(second, first, hasBias);
  if (border instanceof Reason) return border;

  // A scale of every channel keeps the other's frame, and costs no contraction.
  if (isScale(second)) return { frame: withBorder(first, border), by: 'scaling outputs', taps: [] };
  if (isScale(first) && !isPadded(first)) return { frame: second, by: 'scaling inputs', taps: [] };
  const composed = second.axes.map((outer, axis) => composedAxis(outer, first.axes[axis], first.isTransposed));
  const frame = {
    inChannels: first.inChannels,
    outChannels: second.outChannels,
    // Different groupings meet in the coarsest that both refine.
    groups: greatestCommonDivisor(first.groups, second.groups),
    axes: composed.map(({ axis }) => axis),
    paddingMode: border.paddingMode,
    isTransposed: first.isTransposed || second.isTransposed,
  };
  const taps = indicesOf(kernelSizeOf(second)).flatMap((v) =>
    indicesOf(kernelSizeOf(first)).map((u) =>
      flatIndex(
        composed.map(({ placeOf }, axis) => placeOf(v[axis], u[axis])),
        kernelSizeOf(frame),
      ),
    ),
  );
  return { frame: withBorder(frame, border), by: 'contraction', taps };
}

/**
 * The frame of x ↦ a(x) + b(x).
 *
 * Per axis, tap j of a branch with dilation d and leading padding p lies (P − p) + j·d behind the first tap of the sum,
 * whose leading padding is P = max p; D is the greatest common divisor of all these places. The maps have equal size
 * for every input iff d·(k − 1) − p − p' agrees.
 *
 * @param inputSize extents of the image that both read, where known: sums that hold for this size only count then too
 */
export function addFrames(a: Frame, b: Frame, inputSize?: readonly Extent[]): Addition | Reason {
  if (a.isTransposed !== b.isTransposed) return addAsOrdinary(a, b, inputSize);
  const strides = [a, b].map(({ axes }) => axes.map(({ stride }) => stride));
  if (strides[0].some((stride, axis) => stride !== strides[1][axis]))
    return new Reason('STRIDE', strides.map((stride) => stride.join('×')).join(' and '));
  if (isPadded(a) && isPadded(b) && a.paddingMode !== b.paddingMode)
    return new Reason('PADDING_MODE', `${a.paddingMode} and ${b.paddingMode}`);
  const added: AddedAxis[] = [];
  for (const [i, axis] of a.axes.entries()) {
    const sum = addedAxis(axis, b.axes[i], a.isTransposed, inputSize?.[i]);
    if (sum instanceof Reason) return sum;
    added.push(sum);
  }
  const frame = {
    ...a,
    groups: greatestCommonDivisor(a.groups, b.groups),
    axes: added.map(({ axis }) => axis),
    paddingMode: isPadded(a) ? a.paddingMode : b.paddingMode,
  };
  const tapsOf = (branch: Frame): number[] =>
    indicesOf(kernelSizeOf(branch)).map((tap) =>
      flatIndex(
        added.map(({ placeOf }, axis) => placeOf(branch.axes[axis], tap[axis])),
        kernelSizeOf(frame),
      ),
    );
  return { frame, taps: [tapsOf(a), tapsOf(b)] };
}

/** Taps along each axis; `[3, 3]`, of a linear layer `[]`. */
export function kernelSizeOf({ axes }: Pick<Frame, 'axes'>): readonly number[] {
  return axes.map(({ kernel }) => kernel);
}

/** Paddings in the order of ONNX: in front along every axis, then behind; for images top, left, bottom, right. */
export function paddingOf({ axes }: Pick<Frame, 'axes'>): readonly number[] {
  return [...axes.map(({ before }) => before), ...axes.map(({ after }) => after)];
}

/** Number of taps: 1 of a linear layer. */
export function tapCountOf({ axes }: Frame): number {
  return axes.reduce((count, { kernel }) => count * kernel, 1);
}

/** Whether it works pixel by pixel on the image it gets: 1×1, stride 1. (It may still pad.) */
function isPointwise({ axes, isTransposed }: Frame): boolean {
  return !isTransposed && axes.every(({ kernel, stride }) => kernel === 1 && stride === 1);
}

/** Whether it does no more than scale and shift every channel. (It may still pad.) */
export function isScale(frame: Frame): boolean {
  return isPointwise(frame) && frame.groups === frame.inChannels && frame.inChannels === frame.outChannels;
}

export function isPadded({ axes }: Pick<Frame, 'axes'>): boolean {
  return axes.some(({ before, after }) => before !== 0 || after !== 0);
}

/** Paddings of all axes, and what they are filled with. */
interface Border {
  readonly sides: readonly Pick<FrameAxis, 'before' | 'after'>[];
  readonly paddingMode: PaddingMode;
}

function borderOf({ axes, paddingMode }: Frame): Border {
  return { sides: axes, paddingMode };
}

function withBorder(frame: Frame, { sides, paddingMode }: Border): Frame {
  const axes = frame.axes.map((axis, i) => ({ ...axis, before: sides[i].before, after: sides[i].after }));
  return { ...frame, axes, paddingMode };
}

/** The border of a composition, or why it would not be right. */
function composedBorder(second: Frame, first: Frame, hasBias: boolean): Border | Reason {
  if (!isPadded(second)) return borderOf(first);
  if (first.isTransposed || tapCountOf(first) !== 1) {
    return new Reason('BORDER_TAPS', `${kernelSizeOf(first).join('×')} before padding ${paddingOf(second).join(',')}`);
  }
  if (second.paddingMode === 'zeros') {
    if (hasBias) return new Reason('BORDER_BIAS', `padding ${paddingOf(second).join(',')}`);
    if (isPadded(first) && first.paddingMode !== 'zeros')
      return new Reason('PADDING_MODE', `${first.paddingMode} inside zeros`);
  } else if (isPadded(first) || first.axes.some(({ stride }) => stride !== 1)) {
    // Continuing a padded or thinned-out image is not continuing the image.
    return new Reason('PADDING_MODE', second.paddingMode);
  }
  // A 1×1 of stride s sees every s-th pixel: each pixel of padding after it is s pixels before it.
  const sides = first.axes.map(({ stride, before, after }, i) => ({
    before: before + stride * second.axes[i].before,
    after: after + stride * second.axes[i].after,
  }));
  return { sides, paddingMode: second.paddingMode };
}

/** First tap u, second tap v at d₁·u + s₁·d₂·v, in steps of their greatest common divisor. */
function composedAxis(
  second: FrameAxis,
  first: FrameAxis,
  isFirstTransposed: boolean,
): { axis: FrameAxis; placeOf(v: number, u: number): number } {
  const [d1, d2] = [first.dilation, first.stride * second.dilation];
  const places = range(second.kernel).flatMap((v) => range(first.kernel).map((u) => d1 * u + d2 * v));
  const dilation = places.reduce(greatestCommonDivisor, 0) || 1;
  const axis = {
    ...second,
    kernel: Math.max(...places) / dilation + 1,
    stride: first.stride * second.stride,
    dilation,
    outputPadding: isFirstTransposed ? first.outputPadding : second.outputPadding,
  };
  return { axis, placeOf: (v, u) => (d1 * u + d2 * v) / dilation };
}

interface AddedAxis {
  readonly axis: FrameAxis;
  placeOf(branch: FrameAxis, tap: number): number;
}

function addedAxis(a: FrameAxis, b: FrameAxis, isTransposed: boolean, extent: Extent | undefined): AddedAxis | Reason {
  const before = Math.max(a.before, b.before);
  const offsetOf = (branch: FrameAxis, tap: number): number => before - branch.before + tap * branch.dilation;
  const offsets = [a, b].flatMap((branch) => range(branch.kernel).map((tap) => offsetOf(branch, tap)));
  const dilation = offsets.reduce(greatestCommonDivisor, 0) || 1;
  const reach = Math.max(...offsets);
  const sum = (after: number, outputPadding: number): AddedAxis => ({
    axis: { kernel: reach / dilation + 1, stride: a.stride, dilation, before, after, outputPadding },
    placeOf: (branch, tap) => offsetOf(branch, tap) / dilation,
  });
  const losses = [lossOf(a), lossOf(b)];
  const hasEqualSize = losses[0] === losses[1];
  if (isTransposed) {
    // What the output loses to padding, beyond the kernel's reach; less than nothing is output padding.
    const after = reach - before - losses[0];
    const outputPadding = Math.max(0, -after);
    if (!hasEqualSize || outputPadding >= Math.max(a.stride, dilation))
      return new Reason('SHAPE_DEPENDENT', `losses ${losses.join(' and ')}`);
    return sum(Math.max(0, after), outputPadding);
  }
  if (hasEqualSize) return sum(reach - before - losses[0], 0);
  // Unequal in general, but equal at this size: the trailing padding that gives this size, if no branch then reads what
  // it did not.
  if (typeof extent !== 'number') return new Reason('SHAPE_DEPENDENT', `losses ${losses.join(' and ')}`);
  const sizes = losses.map((loss) => Math.floor((extent - loss - 1) / a.stride) + 1);
  if (sizes[0] !== sizes[1]) return new Reason('SHAPE_DEPENDENT', `sizes ${sizes.join(' and ')} for ${extent}`);
  const needed = (sizes[0] - 1) * a.stride + reach + 1 - before - extent;
  return sum(Math.max(0, needed), 0);
}

/**
 * How much smaller the output is than the (strided) input: d·(k − 1) − p − p'; of a transposed map with the output
 * padding.
 */
function lossOf({ kernel, dilation, before, after, outputPadding }: FrameAxis): number {
  return dilation * (kernel - 1) - before - after + outputPadding;
}

/** A transposed frame beside an ordinary one, where it is an ordinary one too. */
function addAsOrdinary(a: Frame, b: Frame, inputSize: readonly Extent[] | undefined): Addition | Reason {
  const [plainA, plainB] = [ordinary(a), ordinary(b)];
  if (plainA === null || plainB === null) return new Reason('TRANSPOSED', '');
  const sum = addFrames(plainA, plainB, inputSize);
  if (sum instanceof Reason) return sum;
  const [tapsA, tapsB] = sum.taps;
  return { ...sum, taps: [a.isTransposed ? tapsA.toReversed() : tapsA, b.isTransposed ? tapsB.toReversed() : tapsB] };
}

/**
 * A transposed convolution of stride 1 is an ordinary one with its taps in reverse; null where its padding exceeds its
 * reach.
 */
function ordinary(frame: Frame): Frame | null {
  if (!frame.isTransposed) return frame;
  const axes = frame.axes.map((axis) => {
    const reach = axis.dilation * (axis.kernel - 1);
    const [before, after] = [reach - axis.before, reach - axis.after + axis.outputPadding];
    return { ...axis, before, after, outputPadding: 0 };
  });
  const isOrdinary = axes.every(({ stride, before, after }) => stride === 1 && before >= 0 && after >= 0);
  return isOrdinary ? { ...frame, axes, isTransposed: false } : null;
}

/** All positions in a box, the last axis fastest; of no axes the one position there is. */
function indicesOf(sizes: readonly number[]): readonly (readonly number[])[] {
  return sizes.reduce<number[][]>((all, size) => all.flatMap((index) => range(size).map((i) => [...index, i])), [[]]);
}

function flatIndex(index: readonly number[], sizes: readonly number[]): number {
  return index.reduce((flat, i, axis) => flat * sizes[axis] + i, 0);
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

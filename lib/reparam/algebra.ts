/**
 * The algebra: a sequence composes, parallel branches add. Both are exact for every input, or answer with a reason.
 *
 * `add` and `compose` are all of structural re-parameterization: folding a batch norm is composing with a 1×1 map,
 * merging 3×3 + 1×1 + identity is adding three maps, 1×1 → k×k is composing again (Ding et al. 2021, arXiv:2103.13425,
 * transforms I to VI, here for any kernel, stride, padding, dilation and grouping).
 */
import type { Padding, PaddingMode, Pair } from '../ops/window.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { Extent } from '../tensor/shape.js';
import type { Tensor } from '../tensor/tensor.js';
import { type Arithmetic, inFloat64, type Kernel, nativeArithmetic } from './arithmetic.js';
import { type ConvMap, isPadded, isPointwise, isScale } from './convMap.js';
import { Reason } from './reason.js';

/** What the branches read, where known: sums that hold for this size only may then be formed. */
export interface Context {
  /** Height and width of the common input. */
  readonly inputSize?: readonly [Extent, Extent] | undefined;
  readonly arithmetic?: Arithmetic;
  /**
   * What {@link roundedParameters} will be asked for next, where this is the last step: it may round its kernel on the
   * way to memory, once.
   */
  readonly roundingTo?: FloatDType;
}

/**
 * The map of x ↦ second(first(x)).
 *
 * | case                                          | exact                                                                            |
 * |-----------------------------------------------|----------------------------------------------------------------------------------|
 * | anything → 1×1                                | always                                                                           |
 * | 1×1 → k×k                                     | if the k×k pads with what the 1×1 gives there: no padding, or no bias, or a mode that continues the image |
 * | j×j → k×k                                     | if the k×k does not pad: kernel taps at d₁·u + s₁·d₂·v, stride s₁·s₂                   |
 * | 1×1 without bias → transposed                 | always                                                                           |
 */
export function compose(
  second: ConvMap,
  first: ConvMap,
  { arithmetic = nativeArithmetic, roundingTo }: Context = {},
): ConvMap | Reason {
  if (second.outputPadding !== null && (!isPointwise(first) || isPadded(first.padding)))
    return new Reason('TRANSPOSED', '');
  if (first.outputPadding !== null && (!isPointwise(second) || isPadded(second.padding)))
    return new Reason('TRANSPOSED', '');
  const isFirstTapless = first.kernelSize[0] * first.kernelSize[1] === 1 && first.outputPadding === null;
  const hasBias = first.bias.some((b) => b !== 0);
  if (second.outputPadding !== null && hasBias) return new Reason('BORDER_BIAS', 'transposed');
  const border =
    second.outputPadding === null
      ? composedBorder(second, first, isFirstTapless, hasBias)
      : { padding: second.padding, paddingMode: second.paddingMode };
  if (border instanceof Reason) return border;

  // A scale of every channel keeps the other's frame, and costs no contraction.
  const stored = roundingTo === 'float32' ? 'float32' : 'float64';
  if (isScale(second)) {
    const factors = inFloat64(second.kernel).data;
    const kernel = arithmetic.scaleChannels(first.kernel, factors, 'output', first.groups, stored);
    return { ...first, kernel, bias: first.bias.map((b, o) => b * factors[o] + second.bias[o]), ...border };
  }
  if (isScale(first) && !isPadded(first.padding)) {
    const kernel = arithmetic.scaleChannels(
      second.kernel,
      inFloat64(first.kernel).data,
      'input',
      second.groups,
      stored,
    );
    return { ...second, kernel, bias: composedBias(second, second.kernel, first.bias, second.groups) };
  }
  // Different groupings meet in the coarsest that both refine.
  const groups = greatestCommonDivisor(first.groups, second.groups);
  const [outer, inner] = [regrouped(second, groups, arithmetic), regrouped(first, groups, arithmetic)];
  const contracted = arithmetic.contractChannels(outer, inner, groups);
  const frame = composedFrame(second, first);
  const kernel = arithmetic.placeTaps(null, contracted, {
    taps: frame.taps,
    tapCount: frame.kernelSize[0] * frame.kernelSize[1],
    kernelGroups: groups,
    groups,
  });
  const isTransposed = first.outputPadding !== null || second.outputPadding !== null;
  return {
    inChannels: first.inChannels,
    outChannels: second.outChannels,
    groups,
    kernelSize: frame.kernelSize,
    kernel,
    bias: composedBias(second, outer, first.bias, groups),
    stride: [first.stride[0] * second.stride[0], first.stride[1] * second.stride[1]],
    dilation: frame.dilation,
    ...border,
    outputPadding: isTransposed ? (first.outputPadding ?? second.outputPadding) : null,
  };
}

/**
 * The map of x ↦ a(x) + b(x).
 *
 * Per axis, tap j of a branch with dilation d and leading padding p lies (P − p) + j·d behind the first tap of the sum,
 * whose leading padding is P = max p; D is the greatest common divisor of all these places. The maps have equal size
 * for every input iff d·(k − 1) − p − p' agrees.
 */
export function add(
  a: ConvMap,
  b: ConvMap,
  { inputSize, arithmetic = nativeArithmetic }: Context = {},
): ConvMap | Reason {
  if ((a.outputPadding === null) !== (b.outputPadding === null)) {
    const [plainA, plainB] = [ordinary(a), ordinary(b)];
    return plainA === null || plainB === null
      ? new Reason('TRANSPOSED', '')
      : add(plainA, plainB, { inputSize, arithmetic });
  }
  if (a.stride[0] !== b.stride[0] || a.stride[1] !== b.stride[1])
    return new Reason('STRIDE', `${a.stride.join('×')} and ${b.stride.join('×')}`);
  if (isPadded(a.padding) && isPadded(b.padding) && a.paddingMode !== b.paddingMode)
    return new Reason('PADDING_MODE', `${a.paddingMode} and ${b.paddingMode}`);
  const rows = addedAxis(a, b, 0, inputSize?.[0]);
  if (rows instanceof Reason) return rows;
  const columns = addedAxis(a, b, 1, inputSize?.[1]);
  if (columns instanceof Reason) return columns;

  const groups = greatestCommonDivisor(a.groups, b.groups);
  const tapCount = rows.kernel * columns.kernel;
  const place = (base: Tensor<'float64'> | null, map: ConvMap): Tensor<'float64'> => {
    const taps = tapIndices(map.kernelSize, (u, v) => rows.tapOf(map, u) * columns.kernel + columns.tapOf(map, v));
    return arithmetic.placeTaps(base, map.kernel, { taps, tapCount, kernelGroups: map.groups, groups });
  };
  return {
    inChannels: a.inChannels,
    outChannels: a.outChannels,
    groups,
    kernelSize: [rows.kernel, columns.kernel],
    kernel: place(place(null, a), b),
    bias: a.bias.map((value, o) => value + b.bias[o]),
    stride: a.stride,
    padding: [rows.before, columns.before, rows.after, columns.after],
    dilation: [rows.dilation, columns.dilation],
    paddingMode: isPadded(a.padding) ? a.paddingMode : b.paddingMode,
    outputPadding: a.outputPadding === null ? null : [rows.outputPadding, columns.outputPadding],
  };
}

/** Padding of a composition, or why its border would not be right. */
function composedBorder(
  second: ConvMap,
  first: ConvMap,
  isFirstTapless: boolean,
  hasBias: boolean,
): { padding: Padding; paddingMode: PaddingMode } | Reason {
  if (!isPadded(second.padding)) return { padding: first.padding, paddingMode: first.paddingMode };
  if (!isFirstTapless)
    return new Reason('BORDER_TAPS', `${first.kernelSize.join('×')} before padding ${second.padding.join(',')}`);
  if (second.paddingMode === 'zeros') {
    if (hasBias) return new Reason('BORDER_BIAS', `padding ${second.padding.join(',')}`);
    if (isPadded(first.padding) && first.paddingMode !== 'zeros')
      return new Reason('PADDING_MODE', `${first.paddingMode} inside zeros`);
  } else if (isPadded(first.padding) || first.stride[0] !== 1 || first.stride[1] !== 1) {
    // Continuing a padded or thinned-out image is not continuing the image.
    return new Reason('PADDING_MODE', second.paddingMode);
  }
  // A 1×1 of stride s sees every s-th pixel: each pixel of padding after it is s pixels before it.
  const padding = first.padding.map((p, side) => p + first.stride[side % 2] * second.padding[side]);
  return { padding: padding as unknown as Padding, paddingMode: second.paddingMode };
}

/** Kernel size, dilation and tap places of a composition: first tap u, second tap v at d₁·u + s₁·d₂·v. */
function composedFrame(second: ConvMap, first: ConvMap): { kernelSize: Pair; dilation: Pair; taps: number[] } {
  const axes = ([0, 1] as const).map((axis) => {
    const [d1, d2] = [first.dilation[axis], first.stride[axis] * second.dilation[axis]];
    const places = range(second.kernelSize[axis]).flatMap((v) =>
      range(first.kernelSize[axis]).map((u) => d1 * u + d2 * v),
    );
    const step = places.reduce(greatestCommonDivisor, 0) || 1;
    return { step, kernel: Math.max(...places) / step + 1, tapOf: (v: number, u: number) => (d1 * u + d2 * v) / step };
  });
  const [rows, columns] = axes;
  // In the order in which contractChannels leaves them: the second's taps outside, the first's inside.
  const taps = tapIndices(second.kernelSize, (v, w) => [v, w]).flatMap(([v, w]) =>
    tapIndices(first.kernelSize, (u, t) => rows.tapOf(v, u) * columns.kernel + columns.tapOf(w, t)),
  );
  return { kernelSize: [rows.kernel, columns.kernel], dilation: [rows.step, columns.step], taps };
}

/** bias₂[o] + Σ_{m,t} second[o, m, t] · bias₁[m]: every tap sees the first's bias. */
function composedBias(second: ConvMap, outer: Kernel, bias: Float64Array, groups: number): Float64Array {
  const [O, M, T] = outer.shape;
  const kernel = outer.data;
  return second.bias.map((start, o) => {
    let sum = start;
    for (let m = 0; m < M; m++) {
      const value = bias[Math.floor(o / (O / groups)) * M + m];
      if (value === 0) continue;
      for (let t = 0; t < T; t++) sum += kernel[(o * M + m) * T + t] * value;
    }
    return sum;
  });
}

interface AddedAxis {
  readonly kernel: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
  readonly outputPadding: number;
  tapOf(map: ConvMap, tap: number): number;
}

function addedAxis(a: ConvMap, b: ConvMap, axis: 0 | 1, extent: Extent | undefined): AddedAxis | Reason {
  const before = Math.max(a.padding[axis], b.padding[axis]);
  const placeOf = (map: ConvMap, tap: number): number => before - map.padding[axis] + tap * map.dilation[axis];
  const places = [a, b].flatMap((map) => range(map.kernelSize[axis]).map((tap) => placeOf(map, tap)));
  const dilation = places.reduce(greatestCommonDivisor, 0) || 1;
  const reach = Math.max(...places);
  const axisOf = (after: number, outputPadding: number): AddedAxis => ({
    kernel: reach / dilation + 1,
    dilation,
    before,
    after,
    outputPadding,
    tapOf: (map, tap) => placeOf(map, tap) / dilation,
  });
  const [losses, stride] = [[a, b].map((map) => lossOf(map, axis)), a.stride[axis]];
  const hasEqualSize = losses[0] === losses[1];
  if (a.outputPadding !== null) {
    // What the output loses to padding, beyond the kernel's reach; less than nothing is output padding.
    const after = reach - before - losses[0];
    const outputPadding = Math.max(0, -after);
    if (!hasEqualSize || outputPadding >= Math.max(stride, dilation))
      return new Reason('SHAPE_DEPENDENT', `losses ${losses.join(' and ')}`);
    return axisOf(Math.max(0, after), outputPadding);
  }
  if (hasEqualSize) return axisOf(reach - before - losses[0], 0);
  // Unequal in general, but equal at this size: the trailing padding that gives this size, if no branch then reads what
  // it did not.
  if (typeof extent !== 'number') return new Reason('SHAPE_DEPENDENT', `losses ${losses.join(' and ')}`);
  const sizes = losses.map((loss) => Math.floor((extent - loss - 1) / stride) + 1);
  if (sizes[0] !== sizes[1]) return new Reason('SHAPE_DEPENDENT', `sizes ${sizes.join(' and ')} for ${extent}`);
  const needed = (sizes[0] - 1) * stride + reach + 1 - before - extent;
  return axisOf(Math.max(0, needed), 0);
}

/**
 * How much smaller the output is than the (strided) input: d·(k − 1) − p − p'; for a transposed map with the output
 * padding.
 */
function lossOf(map: ConvMap, axis: 0 | 1): number {
  const loss = map.dilation[axis] * (map.kernelSize[axis] - 1) - map.padding[axis] - map.padding[axis === 0 ? 2 : 3];
  return loss + (map.outputPadding?.[axis] ?? 0);
}

/**
 * A transposed map of stride 1 is an ordinary one with its taps in reverse; null where its padding exceeds its reach.
 */
function ordinary(map: ConvMap): ConvMap | null {
  if (map.outputPadding === null) return map;
  const reach = ([0, 1] as const).map((axis) => map.dilation[axis] * (map.kernelSize[axis] - 1));
  const padding = map.padding.map(
    (p, side) => reach[side % 2] - p + (side >= 2 ? (map.outputPadding?.[side - 2] ?? 0) : 0),
  );
  if (map.stride[0] !== 1 || map.stride[1] !== 1 || padding.some((p) => p < 0)) return null;
  const T = map.kernel.shape[2];
  const kernel = map.kernel.clone();
  for (let i = 0; i < kernel.size; i += T) kernel.data.subarray(i, i + T).reverse();
  return { ...map, kernel, padding: padding as unknown as Padding, outputPadding: null };
}

function regrouped(map: ConvMap, groups: number, arithmetic: Arithmetic): Kernel {
  if (map.groups === groups) return map.kernel;
  const tapCount = map.kernel.shape[2];
  return arithmetic.placeTaps(null, map.kernel, { taps: range(tapCount), tapCount, kernelGroups: map.groups, groups });
}

function tapIndices<T>([K, L]: Pair, indexOf: (u: number, v: number) => T): T[] {
  return range(K).flatMap((u) => range(L).map((v) => indexOf(u, v)));
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

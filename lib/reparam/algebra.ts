/**
 * The algebra: a sequence composes, parallel branches add. Both are exact for every input, or answer with a reason.
 *
 * `add` and `compose` are all of structural re-parameterization: folding a batch norm is composing with a 1×1 map,
 * merging 3×3 + 1×1 + identity is adding three maps, 1×1 → k×k is composing again (Ding et al. 2021, arXiv:2103.13425,
 * transforms I to VI, here for any number of axes, kernel, stride, padding, dilation and grouping). What becomes of the
 * geometry, and where there is a reason instead, is decided in frame.ts; here are the numbers.
 */
import type { Extent } from '../tensor/extent.js';
import { type Arithmetic, inFloat64, type Kernel, nativeArithmetic } from './arithmetic.js';
import type { ConvMap } from './convMap.js';
import { addFrames, composeFrames, tapCountOf } from './frame.js';
import { isReason, type Reason } from './reason.js';

/** What the branches read, where known: sums that hold for this size only may then be formed. */
export interface Context {
  /** Extents of the common input's axes behind the channels: height and width of images. */
  readonly inputSize?: readonly Extent[] | undefined;
  readonly arithmetic?: Arithmetic;
}

/** The map of x ↦ second(first(x)). */
export function compose(
  second: ConvMap,
  first: ConvMap,
  { arithmetic = nativeArithmetic }: Context = {},
): ConvMap | Reason {
  const hasBias = first.bias.some((b) => b !== 0);
  const composition = composeFrames(second, first, hasBias);
  if (isReason(composition)) return composition;
  const { frame, by, taps } = composition;
  if (by === 'scaling outputs') {
    const factors = inFloat64(second.kernel).data;
    const kernel = arithmetic.scaleChannels(first.kernel, factors, 'output', first.groups);
    return { ...frame, kernel, bias: first.bias.map((b, o) => b * factors[o] + second.bias[o]) };
  }
  if (by === 'scaling inputs') {
    const factors = inFloat64(first.kernel).data;
    const kernel = arithmetic.scaleChannels(second.kernel, factors, 'input', second.groups);
    return { ...frame, kernel, bias: composedBias(second, second.kernel, first.bias, second.groups) };
  }
  const { groups } = frame;
  const [outer, inner] = [regrouped(second, groups, arithmetic), regrouped(first, groups, arithmetic)];
  const contracted = arithmetic.contractChannels(outer, inner, groups);
  const placement = { taps, tapCount: tapCountOf(frame), kernelGroups: groups, groups };
  return {
    ...frame,
    kernel: arithmetic.placeTaps(null, contracted, placement),
    bias: composedBias(second, outer, first.bias, groups),
  };
}

/** The map of x ↦ a(x) + b(x). */
export function add(
  a: ConvMap,
  b: ConvMap,
  { inputSize, arithmetic = nativeArithmetic }: Context = {},
): ConvMap | Reason {
  const addition = addFrames(a, b, inputSize);
  if (isReason(addition)) return addition;
  const { frame, taps } = addition;
  const placement = { tapCount: tapCountOf(frame), groups: frame.groups };
  const first = arithmetic.placeTaps(null, a.kernel, { ...placement, taps: taps[0], kernelGroups: a.groups });
  const kernel = arithmetic.placeTaps(first, b.kernel, { ...placement, taps: taps[1], kernelGroups: b.groups });
  return { ...frame, kernel, bias: a.bias.map((value, o) => value + b.bias[o]) };
}

/** bias₂[o] + Σ_{m,t} second[o, m, t] · bias₁[m]: every tap sees the first's bias. */
function composedBias(second: ConvMap, outer: Kernel, bias: Float64Array, groups: number): Float64Array {
  if (bias.every((value) => value === 0)) return second.bias.slice();
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

function regrouped(map: ConvMap, groups: number, arithmetic: Arithmetic): Kernel {
  if (map.groups === groups) return map.kernel;
  const tapCount = tapCountOf(map);
  const taps = Array.from({ length: tapCount }, (_, tap) => tap);
  return arithmetic.placeTaps(null, map.kernel, { taps, tapCount, kernelGroups: map.groups, groups });
}

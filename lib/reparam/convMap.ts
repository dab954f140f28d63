/**
 * A ConvMap: one convolution as a value, in float64. Batch norm with running statistics, identity, scales, average
 * pooling (where exact), padding and linear layers are ConvMaps too; what differs is only their frame and kernel.
 *
 *     y[o, i] = bias[o] + Σ_{c,u} kernel[o, c, u] · x̂[g(o)·I + c, i·s + u·d − p]
 *
 * (one axis shown; x̂ continues x by the padding mode) and transposed, y[o, i·s + u·d − p] += kernel[o, c, u] ·
 * x[g(o)·I + c, i]. Kernels are stored output channel first in both cases.
 *
 * Formulas of the constructors: Ding et al. 2021 (Diverse Branch Block, arXiv:2103.13425), transforms I and V; identity
 * as in RepVGG (arXiv:2101.03697, section 3.3).
 */

import type { Conv2dAttributes } from '../ops/conv/conv2d.js';
import type { ConvTranspose2dAttributes } from '../ops/conv/convTranspose2d.js';
import type { AveragePool2dAttributes } from '../ops/pool/averagePool2d.js';
import type { PaddingMode } from '../ops/window.js';
import { runSteps, type Steps } from '../steps.js';
import type { FloatDType } from '../tensor/dtype.js';
import { type AnyTensor, Tensor } from '../tensor/tensor.js';
import { type Computation, computation, computeSync, type Kernel, nativeArithmetic } from './arithmetic.js';
import { type Frame, type FrameAxis, isPadded, isScale, kernelSizeOf, paddingOf, tapCountOf } from './frame.js';
import { Reason } from './reason.js';

export interface ConvMap extends Frame {
  /** [O, I/G, T], T the taps of all axes, the last axis fastest. */
  readonly kernel: Kernel;
  /** [O] */
  readonly bias: Float64Array;
}

/** The map of a convolution with weight [O, C/G, K, L] and bias [O] or none. It reads the weight where it lies. */
export function convMap(weight: AnyTensor, bias: AnyTensor | null, attributes: Conv2dAttributes): ConvMap | Reason {
  const [O, I, ...kernelSize] = weight.shape;
  const axes = axesOf(kernelSize, attributes);
  const frame: Frame = {
    ...{ inChannels: I * attributes.groups, outChannels: O, groups: attributes.groups, axes, isTransposed: false },
    paddingMode: isPadded({ axes }) ? attributes.paddingMode : 'zeros',
  };
  return finite({ ...frame, kernel: kernelOf(weight).reshape([O, I, tapCountOf(frame)]), bias: biasOf(bias, O) });
}

/** The map of a transposed convolution with weight [C, O/G, K, L] and bias [O] or none. */
export function convTransposeMap(
  weight: AnyTensor,
  bias: AnyTensor | null,
  attributes: ConvTranspose2dAttributes,
): ConvMap | Reason {
  const [C, perGroup, ...kernelSize] = weight.shape;
  const { groups } = attributes;
  const frame: Frame = {
    ...{ inChannels: C, outChannels: perGroup * groups, groups, axes: axesOf(kernelSize, attributes) },
    paddingMode: 'zeros',
    isTransposed: true,
  };
  const stored = kernelOf(weight).reshape([C, perGroup, tapCountOf(frame)]);
  const kernel = nativeArithmetic.swapChannels(stored, groups);
  return finite({ ...frame, kernel, bias: biasOf(bias, perGroup * groups) });
}

/** x·scale[c] + shift[c] over values of `rank` axes behind the channels: 1×1, with a group for every channel. */
export function scaleMap(scale: Float64Array, shift: Float64Array, rank: number): ConvMap | Reason {
  const C = scale.length;
  const kernel = new Tensor('float64', [C, 1, 1], scale);
  return finite({ ...pointwiseFrame(C, rank), kernel, bias: shift });
}

/** The identity of `channels` channels. */
export function identityMap(channels: number, rank: number): ConvMap {
  return scaleMap(new Float64Array(channels).fill(1), new Float64Array(channels), rank) as ConvMap;
}

/** Batch norm in evaluation: scale γ/√(σ² + ε), shift β − μ·scale; absent weight and bias are 1 and 0. */
export function batchNormMap(
  parameters: { weight: AnyTensor | null; bias: AnyTensor | null; runningMean: AnyTensor; runningVariance: AnyTensor },
  eps: number,
  rank: number,
): ConvMap | Reason {
  const mean = parameters.runningMean.to('float64').data;
  const variance = parameters.runningVariance.to('float64').data;
  const weight = parameters.weight?.to('float64').data;
  const bias = parameters.bias?.to('float64').data;
  const negative = variance.findIndex((v) => v < 0);
  if (negative >= 0) return new Reason('NEGATIVE_VARIANCE', `channel ${negative}: ${variance[negative]}`);
  const scale = variance.map((v, c) => (weight ? weight[c] : 1) / Math.sqrt(v + eps));
  return scaleMap(
    scale,
    scale.map((t, c) => (bias ? bias[c] : 0) - mean[c] * t),
    rank,
  );
}

/**
 * Average pooling as a depthwise convolution with 1/(K·L) everywhere; exact only where padding counts and no window is
 * incomplete.
 */
export function averagePoolMap(channels: number, attributes: AveragePool2dAttributes): ConvMap | Reason {
  const { kernelSize, ceilMode, countIncludePad } = attributes;
  const axes = axesOf(kernelSize, attributes);
  if (ceilMode) return new Reason('CEIL_MODE', '');
  if (!countIncludePad && isPadded({ axes })) return new Reason('COUNT_EXCLUDE_PAD', '');
  const frame = { ...pointwiseFrame(channels, axes.length), axes };
  const T = tapCountOf(frame);
  const kernel = new Tensor('float64', [channels, 1, T], new Float64Array(channels * T).fill(1 / T));
  return { ...frame, kernel, bias: new Float64Array(channels) };
}

/** A border around the image is a 1×1 identity that pads: in front along every axis, then behind. */
export function padMap(channels: number, padding: readonly number[], paddingMode: PaddingMode): ConvMap {
  const rank = padding.length / 2;
  const axes = axesOf(new Array<number>(rank).fill(1), { padding });
  return { ...identityMap(channels, rank), axes, paddingMode: isPadded({ axes }) ? paddingMode : 'zeros' };
}

/** Weight and bias of a map as tensors of one format. */
export interface RoundedParameters<D extends FloatDType> {
  readonly weight: Tensor<D>;
  readonly bias: Tensor<D>;
}

/**
 * Weight and bias of the map as tensors of `dtype`, in memory of their own, each number rounded once: [O, C/G, K, L],
 * or [C, O/G, K, L] for a transposed map. NONFINITE where a number is none, whichever weight it comes from.
 */
export function roundedParameters<D extends FloatDType>(map: ConvMap, dtype: D): RoundedParameters<D> | Reason {
  return runSteps(rounding(map, dtype), computeSync);
}

/** {@link roundedParameters}, as the steps of it. */
export function* rounding<D extends FloatDType>(
  { kernel, bias, outChannels, inChannels, groups, isTransposed, ...frame }: ConvMap,
  dtype: D,
): Steps<Computation, RoundedParameters<D> | Reason> {
  const stored = dtype === 'float32' ? 'float32' : 'float64';
  const computed = yield* computation(kernel, groups, { dtype: stored, isSwapped: isTransposed });
  if (!computed.isFinite) return new Reason('NONFINITE', '');
  const channels = isTransposed ? [inChannels, outChannels / groups] : [outChannels, inChannels / groups];
  const weight = computed.kernel.reshape([...channels, ...kernelSizeOf(frame)]);
  return {
    weight: (weight.dtype === (dtype as string) ? weight : weight.to(dtype)) as Tensor<D>,
    bias: new Tensor('float64', [outChannels], bias).to(dtype),
  };
}

/** What a layer is told that computes the map: PyTorch's options, as lists of one number for each axis. */
export function layerOptions(map: Frame): {
  kernelSize: readonly number[];
  stride: readonly number[];
  padding: readonly number[];
  dilation: readonly number[];
  groups: number;
} {
  return {
    kernelSize: kernelSizeOf(map),
    stride: map.axes.map(({ stride }) => stride),
    padding: paddingOf(map),
    dilation: map.axes.map(({ dilation }) => dilation),
    groups: map.groups,
  };
}

/** What an operator may have no word for: as its own, so that nothing is inherited in its place. */
const unsaid: { readonly [N in 'stride' | 'padding' | 'dilation' | 'outputPadding']: readonly number[] | undefined } = {
  stride: undefined,
  padding: undefined,
  dilation: undefined,
  outputPadding: undefined,
};

/** The axes of a convolution: options are lists of one number for each axis, paddings in front first, then behind. */
function axesOf(kernelSize: readonly number[], attributes: Partial<typeof unsaid>): FrameAxis[] {
  const { stride, padding, dilation, outputPadding } = { ...unsaid, ...attributes };
  return kernelSize.map((kernel, axis) => ({
    kernel,
    stride: stride?.[axis] ?? 1,
    dilation: dilation?.[axis] ?? 1,
    before: padding?.[axis] ?? 0,
    after: padding?.[axis + kernelSize.length] ?? 0,
    outputPadding: outputPadding?.[axis] ?? 0,
  }));
}

/** The frame of what works channel by channel and pixel by pixel. */
function pointwiseFrame(channels: number, rank: number): Frame {
  return {
    ...{ inChannels: channels, outChannels: channels, groups: channels, paddingMode: 'zeros', isTransposed: false },
    axes: axesOf(new Array<number>(rank).fill(1), {}),
  };
}

/** Weights as a kernel: float32 where it lies, float16 and bfloat16 as the float64 they are. */
function kernelOf(weight: AnyTensor): Kernel {
  return weight.dtype === 'float64' || weight.dtype === 'float32' ? (weight as Kernel) : weight.to('float64');
}

function biasOf(bias: AnyTensor | null, channels: number): Float64Array {
  return bias?.to('float64').data ?? new Float64Array(channels);
}

/** What is known at once; a kernel is looked at when it is computed. */
function finite(map: ConvMap): ConvMap | Reason {
  const isScaled = !isScale(map) || map.kernel.data.every(Number.isFinite);
  return isScaled && map.bias.every(Number.isFinite) ? map : new Reason('NONFINITE', '');
}

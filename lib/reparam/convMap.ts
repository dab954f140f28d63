/**
 * A ConvMap: one convolution as a value, in float64. Batch norm with running statistics, identity, scales, average
 * pooling (where exact) and padding are ConvMaps too; what differs is only their kernel.
 *
 *     y[o, i] = bias[o] + Σ_{c,u} kernel[o, c, u] · x̂[g(o)·I + c, i·s + u·d − p]              (one axis shown; x̂ continues x by the padding mode)
 *
 * and transposed, y[o, i·s + u·d − p] += kernel[o, c, u] · x[g(o)·I + c, i]. Kernels are stored output channel first in
 * both cases.
 *
 * Formulas of the constructors: Ding et al. 2021 (Diverse Branch Block, arXiv:2103.13425), transforms I and V; identity
 * as in RepVGG (arXiv:2101.03697, section 3.3).
 */
import type { AveragePool2dAttributes } from '../ops/averagePool2d.js';
import type { Conv2dAttributes } from '../ops/conv2d.js';
import type { ConvTranspose2dAttributes } from '../ops/convTranspose2d.js';
import type { Padding, PaddingMode, Pair } from '../ops/window.js';
import { type AnyTensor, Tensor } from '../tensor/tensor.js';
import { type Kernel, nativeArithmetic } from './arithmetic.js';
import { Reason } from './reason.js';

export interface ConvMap {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly groups: number;
  /** Rows and columns of the kernel. */
  readonly kernelSize: Pair;
  /** [O, I/G, K·L] */
  readonly kernel: Kernel;
  /** [O] */
  readonly bias: Float64Array;
  readonly stride: Pair;
  /** Top, left, bottom, right. */
  readonly padding: Padding;
  readonly dilation: Pair;
  /** `zeros` wherever there is no padding. */
  readonly paddingMode: PaddingMode;
  /** Of a transposed convolution, else null. */
  readonly outputPadding: Pair | null;
}

/** The map of a convolution with weight [O, C/G, K, L] and bias [O] or none. It reads the weight where it lies. */
export function convMap(weight: AnyTensor, bias: AnyTensor | null, attributes: Conv2dAttributes): ConvMap | Reason {
  const [O, I, K, L] = weight.shape;
  return finite({
    inChannels: I * attributes.groups,
    outChannels: O,
    kernelSize: [K, L],
    kernel: kernelOf(weight).reshape([O, I, K * L]),
    bias: biasOf(bias, O),
    outputPadding: null,
    ...attributes,
    paddingMode: isPadded(attributes.padding) ? attributes.paddingMode : 'zeros',
  });
}

/** The map of a transposed convolution with weight [C, O/G, K, L] and bias [O] or none. */
export function convTransposeMap(
  weight: AnyTensor,
  bias: AnyTensor | null,
  attributes: ConvTranspose2dAttributes,
): ConvMap | Reason {
  const [C, perGroup, K, L] = weight.shape;
  const { groups } = attributes;
  return finite({
    inChannels: C,
    outChannels: perGroup * groups,
    kernelSize: [K, L],
    kernel: swapChannels(kernelOf(weight).reshape([C, perGroup, K * L]), groups),
    bias: biasOf(bias, perGroup * groups),
    ...attributes,
    paddingMode: 'zeros',
  });
}

/** x·scale[c] + shift[c]: a 1×1 convolution with a group for every channel. */
export function scaleMap(scale: Float64Array, shift: Float64Array): ConvMap | Reason {
  const C = scale.length;
  return finite({
    ...pointwise,
    inChannels: C,
    outChannels: C,
    groups: C,
    kernel: new Tensor('float64', [C, 1, 1], scale),
    bias: shift,
  });
}

/** The identity of `channels` channels. */
export function identityMap(channels: number): ConvMap {
  return scaleMap(new Float64Array(channels).fill(1), new Float64Array(channels)) as ConvMap;
}

/** Batch norm in evaluation: scale γ/√(σ² + ε), shift β − μ·scale; absent weight and bias are 1 and 0. */
export function batchNormMap(
  parameters: { weight: AnyTensor | null; bias: AnyTensor | null; runningMean: AnyTensor; runningVariance: AnyTensor },
  eps: number,
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
  );
}

/**
 * Average pooling as a depthwise convolution with 1/(K·L) everywhere; exact only where padding counts and no window is
 * incomplete.
 */
export function averagePoolMap(channels: number, attributes: AveragePool2dAttributes): ConvMap | Reason {
  if (attributes.ceilMode) return new Reason('CEIL_MODE', '');
  if (!attributes.countIncludePad && isPadded(attributes.padding)) return new Reason('COUNT_EXCLUDE_PAD', '');
  const [K, L] = attributes.kernelSize;
  const kernel = new Tensor('float64', [channels, 1, K * L], new Float64Array(channels * K * L).fill(1 / (K * L)));
  const { stride, padding } = attributes;
  return {
    ...pointwise,
    ...{ inChannels: channels, outChannels: channels, groups: channels },
    kernelSize: [K, L],
    kernel,
    bias: new Float64Array(channels),
    stride,
    padding,
  };
}

/** A border around the image is a 1×1 identity that pads. */
export function padMap(channels: number, padding: Padding, paddingMode: PaddingMode): ConvMap {
  return { ...identityMap(channels), padding, paddingMode: isPadded(padding) ? paddingMode : 'zeros' };
}

/**
 * Weight and bias of the map as tensors of `dtype`, each number rounded once: [O, C/G, K, L], or [C, O/G, K, L] for a
 * transposed map. The weight is in the map's memory where that has the format.
 */
export function roundedParameters<D extends 'float64' | 'float32' | 'float16' | 'bfloat16'>(
  map: ConvMap,
  dtype: D,
): { weight: Tensor<D>; bias: Tensor<D> } {
  const { kernel, outChannels, inChannels, groups, kernelSize } = map;
  const weight =
    map.outputPadding === null
      ? kernel.reshape([outChannels, inChannels / groups, ...kernelSize])
      : swapChannels(kernel, groups).reshape([inChannels, outChannels / groups, ...kernelSize]);
  const isStoredSo = weight.dtype === (dtype as string);
  return {
    weight: isStoredSo ? (weight as Tensor<D>) : weight.to(dtype),
    bias: new Tensor('float64', [outChannels], map.bias).to(dtype),
  };
}

/** Whether the map works pixel by pixel on the image it gets: 1×1, stride 1. (It may still pad.) */
export function isPointwise({ kernelSize, stride, outputPadding }: ConvMap): boolean {
  return kernelSize[0] === 1 && kernelSize[1] === 1 && stride[0] === 1 && stride[1] === 1 && outputPadding === null;
}

/** Whether the map does no more than scale and shift every channel. (It may still pad.) */
export function isScale(map: ConvMap): boolean {
  return isPointwise(map) && map.groups === map.inChannels && map.inChannels === map.outChannels;
}

export function isPadded(padding: Padding): boolean {
  return padding.some((p) => p !== 0);
}

const pointwise = {
  kernelSize: [1, 1],
  stride: [1, 1],
  padding: [0, 0, 0, 0],
  dilation: [1, 1],
  paddingMode: 'zeros',
  outputPadding: null,
} as const;

/** [G·A, B, T] ↔ [G·B, A, T]: the two channel axes change places inside each group. */
function swapChannels(kernel: Kernel, groups: number): Kernel {
  const [rows, B, T] = kernel.shape;
  const A = rows / groups;
  const result = new Tensor(kernel.dtype, [groups * B, A, T]);
  for (let g = 0; g < groups; g++) {
    for (let a = 0; a < A; a++) {
      for (let b = 0; b < B; b++) {
        const from = ((g * A + a) * B + b) * T;
        result.data.set(kernel.data.subarray(from, from + T), ((g * B + b) * A + a) * T);
      }
    }
  }
  return result;
}

/** Weights as a kernel: float32 where it lies, float16 and bfloat16 as the float64 they are. */
function kernelOf(weight: AnyTensor): Kernel {
  return weight.dtype === 'float64' || weight.dtype === 'float32' ? (weight as Kernel) : weight.to('float64');
}

function biasOf(bias: AnyTensor | null, channels: number): Float64Array {
  return bias?.to('float64').data ?? new Float64Array(channels);
}

function finite(map: ConvMap): ConvMap | Reason {
  return map.bias.every(Number.isFinite) && nativeArithmetic.isFinite(map.kernel) ? map : new Reason('NONFINITE', '');
}

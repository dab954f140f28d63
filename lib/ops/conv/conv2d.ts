/**
 * conv2d: y[n,o,i,j] = b[o] + Σ_{c,u,v} w[o,c,u,v] · x̂[n, g(o)·C/G + c, i·s + u·d, j·s + v·d], with x̂ the padded
 * input.
 *
 * input [N, C, H, W], weight [O, C/G, K, K'], bias [O] or none.
 */
import { RepconvError } from '../../errors.js';
import { optionsOf } from '../../options.js';
import { showShape } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { checkPaddingFits, padded } from '../move/pad.js';
import {
  checkHasPixels,
  checkPerChannel,
  concreteExtent,
  elementsOf,
  type Operator,
  requiredRank,
  type TensorType,
} from '../operator.js';
import {
  kernelOf,
  type Padding,
  type PaddingLike,
  type PaddingMode,
  type Pair,
  type PairLike,
  paddingModeOf,
  paddingOf,
  pair,
  positiveInteger,
  windowExtent,
} from '../window.js';

/** How a convolution slides, complete: {@link Conv2dOptions} with what was left out. */
export interface Conv2dAttributes {
  /** Pixels from one window to the next: height, width. */
  readonly stride: Pair;
  /** Pixels added around the image: top, left, bottom, right. */
  readonly padding: Padding;
  /** Pixels from one element of the kernel to the next: height, width. */
  readonly dilation: Pair;
  /** Parts into which the channels are divided, each convolved by itself. */
  readonly groups: number;
  /** What the padding holds. */
  readonly paddingMode: PaddingMode;
}

/** How a convolution slides over an image. */
export interface Conv2dOptions {
  /** Pixels from one window to the next; default 1. */
  stride?: PairLike;
  /** Pixels added around the image; default 0. */
  padding?: PaddingLike;
  /** Pixels from one element of the kernel to the next; default 1. */
  dilation?: PairLike;
  /** Parts into which the channels are divided, each convolved by itself; default 1. */
  groups?: number;
  /** What the padding holds; default zeros. */
  paddingMode?: PaddingMode;
}

/** What is taken where nobody says. */
export const conv2dDefaults = { stride: 1, padding: 0, dilation: 1, groups: 1, paddingMode: 'zeros' } as const;

export function conv2dAttributes(options: Conv2dOptions = {}): Conv2dAttributes {
  const { stride, padding, dilation, groups, paddingMode } = optionsOf(options, conv2dDefaults, 'conv2d');
  return {
    stride: pair(stride, 'conv2d', 'stride', 1),
    padding: paddingOf(padding, 'conv2d'),
    dilation: pair(dilation, 'conv2d', 'dilation', 1),
    groups: positiveInteger(groups, 'conv2d', 'groups'),
    paddingMode: paddingModeOf(paddingMode, 'conv2d: paddingMode'),
  };
}

export const conv2d: Operator<Conv2dAttributes> = {
  name: 'conv2d',
  inputs: [
    { name: 'input' },
    { name: 'weight', isParameter: true },
    { name: 'bias', isParameter: true, isOptional: true },
  ],
  complete: conv2dAttributes,

  infer(inputs, attributes) {
    const input = requiredRank(inputs, 0, 4, 'conv2d', 'input');
    const weight = requiredRank(inputs, 1, 4, 'conv2d', 'weight');
    checkGroups(input, weight, attributes.groups);
    checkHasPixels(input, 'conv2d');
    checkPerChannel(inputs, 2, weight.shape[0], 'conv2d', 'bias');
    const [N, , H, W] = input.shape;
    checkPaddingFits(H, W, attributes.padding, attributes.paddingMode, 'conv2d');
    const window = { ...attributes, kernel: kernelOf(weight, 'conv2d') };
    return [
      {
        dtype: input.dtype,
        shape: [N, weight.shape[0], windowExtent(H, 0, window, 'conv2d'), windowExtent(W, 1, window, 'conv2d')],
      },
    ];
  },

  macs: ([, weight], [output]) => (elementsOf(output) / Number(output.shape[1])) * elementsOf(weight as TensorType),

  reference([input, weight, bias], { stride, padding, dilation, groups, paddingMode }) {
    const { data: x, shape } = padded(input as Tensor<'float64'>, padding, paddingMode);
    const { data: w } = weight as Tensor<'float64'>;
    const [N, C, H, W] = shape;
    const [O, channelsPerGroup, K, L] = (weight as Tensor<'float64'>).shape;
    const rows = Math.floor((H - dilation[0] * (K - 1) - 1) / stride[0]) + 1;
    const columns = Math.floor((W - dilation[1] * (L - 1) - 1) / stride[1]) + 1;
    const output = new Tensor('float64', [N, O, rows, columns]);
    for (let n = 0; n < N; n++) {
      for (let o = 0; o < O; o++) {
        const plane = output.data.subarray((n * O + o) * rows * columns, (n * O + o + 1) * rows * columns);
        plane.fill(bias ? bias.data[o] : 0);
        const firstChannel = Math.floor(o / (O / groups)) * channelsPerGroup;
        for (let tap = 0; tap < channelsPerGroup * K * L; tap++) {
          const [c, u, v] = [Math.floor(tap / (K * L)), Math.floor(tap / L) % K, tap % L];
          const factor = w[o * channelsPerGroup * K * L + tap];
          const origin = ((n * C + firstChannel + c) * H + u * dilation[0]) * W + v * dilation[1];
          for (let i = 0; i < rows; i++) {
            for (let j = 0; j < columns; j++)
              plane[i * columns + j] += factor * x[origin + i * stride[0] * W + j * stride[1]];
          }
        }
      }
    }
    return [output];
  },
};

function checkGroups(input: TensorType, weight: TensorType, groups: number): void {
  const [C, O] = [concreteExtent(input, 1, 'conv2d', 'input'), concreteExtent(weight, 0, 'conv2d', 'weight')];
  const perGroup = concreteExtent(weight, 1, 'conv2d', 'weight');
  const context = `(input ${showShape(input.shape)}, weight ${showShape(weight.shape)}, groups ${groups})`;
  if (C === 0 || O === 0)
    throw new RepconvError(
      'ERR_SHAPE',
      `conv2d: expects at least one input and one output channel, got ${C} and ${O} ${context}`,
    );
  if (C % groups !== 0 || O % groups !== 0)
    throw new RepconvError(
      'ERR_SHAPE',
      `conv2d: groups expects a divisor of the ${C} input and ${O} output channels, got ${groups} ${context}`,
    );
  if (perGroup * groups !== C)
    throw new RepconvError(
      'ERR_SHAPE',
      `conv2d: weight expects ${perGroup} input channels per group, got ${C / groups} ${context}`,
    );
}

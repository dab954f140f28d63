/**
 * convTranspose2d: the transpose of a convolution, as a scatter: every input element adds itself, times the kernel, to
 * its window of the output.
 *
 *     y[n, g·O/G + o, i·s + u·d − p, j·s + v·d − p] += w[c, o, u, v] · x[n, c, i, j]        for c in group g
 *
 * input [N, C, H, W], weight [C, O/G, K, K'] (channels in first), bias [O] or none. Output extent (H − 1)·s − p − p' +
 * d·(K − 1) + outputPadding + 1.
 */
import { RepconvError } from '../../errors.js';
import { optionsOf } from '../../options.js';
import { plus, times } from '../../tensor/extent.js';
import { showShape } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
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
  type Pair,
  type PairLike,
  paddingOf,
  pair,
  positiveInteger,
} from '../window.js';

/** How a transposed convolution scatters, complete: {@link ConvTranspose2dOptions} with what was left out. */
export interface ConvTranspose2dAttributes {
  /** Pixels of the output from one window to the next: height, width. */
  readonly stride: Pair;
  /** Pixels cut off around the output: top, left, bottom, right. */
  readonly padding: Padding;
  /** Pixels added to the output below and to the right: height, width. */
  readonly outputPadding: Pair;
  /** Pixels from one element of the kernel to the next: height, width. */
  readonly dilation: Pair;
  /** Parts into which the channels are divided, each by itself. */
  readonly groups: number;
}

/** How a transposed convolution scatters its input over the output. */
export interface ConvTranspose2dOptions {
  /** Pixels of the output from one window to the next; default 1. */
  stride?: PairLike;
  /** Pixels cut off around the output; default 0. */
  padding?: PaddingLike;
  /** Pixels added to the output below and to the right, fewer than stride or dilation; default 0. */
  outputPadding?: PairLike;
  /** Pixels from one element of the kernel to the next; default 1. */
  dilation?: PairLike;
  /** Parts into which the channels are divided, each by itself; default 1. */
  groups?: number;
}

/** What is taken where nobody says. */
export const convTranspose2dDefaults = { stride: 1, padding: 0, outputPadding: 0, dilation: 1, groups: 1 } as const;

export function convTranspose2dAttributes(options: ConvTranspose2dOptions = {}): ConvTranspose2dAttributes {
  const operation = 'convTranspose2d';
  const { stride, padding, outputPadding, dilation, groups } = optionsOf(options, convTranspose2dDefaults, operation);
  const attributes = {
    stride: pair(stride, operation, 'stride', 1),
    padding: paddingOf(padding, operation),
    outputPadding: pair(outputPadding, operation, 'outputPadding', 0),
    dilation: pair(dilation, operation, 'dilation', 1),
    groups: positiveInteger(groups, operation, 'groups'),
  };
  for (const axis of [0, 1] as const) {
    const limit = Math.max(attributes.stride[axis], attributes.dilation[axis]);
    if (attributes.outputPadding[axis] >= limit)
      throw new RepconvError(
        'ERR_INPUT',
        `${operation}: outputPadding expects less than stride or dilation (${limit}), got ${attributes.outputPadding[axis]}`,
      );
  }
  return attributes;
}

export const convTranspose2d: Operator<ConvTranspose2dAttributes> = {
  name: 'convTranspose2d',
  inputs: [
    { name: 'input' },
    { name: 'weight', isParameter: true },
    { name: 'bias', isParameter: true, isOptional: true },
  ],
  complete: convTranspose2dAttributes,

  infer(inputs, { stride, padding, outputPadding, dilation, groups }) {
    const operation = 'convTranspose2d';
    const input = requiredRank(inputs, 0, 4, operation, 'input');
    const weight = requiredRank(inputs, 1, 4, operation, 'weight');
    const [C, inChannels, perGroup] = [
      concreteExtent(input, 1, operation, 'input'),
      concreteExtent(weight, 0, operation, 'weight'),
      concreteExtent(weight, 1, operation, 'weight'),
    ];
    const context = `(input ${showShape(input.shape)}, weight ${showShape(weight.shape)}, groups ${groups})`;
    if (C !== inChannels)
      throw new RepconvError(
        'ERR_SHAPE',
        `${operation}: weight expects ${inChannels} input channels, got ${C} ${context}`,
      );
    if (C === 0 || perGroup === 0)
      throw new RepconvError(
        'ERR_SHAPE',
        `${operation}: expects at least one channel in and one out per group, got ${C} and ${perGroup} ${context}`,
      );
    if (C % groups !== 0)
      throw new RepconvError(
        'ERR_SHAPE',
        `${operation}: groups expects a divisor of the ${C} input channels, got ${groups} ${context}`,
      );
    checkHasPixels(input, operation);
    checkPerChannel(inputs, 2, perGroup * groups, operation, 'bias');
    const kernel = kernelOf(weight, operation);
    const spatial = ([0, 1] as const).map((axis) => {
      const after = padding[axis === 0 ? 2 : 3];
      const extent = plus(
        times(input.shape[axis + 2], stride[axis]),
        dilation[axis] * (kernel[axis] - 1) + outputPadding[axis] + 1 - stride[axis] - padding[axis] - after,
      );
      if (typeof extent === 'number' && extent < 1)
        throw new RepconvError(
          'ERR_SHAPE',
          `${operation}: padding ${showShape(padding)} leaves nothing of the output ${context}`,
        );
      return extent;
    });
    return [{ dtype: input.dtype, shape: [input.shape[0], perGroup * groups, ...spatial] }];
  },

  macs: ([input, weight]) =>
    (elementsOf(input as TensorType) / Number(input?.shape[1])) * elementsOf(weight as TensorType),

  reference(inputs, attributes) {
    const [input, weight, bias] = inputs as [Tensor<'float64'>, Tensor<'float64'>, Tensor<'float64'> | null];
    const [{ shape }] = this.infer([input, weight, bias], attributes) as { shape: readonly number[] }[];
    const { stride, padding, dilation, groups } = attributes;
    const [N, C, H, W] = input.shape;
    const [, perGroup, K, L] = weight.shape;
    const [, O, rows, columns] = shape;
    const output = new Tensor('float64', shape);
    const [from, into] = [input.data, output.data];
    if (bias)
      into.forEach((_, i) => {
        into[i] = bias.data[Math.floor(i / (rows * columns)) % O];
      });
    for (let n = 0; n < N; n++) {
      for (let c = 0; c < C; c++) {
        const firstOutput = Math.floor(c / (C / groups)) * perGroup;
        for (let tap = 0; tap < perGroup * K * L; tap++) {
          const [o, u, v] = [Math.floor(tap / (K * L)), Math.floor(tap / L) % K, tap % L];
          const factor = weight.data[c * perGroup * K * L + tap];
          for (let i = 0; i < H; i++) {
            const y = i * stride[0] + u * dilation[0] - padding[0];
            if (y < 0 || y >= rows) continue;
            for (let j = 0; j < W; j++) {
              const x = j * stride[1] + v * dilation[1] - padding[1];
              if (x < 0 || x >= columns) continue;
              into[((n * O + firstOutput + o) * rows + y) * columns + x] +=
                factor * from[((n * C + c) * H + i) * W + j];
            }
          }
        }
      }
    }
    return [output];
  },
};

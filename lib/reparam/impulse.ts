/**
 * What an affine sentence answers to impulses, by a sparse scatter in float64.
 *
 * Every operator says how patches (patches.ts) go through it, and what it adds to every pixel. The second belongs to
 * the answer to the zero image alone, which is read by itself. Nothing here is shared with folding, nor with the
 * reference.
 */

import { type Conv2dAttributes, conv2d } from '../ops/conv/conv2d.js';
import { type ConvTranspose2dAttributes, convTranspose2d } from '../ops/conv/convTranspose2d.js';
import { borderIndex, type PadAttributes, pad } from '../ops/move/pad.js';
import { batchNorm } from '../ops/norm/batchNorm.js';
import type { Operator } from '../ops/operator.js';
import { add, mul } from '../ops/pointwise/binary.js';
import { type AveragePool2dAttributes, averagePool2d } from '../ops/pool/averagePool2d.js';
import { spanLength, windowSpans } from '../ops/pool/pooling.js';
import { type Ops, vocabulary } from '../ops/vocabulary.js';
import type { AnyTensor, Tensor } from '../tensor/tensor.js';
import {
  constantImage,
  emptyPatches,
  type Patches,
  type Reached,
  rangesAround,
  Scratch,
  scaled,
  scattered,
  sum,
} from './patches.js';

/** A sentence of one input and one output, in the affine part of the vocabulary. */
export type AffineSentence = <X>(f: Ops<X>, x: X) => X;

/** What an operator gives. */
interface Response {
  readonly shape: readonly [number, number, number, number];
  readonly patches: Patches;
}

/** A reader of sentences for one map; it converts and turns weights once, however often it reads. */
export class ImpulseReader {
  /** Multiply-accumulates spent. */
  macs = 0;
  readonly memory = new Scratch();
  #readsZero = false;
  readonly #lifted = new Map<AnyTensor, Tensor<'float64'>>();
  readonly #byInput = new Map<Tensor<'float64'>, Float64Array>();

  constructor(readonly shape: readonly [number, number, number, number]) {}

  /** What each of `patches` adds to the answer to the zero image; valid until `memory` is reset. */
  read(sentence: AffineSentence, patches: Patches): Patches {
    const ops = vocabulary<Response | Tensor<'float64'>>({
      lift: (tensor) => this.#lift(tensor),
      apply: (operator, inputs, attributes) => {
        const types = inputs.map((input) => input && { dtype: 'float64' as const, shape: input.shape });
        const shape = operator.infer(types, attributes)[0].shape as Response['shape'];
        const rule = rules.get(operator);
        if (rule === undefined) throw new TypeError(`${operator.name} is not affine`);
        return [rule(inputs, attributes as never, shape, this)];
      },
    });
    return (sentence(ops, { shape: this.shape, patches }) as Response).patches;
  }

  /** The answer to the zero image, as one sample. */
  readZero(sentence: AffineSentence): Patches {
    this.#readsZero = true;
    try {
      return this.read(sentence, emptyPatches(1));
    } finally {
      this.#readsZero = false;
    }
  }

  /** Adds to every pixel what an operator adds, where that is asked for. */
  shifted(patches: Patches, [, , rows, columns]: Response['shape'], shift: Float64Array): Patches {
    return this.#readsZero ? sum(this.memory, patches, constantImage(this.memory, rows, columns, shift)) : patches;
  }

  /** Weights [O, I, T] as [I][T][O]: what one input channel gives to all outputs lies together. */
  byInput(weight: Tensor<'float64'>): Float64Array {
    const known = this.#byInput.get(weight);
    if (known !== undefined) return known;
    const [O, I, K, L] = weight.shape;
    const { data } = weight;
    const turned = new Float64Array(weight.size);
    const length = I * K * L;
    // A cache line at a time: whole rows would come back to each line of `turned` after it has left the cache.
    for (let begin = 0; begin < length; begin += 8) {
      const end = Math.min(begin + 8, length);
      for (let o = 0; o < O; o++) for (let it = begin; it < end; it++) turned[it * O + o] = data[o * length + it];
    }
    this.#byInput.set(weight, turned);
    return turned;
  }

  #lift(tensor: AnyTensor): Tensor<'float64'> {
    const lifted = this.#lifted.get(tensor) ?? tensor.to('float64');
    this.#lifted.set(tensor, lifted);
    return lifted;
  }
}

type Answer = Response | Tensor<'float64'>;
type Rule = (
  inputs: readonly (Answer | null)[],
  attributes: never,
  shape: Response['shape'],
  reader: ImpulseReader,
) => Response;

const rules = new Map<Operator, Rule>([
  [
    conv2d,
    ([x, weight, bias], { stride, padding, dilation, paddingMode, groups }: Conv2dAttributes, shape, reader) => {
      const [, , H, W] = (x as Response).shape;
      const [O, I, K, L] = (weight as Tensor<'float64'>).shape;
      const rows = reachedBy(H, shape[2], K, (at, tap) =>
        borderIndex(at * stride[0] - padding[0] + tap * dilation[0], H, paddingMode),
      );
      const columns = reachedBy(W, shape[3], L, (at, tap) =>
        borderIndex(at * stride[1] - padding[1] + tap * dilation[1], W, paddingMode),
      );
      const kernel = {
        data: reader.byInput(weight as Tensor<'float64'>),
        size: { inputs: I, outputs: O / groups, columns: L },
        step: { group: O / groups, input: K * L * O, tap: O, output: 1 },
      };
      const patches = contracted((x as Response).patches, rows, columns, kernel, reader);
      return {
        shape,
        patches: bias === null ? patches : reader.shifted(patches, shape, (bias as Tensor<'float64'>).data),
      };
    },
  ],
  [
    convTranspose2d,
    ([x, weight, bias], { stride, padding, dilation, groups }: ConvTranspose2dAttributes, shape, reader) => {
      const [, , H, W] = (x as Response).shape;
      const [C, perGroup, K, L] = (weight as Tensor<'float64'>).shape;
      const sourceOf = (at: number, tap: number, axis: 0 | 1, extent: number): number => {
        const reach = at + padding[axis] - tap * dilation[axis];
        return reach % stride[axis] === 0 && reach >= 0 && reach / stride[axis] < extent ? reach / stride[axis] : -1;
      };
      const rows = reachedBy(H, shape[2], K, (at, tap) => sourceOf(at, tap, 0, H));
      const columns = reachedBy(W, shape[3], L, (at, tap) => sourceOf(at, tap, 1, W));
      const kernel = {
        data: (weight as Tensor<'float64'>).data,
        size: { inputs: C / groups, outputs: perGroup, columns: L },
        step: { group: (C / groups) * perGroup * K * L, input: perGroup * K * L, tap: 1, output: K * L },
      };
      const patches = contracted((x as Response).patches, rows, columns, kernel, reader);
      return {
        shape,
        patches: bias === null ? patches : reader.shifted(patches, shape, (bias as Tensor<'float64'>).data),
      };
    },
  ],
  [
    averagePool2d,
    ([x], attributes: AveragePool2dAttributes, shape, reader) => {
      const extents = (x as Response).shape;
      const spans = ([0, 1] as const).map((axis) => windowSpans(extents[axis + 2], shape[axis + 2], axis, attributes));
      // The tap of a window is its own position: by it the share is found.
      const [rows, columns] = spans.map((list, axis) =>
        Array.from({ length: extents[axis + 2] }, (_, i) =>
          list.flatMap((span, at) => (i >= span.from && i < span.to ? [{ at, tap: at }] : [])),
        ),
      );
      const [byRow, byColumn] = spans.map((list) =>
        list.map((span) => 1 / (attributes.countIncludePad ? span.bound : spanLength(span))),
      );
      return {
        shape,
        patches: spread((x as Response).patches, rows, columns, (row, column) => byRow[row] * byColumn[column], reader),
      };
    },
  ],
  [
    pad,
    ([x], { padding, mode }: PadAttributes, shape, reader) => {
      const [, , H, W] = (x as Response).shape;
      const rows = reachedBy(H, shape[2], 1, (at) => borderIndex(at - padding[0], H, mode));
      const columns = reachedBy(W, shape[3], 1, (at) => borderIndex(at - padding[1], W, mode));
      return { shape, patches: spread((x as Response).patches, rows, columns, () => 1, reader) };
    },
  ],
  [
    batchNorm,
    ([x, weight, bias, mean, variance], { eps }: { eps: number }, shape, reader) => {
      const [gamma, beta, mu, sigma2] = [weight, bias, mean, variance] as (Tensor<'float64'> | null)[];
      const scale = (sigma2 as Tensor<'float64'>).data.map((v, c) => (gamma ? gamma.data[c] : 1) / Math.sqrt(v + eps));
      const shift = scale.map((t, c) => (beta ? beta.data[c] : 0) - (mu as Tensor<'float64'>).data[c] * t);
      return { shape, patches: reader.shifted(scaled(reader.memory, (x as Response).patches, scale), shape, shift) };
    },
  ],
  [
    mul,
    ([a, b], _, shape, { memory }) => {
      const [x, factor] = isResponse(a) ? [a, b as Tensor<'float64'>] : [b as Response, a as Tensor<'float64'>];
      return { shape, patches: scaled(memory, x.patches, perChannel(factor, shape[1])) };
    },
  ],
  [
    add,
    ([a, b], _, shape, reader) => {
      if (isResponse(a) && isResponse(b)) return { shape, patches: sum(reader.memory, a.patches, b.patches) };
      const [x, shift] = isResponse(a) ? [a, b as Tensor<'float64'>] : [b as Response, a as Tensor<'float64'>];
      return { shape, patches: reader.shifted(x.patches, shape, perChannel(shift, shape[1])) };
    },
  ],
] as const as readonly [Operator, Rule][]);

function isResponse(answer: Answer | null): answer is Response {
  return answer !== null && 'patches' in answer;
}

function reachedBy(
  extent: number,
  positions: number,
  taps: number,
  sourceOf: (position: number, tap: number) => number,
): Reached {
  const reached: { at: number; tap: number }[][] = Array.from({ length: extent }, () => []);
  for (let at = 0; at < positions; at++) {
    for (let tap = 0; tap < taps; tap++) {
      const source = sourceOf(at, tap);
      if (source >= 0) reached[source].push({ at, tap });
    }
  }
  return reached;
}

/**
 * The weights of a convolution: `inputs` and `outputs` channels in each group, and how far their neighbours lie apart
 * along each axis.
 */
interface KernelView {
  readonly data: Float64Array;
  readonly size: { readonly inputs: number; readonly outputs: number; readonly columns: number };
  readonly step: { readonly group: number; readonly input: number; readonly tap: number; readonly output: number };
}

/** Every pixel scattered through a kernel. A range of channels becomes the outputs of the groups that it touches. */
function contracted(
  x: Patches,
  rows: Reached,
  columns: Reached,
  { data: weights, size, step }: KernelView,
  reader: ImpulseReader,
): Patches {
  const groupOf = (channel: number): number => Math.floor(channel / size.inputs);
  const ranges = rangesAround(
    x.first.map((first) => groupOf(first) * size.outputs),
    x.first.map((first) => (groupOf(first + x.width - 1) + 1) * size.outputs),
  );
  const { inputs, outputs, columns: tapsPerRow } = size;
  const spacing = step.output;
  return scattered(reader.memory, x, rows, columns, ranges, (sample, from, target, to, row, column) => {
    for (let k = 0; k < x.width; k++) {
      const value = x.data[from + k];
      if (value === 0) continue;
      const channel = x.first[sample] + k;
      const group = groupOf(channel);
      const weight =
        group * step.group + (channel - group * inputs) * step.input + (row * tapsPerRow + column) * step.tap;
      const first = to + group * outputs - ranges.first[sample];
      for (let o = 0; o < outputs; o++) target[first + o] += value * weights[weight + o * spacing];
      reader.macs += outputs;
    }
  });
}

/** Every pixel to others of the same channels, with a share of its value. */
function spread(
  x: Patches,
  rows: Reached,
  columns: Reached,
  share: (row: number, column: number) => number,
  { memory }: ImpulseReader,
): Patches {
  return scattered(memory, x, rows, columns, x, (_, from, target, to, row, column) => {
    const factor = share(row, column);
    for (let k = 0; k < x.width; k++) target[to + k] += factor * x.data[from + k];
  });
}

/** A constant of one number, or of one for every channel. */
function perChannel(constant: Tensor<'float64'>, channels: number): Float64Array {
  return constant.size === 1 ? new Float64Array(channels).fill(constant.data[0]) : constant.data;
}

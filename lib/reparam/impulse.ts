/**
 * What an affine sentence answers to impulses, by a sparse scatter in float64.
 *
 * An impulse (some values at one pixel) reaches few pixels, so an answer is a *patch*: a rectangle of pixels, zero outside. The answer to the zero
 * image is one more patch, empty until something shifts it. Every operator says how a patch goes through it and what it adds to every pixel;
 * nothing here is shared with folding, nor with the reference.
 */
import { add } from '../ops/add.js';
import { type AveragePool2dAttributes, averagePool2d } from '../ops/averagePool2d.js';
import { batchNorm } from '../ops/batchNorm.js';
import { type Conv2dAttributes, conv2d } from '../ops/conv2d.js';
import { type ConvTranspose2dAttributes, convTranspose2d } from '../ops/convTranspose2d.js';
import { mul } from '../ops/mul.js';
import type { Operator } from '../ops/operator.js';
import { borderIndex, type PadAttributes, pad } from '../ops/pad.js';
import { spanLength, windowSpans } from '../ops/pooling.js';
import { type Ops, vocabulary } from '../ops/vocabulary.js';
import type { AnyTensor, Tensor } from '../tensor/tensor.js';

/** A sentence of one input and one output, in the affine part of the vocabulary. */
export type AffineSentence = <X>(f: Ops<X>, x: X) => X;

/** A rectangle of pixels, [rows, columns, channels] in `data`; an empty one is zero everywhere. */
export interface Patch {
  readonly top: number;
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/** Answers to the zero image, and what each impulse adds. */
export interface Response {
  readonly shape: readonly [number, number, number, number];
  readonly zero: Patch;
  readonly patches: readonly Patch[];
}

export const emptyPatch: Patch = { top: 0, left: 0, rows: 0, columns: 0, data: new Float64Array() };

/** A reader of sentences for one map; it converts and turns weights once, however often it reads. */
export class ImpulseReader {
  /** Multiply-accumulates spent. */
  macs = 0;
  readonly #lifted = new Map<AnyTensor, Tensor<'float64'>>();
  readonly #byInput = new Map<Tensor<'float64'>, Float64Array>();

  constructor(readonly shape: readonly [number, number, number, number]) {}

  read(sentence: AffineSentence, patches: readonly Patch[]): Response {
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
    return sentence(ops, { shape: this.shape, zero: emptyPatch, patches }) as Response;
  }

  /** Weights [O, I, T] as [I][T][O]: what one input channel gives to all outputs lies together. */
  byInput(weight: Tensor<'float64'>): Float64Array {
    const known = this.#byInput.get(weight);
    if (known !== undefined) return known;
    const [O, I, K, L] = weight.shape;
    const turned = new Float64Array(weight.size);
    for (let o = 0; o < O; o++) for (let it = 0; it < I * K * L; it++) turned[it * O + o] = weight.data[o * I * K * L + it];
    this.#byInput.set(weight, turned);
    return turned;
  }

  #lift(tensor: AnyTensor): Tensor<'float64'> {
    const lifted = this.#lifted.get(tensor) ?? tensor.to('float64');
    this.#lifted.set(tensor, lifted);
    return lifted;
  }
}

/** The sum of two patches, on the rectangle around both. */
export function unitedSum(a: Patch, b: Patch): Patch {
  if (a.data.length === 0) return b;
  if (b.data.length === 0) return a;
  const [top, left] = [Math.min(a.top, b.top), Math.min(a.left, b.left)];
  const rows = Math.max(a.top + a.rows, b.top + b.rows) - top;
  const columns = Math.max(a.left + a.columns, b.left + b.columns) - left;
  const channels = a.data.length / (a.rows * a.columns);
  const data = new Float64Array(rows * columns * channels);
  for (const patch of [a, b]) {
    const line = patch.columns * channels;
    for (let y = 0; y < patch.rows; y++) {
      const to = ((patch.top - top + y) * columns + patch.left - left) * channels;
      for (let i = 0; i < line; i++) data[to + i] += patch.data[y * line + i];
    }
  }
  return { top, left, rows, columns, data };
}

type Answer = Response | Tensor<'float64'>;
type Rule = (inputs: readonly (Answer | null)[], attributes: never, shape: Response['shape'], reader: ImpulseReader) => Response;

const rules = new Map<Operator, Rule>([
  [
    conv2d,
    ([x, weight, bias], { stride, padding, dilation, paddingMode, groups }: Conv2dAttributes, shape, reader) => {
      const [, , H, W] = (x as Response).shape;
      const [, , K, L] = (weight as Tensor<'float64'>).shape;
      const rows = reachedBy(H, shape[2], K, (at, tap) => borderIndex(at * stride[0] - padding[0] + tap * dilation[0], H, paddingMode));
      const columns = reachedBy(W, shape[3], L, (at, tap) => borderIndex(at * stride[1] - padding[1] + tap * dilation[1], W, paddingMode));
      return through(
        x as Response,
        shape,
        scatter(rows, columns, shape[1], contraction(weight as Tensor<'float64'>, groups, reader)),
        bias,
      );
    },
  ],
  [
    convTranspose2d,
    ([x, weight, bias], { stride, padding, dilation, groups }: ConvTranspose2dAttributes, shape, reader) => {
      const [, , H, W] = (x as Response).shape;
      const [, , K, L] = (weight as Tensor<'float64'>).shape;
      const sourceOf = (at: number, tap: number, axis: 0 | 1, extent: number): number => {
        const reach = at + padding[axis] - tap * dilation[axis];
        return reach % stride[axis] === 0 && reach >= 0 && reach / stride[axis] < extent ? reach / stride[axis] : -1;
      };
      const rows = reachedBy(H, shape[2], K, (at, tap) => sourceOf(at, tap, 0, H));
      const columns = reachedBy(W, shape[3], L, (at, tap) => sourceOf(at, tap, 1, W));
      return through(
        x as Response,
        shape,
        scatter(rows, columns, shape[1], transposedContraction(weight as Tensor<'float64'>, groups, reader)),
        bias,
      );
    },
  ],
  [
    averagePool2d,
    ([x], attributes: AveragePool2dAttributes, shape) => {
      const extents = (x as Response).shape;
      const spans = ([0, 1] as const).map((axis) => windowSpans(extents[axis + 2], shape[axis + 2], axis, attributes));
      const reached = spans.map((list, axis) =>
        reachedBy(extents[axis + 2], list.length, 1, () => -1).map((_, i) =>
          list.flatMap((span, at) => (i >= span.from && i < span.to ? [{ at, tap: at }] : [])),
        ),
      );
      const shares = spans.map((list) => list.map((span) => 1 / (attributes.countIncludePad ? span.bound : spanLength(span))));
      const share: PixelRule = (values, from, target, to, row, column) => {
        for (let c = 0; c < shape[1]; c++) target[to + c] += values[from + c] * shares[0][row] * shares[1][column];
      };
      return through(x as Response, shape, scatter(reached[0], reached[1], shape[1], share));
    },
  ],
  [
    pad,
    ([x], { padding, mode }: PadAttributes, shape) => {
      const [, C, H, W] = (x as Response).shape;
      const rows = reachedBy(H, shape[2], 1, (at) => borderIndex(at - padding[0], H, mode));
      const columns = reachedBy(W, shape[3], 1, (at) => borderIndex(at - padding[1], W, mode));
      const copy: PixelRule = (values, from, target, to) => {
        for (let c = 0; c < C; c++) target[to + c] += values[from + c];
      };
      return through(x as Response, shape, scatter(rows, columns, C, copy));
    },
  ],
  [
    batchNorm,
    ([x, weight, bias, mean, variance], { eps }: { eps: number }, shape) => {
      const [gamma, beta, mu, sigma2] = [weight, bias, mean, variance] as (Tensor<'float64'> | null)[];
      const scale = (sigma2 as Tensor<'float64'>).data.map((v, c) => (gamma ? gamma.data[c] : 1) / Math.sqrt(v + eps));
      const shift = scale.map((t, c) => (beta ? beta.data[c] : 0) - (mu as Tensor<'float64'>).data[c] * t);
      return through(x as Response, shape, scaled(scale), { data: shift });
    },
  ],
  [
    mul,
    ([a, b], _, shape) => {
      const [x, factor] = isResponse(a) ? [a, b as Tensor<'float64'>] : [b as Response, a as Tensor<'float64'>];
      return through(x, shape, scaled(perChannel(factor, shape[1])));
    },
  ],
  [
    add,
    ([a, b], _, shape) => {
      if (!isResponse(a)) return through(b as Response, shape, (patch) => patch, { data: perChannel(a as Tensor<'float64'>, shape[1]) });
      if (!isResponse(b)) return through(a, shape, (patch) => patch, { data: perChannel(b as Tensor<'float64'>, shape[1]) });
      return { shape, zero: unitedSum(a.zero, b.zero), patches: a.patches.map((patch, i) => unitedSum(patch, b.patches[i])) };
    },
  ],
] as const as readonly [Operator, Rule][]);

function isResponse(answer: Answer | null): answer is Response {
  return answer !== null && 'zero' in answer;
}

/** All patches through the linear part; the answer to zero also takes the shift of every pixel. */
function through(
  x: Response,
  shape: Response['shape'],
  linear: (patch: Patch) => Patch,
  shift?: { data: Float64Array } | Answer | null,
): Response {
  const zero = linear(x.zero);
  const patches = x.patches.map(linear);
  if (shift == null || !('data' in shift)) return { shape, zero, patches };
  const [, , rows, columns] = shape;
  const everywhere = new Float64Array(rows * columns * shift.data.length).map((_, i) => shift.data[i % shift.data.length]);
  return { shape, zero: unitedSum(zero, { top: 0, left: 0, rows, columns, data: everywhere }), patches };
}

/** For every input index: which output positions read it, by which tap. */
type Reached = readonly (readonly { at: number; tap: number }[])[];

function reachedBy(extent: number, positions: number, taps: number, sourceOf: (position: number, tap: number) => number): Reached {
  const reached: { at: number; tap: number }[][] = Array.from({ length: extent }, () => []);
  for (let at = 0; at < positions; at++) {
    for (let tap = 0; tap < taps; tap++) {
      const source = sourceOf(at, tap);
      if (source >= 0) reached[source].push({ at, tap });
    }
  }
  return reached;
}

/** What one pixel (its values from `from` on) adds to one output pixel (at `to`). */
type PixelRule = (values: Float64Array, from: number, target: Float64Array, to: number, row: number, column: number) => void;

/** Sends every pixel of a patch to the outputs that read it. */
function scatter(rows: Reached, columns: Reached, channels: number, pixel: PixelRule): (patch: Patch) => Patch {
  return (patch) => {
    if (patch.data.length === 0) return emptyPatch;
    const inChannels = patch.data.length / (patch.rows * patch.columns);
    const [top, height] = hull(rows.slice(patch.top, patch.top + patch.rows));
    const [left, width] = hull(columns.slice(patch.left, patch.left + patch.columns));
    const data = new Float64Array(height * width * channels);
    for (let y = 0; y < patch.rows; y++) {
      for (let x = 0; x < patch.columns; x++) {
        for (const row of rows[patch.top + y]) {
          for (const column of columns[patch.left + x]) {
            pixel(
              patch.data,
              (y * patch.columns + x) * inChannels,
              data,
              ((row.at - top) * width + column.at - left) * channels,
              row.tap,
              column.tap,
            );
          }
        }
      }
    }
    return data.length === 0 ? emptyPatch : { top, left, rows: height, columns: width, data };
  };
}

/** First output and number of outputs that a range of inputs reaches. */
function hull(reached: Reached): [number, number] {
  const positions = reached.flat().map(({ at }) => at);
  if (positions.length === 0) return [0, 0];
  const first = Math.min(...positions);
  return [first, Math.max(...positions) - first + 1];
}

function contraction(weight: Tensor<'float64'>, groups: number, reader: ImpulseReader): PixelRule {
  const [O, I, , L] = weight.shape;
  const [byInput, T, perGroup] = [reader.byInput(weight), weight.shape[2] * L, O / groups];
  return (values, from, target, to, row, column) => {
    for (let c = 0; c < I * groups; c++) {
      const value = values[from + c];
      if (value === 0) continue;
      const first = Math.floor(c / I) * perGroup;
      const taps = ((c % I) * T + row * L + column) * O + first;
      for (let o = 0; o < perGroup; o++) target[to + first + o] += value * byInput[taps + o];
      reader.macs += perGroup;
    }
  };
}

/** Weights [C, O/G, K, L]. */
function transposedContraction(weight: Tensor<'float64'>, groups: number, reader: ImpulseReader): PixelRule {
  const [C, perGroup, K, L] = weight.shape;
  return (values, from, target, to, row, column) => {
    for (let c = 0; c < C; c++) {
      const value = values[from + c];
      if (value === 0) continue;
      const first = Math.floor(c / (C / groups)) * perGroup;
      for (let o = 0; o < perGroup; o++) target[to + first + o] += value * weight.data[((c * perGroup + o) * K + row) * L + column];
      reader.macs += perGroup;
    }
  };
}

function scaled(factors: Float64Array): (patch: Patch) => Patch {
  return (patch) => ({ ...patch, data: patch.data.map((value, i) => value * factors[i % factors.length]) });
}

/** A constant of one number, or of one for every channel. */
function perChannel(constant: Tensor<'float64'>, channels: number): Float64Array {
  return constant.size === 1 ? new Float64Array(channels).fill(constant.data[0]) : constant.data;
}

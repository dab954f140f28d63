/**
 * What affine sentences do to an impulse, written down: every operator as steps over sparse images, with what each
 * index along each axis reaches.
 *
 * Nothing here is shared with folding, nor with the reference, and nothing is computed here: a sentence is read once,
 * and then answers as many impulses as there are.
 */
import type { AnswerStep, AnswerSteps } from '../engine/answers.js';
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

/** A sentence of one input and one output, in the affine part of the vocabulary. */
export type AffineSentence = <X>(f: Ops<X>, x: X) => X;

/** What a step reads along one axis. */
export interface Axis {
  /** For every input index: which outputs read it, each by which of `taps`. */
  readonly reached: readonly (readonly { readonly at: number; readonly tap: number }[])[];
  readonly taps: number;
  /** Where taps have shares: the factor that each brings along this axis. */
  readonly shares?: readonly number[];
}

/** Two sentences over images of one size, as steps. */
export interface Recorded extends AnswerSteps {
  /** Along each axis, of every value. */
  readonly extents: readonly (readonly number[])[];
  /** The axes of every step that sends pixels to other places, else null. */
  readonly axes: readonly (readonly Axis[] | null)[];
}

/** Reads two sentences over an image of one size: [1, C, extents …]. */
export function recorded(before: AffineSentence, after: AffineSentence, shape: readonly number[]): Recorded {
  const recorder = new Recorder(shape);
  const compared = [recorder.read(before), recorder.read(after)] as const;
  const { channels, extents, steps, axes } = recorder;
  return { channels, extents, steps, axes, compared };
}

/** A value of a sentence that is read: its number, and its type for the operators' rules. */
interface Image {
  readonly value: number;
  readonly dtype: 'float64';
  readonly shape: readonly number[];
}

class Recorder {
  readonly channels: number[] = [];
  readonly extents: (readonly number[])[] = [];
  readonly steps: AnswerStep[] = [];
  readonly axes: (readonly Axis[] | null)[] = [];
  readonly #image: Image;

  constructor(shape: readonly number[]) {
    this.#image = this.#value(shape);
  }

  /** The number of the value that the sentence gives. */
  read(sentence: AffineSentence): number {
    const ops = vocabulary<Image | AnyTensor>({
      lift: (tensor) => tensor,
      apply: (operator, inputs, attributes) => {
        const rule = rules.get(operator);
        if (rule === undefined) throw new TypeError(`${operator.name} is not affine`);
        const [{ shape }] = operator.infer(inputs, attributes);
        return [rule(inputs, attributes as never, shape as number[], this)];
      },
    });
    return (sentence(ops, this.#image) as Image).value;
  }

  step(step: AnswerStep, shape: readonly number[], axes: readonly Axis[] | null = null): Image {
    this.steps.push(step);
    this.axes.push(axes);
    return this.#value(shape);
  }

  /** A convolution, then its bias. */
  contract(
    x: Image,
    [weight, bias]: readonly (AnyTensor | null)[],
    { groups, isTransposed }: { groups: number; isTransposed: boolean },
    shape: readonly number[],
    axes: readonly Axis[],
  ): Image {
    const kernel = stored(weight as AnyTensor);
    const [rows, columns] = kernel.shape;
    const flat = kernel.reshape([rows, columns, axes.reduce((product, { taps }) => product * taps, 1)]);
    const step = { kind: 'contract', input: x.value, weight: flat, groups, isTransposed } as const;
    const image = this.step(step, shape, axes);
    return bias == null ? image : this.shift(image, numbersOf(bias));
  }

  scale({ value, shape }: Image, factors: Float64Array): Image {
    return this.step({ kind: 'scale', input: value, factors }, shape);
  }

  shift({ value, shape }: Image, shift: Float64Array): Image {
    return this.step({ kind: 'shift', input: value, shift }, shape);
  }

  #value(shape: readonly number[]): Image {
    this.channels.push(shape[1]);
    this.extents.push(shape.slice(2));
    return { value: this.extents.length - 1, dtype: 'float64', shape };
  }
}

type Answer = Image | AnyTensor;
type Rule = (
  inputs: readonly (Answer | null)[],
  attributes: never,
  shape: readonly number[],
  recorder: Recorder,
) => Image;

const rules = new Map<Operator, Rule>([
  [
    conv2d,
    ([x, ...weights], { stride, padding, dilation, paddingMode, groups }: Conv2dAttributes, shape, recorder) => {
      const taps = (weights[0] as AnyTensor).shape.slice(2);
      const axes = (x as Image).shape.slice(2).map((extent, axis) =>
        reachedBy(extent, shape[axis + 2], taps[axis], (at, tap) => {
          return borderIndex(at * stride[axis] - padding[axis] + tap * dilation[axis], extent, paddingMode);
        }),
      );
      return recorder.contract(x as Image, tensors(weights), { groups, isTransposed: false }, shape, axes);
    },
  ],
  [
    convTranspose2d,
    ([x, ...weights], { stride, padding, dilation, groups }: ConvTranspose2dAttributes, shape, recorder) => {
      const taps = (weights[0] as AnyTensor).shape.slice(2);
      const axes = (x as Image).shape.slice(2).map((extent, axis) =>
        reachedBy(extent, shape[axis + 2], taps[axis], (at, tap) => {
          const reach = at + padding[axis] - tap * dilation[axis];
          const source = reach / stride[axis];
          return Number.isInteger(source) && source < extent ? source : -1;
        }),
      );
      return recorder.contract(x as Image, tensors(weights), { groups, isTransposed: true }, shape, axes);
    },
  ],
  [
    averagePool2d,
    ([x], attributes: AveragePool2dAttributes, shape, recorder) => {
      const { value, shape: from } = x as Image;
      const axes = ([0, 1] as const).map((axis): Axis => {
        const spans = windowSpans(from[axis + 2], shape[axis + 2], axis, attributes);
        // The tap of a window is its own position: by it the share is found.
        const reached = Array.from({ length: from[axis + 2] }, (_, i) =>
          spans.flatMap((span, at) => (i >= span.from && i < span.to ? [{ at, tap: at }] : [])),
        );
        const shares = spans.map((span) => 1 / (attributes.countIncludePad ? span.bound : spanLength(span)));
        return { reached, taps: spans.length, shares };
      });
      const [rows, columns] = axes.map(({ shares }) => shares as readonly number[]);
      const shares = Float64Array.from(rows.flatMap((row) => columns.map((column) => row * column)));
      return recorder.step({ kind: 'place', inputs: [value], shares }, shape, axes);
    },
  ],
  [
    pad,
    ([x], { padding, mode }: PadAttributes, shape, recorder) => {
      const { value, shape: from } = x as Image;
      const axes = from
        .slice(2)
        .map((extent, axis) =>
          reachedBy(extent, shape[axis + 2], 1, (at) => borderIndex(at - padding[axis], extent, mode)),
        );
      return recorder.step({ kind: 'place', inputs: [value], shares: Float64Array.of(1) }, shape, axes);
    },
  ],
  [
    batchNorm,
    ([x, ...parameters], { eps }: { eps: number }, _, recorder) => {
      const [gamma, beta, mu, sigma2] = tensors(parameters).map((tensor) => tensor && numbersOf(tensor));
      const scale = (sigma2 as Float64Array).map((v, c) => (gamma ? gamma[c] : 1) / Math.sqrt(v + eps));
      const shift = scale.map((t, c) => (beta ? beta[c] : 0) - (mu as Float64Array)[c] * t);
      return recorder.shift(recorder.scale(x as Image, scale), shift);
    },
  ],
  [
    mul,
    ([a, b], _, shape, recorder) => {
      const [x, factor] = isImage(a) ? [a, b as AnyTensor] : [b as Image, a as AnyTensor];
      return recorder.scale(x, perChannel(factor, shape[1]));
    },
  ],
  [
    add,
    ([a, b], _, shape, recorder) => {
      if (isImage(a) && isImage(b))
        return recorder.step({ kind: 'place', inputs: [a.value, b.value], shares: null }, shape);
      const [x, shift] = isImage(a) ? [a, b as AnyTensor] : [b as Image, a as AnyTensor];
      return recorder.shift(x, perChannel(shift, shape[1]));
    },
  ],
] as const as readonly [Operator, Rule][]);

function isImage(answer: Answer | null): answer is Image {
  return answer !== null && 'value' in answer;
}

function tensors(answers: readonly (Answer | null)[]): readonly (AnyTensor | null)[] {
  return answers as readonly (AnyTensor | null)[];
}

function reachedBy(
  extent: number,
  positions: number,
  taps: number,
  sourceOf: (position: number, tap: number) => number,
): Axis {
  const reached: { at: number; tap: number }[][] = Array.from({ length: extent }, () => []);
  for (let at = 0; at < positions; at++) {
    for (let tap = 0; tap < taps; tap++) {
      const source = sourceOf(at, tap);
      if (source >= 0) reached[source].push({ at, tap });
    }
  }
  return { reached, taps };
}

/** A weight where it lies, or in float32 where it is a half. */
function stored(weight: AnyTensor): Tensor<'float64' | 'float32'> {
  return weight.dtype === 'float64' || weight.dtype === 'float32'
    ? (weight as Tensor<'float64' | 'float32'>)
    : weight.to('float32');
}

function numbersOf(tensor: AnyTensor): Float64Array {
  return tensor.to('float64').data;
}

/** A constant of one number, or of one for every channel. */
function perChannel(constant: AnyTensor, channels: number): Float64Array {
  const numbers = numbersOf(constant);
  return constant.size === 1 ? new Float64Array(channels).fill(numbers[0]) : numbers;
}

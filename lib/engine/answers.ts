/**
 * Answers to impulses, compared: what a certificate computes, on the native side (native/ops/answers.cc).
 *
 * Two sentences are written down as steps over sparse images. Of an image only the pixels that an impulse reaches are
 * there, by number; how they lie to each other is said by *moves*, so nothing here knows how many axes an image has.
 */
import { Tensor } from '../tensor/tensor.js';
import { nativeAddon } from './addon.js';
import { nativeOptions } from './eager.js';
import type { Program, ProgramValue } from './program.js';

/** Steps of both sentences. Value 0 is the image with the impulse, and step i makes value i + 1. */
export interface AnswerSteps {
  /** The channels of every value. */
  readonly channels: readonly number[];
  readonly steps: readonly AnswerStep[];
  /** The two values that should be the same. */
  readonly compared: readonly [number, number];
}

export type AnswerStep =
  /** Every pixel goes through the taps of a kernel: [O, I/G, T], or [I, O/G, T] where it is transposed. */
  | {
      readonly kind: 'contract';
      readonly input: number;
      readonly weight: Tensor<'float64' | 'float32'>;
      readonly groups: number;
      readonly isTransposed: boolean;
    }
  /** Pixels go to other places: one value's with their shares, or, without shares, the sum of two values. */
  | { readonly kind: 'place'; readonly inputs: readonly number[]; readonly shares: Float64Array | null }
  /** Every channel times its factor. */
  | { readonly kind: 'scale'; readonly input: number; readonly factors: Float64Array }
  /** A number for every channel, at every pixel: in the answer to the zero image alone. */
  | { readonly kind: 'shift'; readonly input: number; readonly shift: Float64Array };

/** How the pixels lie that one place of the impulse reaches. */
export interface Layout {
  /** How many pixels each value has. */
  readonly pixels: readonly number[];
  /**
   * For each step its moves, in the order in which they are added: from pixel, to pixel, and which: the tap of a
   * kernel, the share, or the operand of a sum. A step that keeps pixels where they are has none.
   */
  readonly moves: readonly (readonly number[])[];
  /** The pixels that are compared: one of each value, in turn; −1 where a value does not reach, and is zero. */
  readonly pairs: readonly number[];
}

/** What is put into value 0. */
export type Samples =
  /** Nothing: the answer is what the sentence adds. One sample, in a layout where value 0 has no pixel. */
  | { readonly kind: 'zero' }
  /** One channel after the other is 1. */
  | { readonly kind: 'impulses'; readonly firstChannel: number; readonly count: number }
  /** All channels at once, for each layout: [layouts, samples, channels]. */
  | { readonly kind: 'mixes'; readonly numbers: Tensor<'float64'> };

/** The largest |before − after| and the largest |before|; infinite where a number is NaN. */
export interface Difference {
  readonly distance: number;
  readonly magnitude: number;
}

/** Whoever computes answers. */
export type CompareAnswers = (steps: AnswerSteps, layouts: readonly Layout[], samples: Samples) => Difference;

export const compareAnswersNatively: CompareAnswers = (steps, layouts, samples) => {
  const result = new Tensor('float64', [2]);
  const program = programOf(steps, layouts, samples);
  const shapes = program.values.map(
    (value) => (Object.hasOwn(value, 'shape') ? value.shape : undefined) ?? result.shape,
  );
  nativeAddon().execute(program, shapes, [], [result.data], nativeOptions());
  const [distance, magnitude] = result.data;
  return { distance, magnitude };
};

/** A program of one step, whose constants are the numbers of the steps; its attributes say the rest. */
function programOf({ channels, steps, compared }: AnswerSteps, layouts: readonly Layout[], samples: Samples): Program {
  const values: ProgramValue[] = [];
  const constant = (shape: readonly number[], data: Float32Array | Float64Array): number => {
    const dtype = data instanceof Float32Array ? 'float32' : 'float64';
    return values.push({ dtype, layout: 'plain', shape, data }) - 1;
  };
  const records = steps.flatMap((step): number[] => {
    if (step.kind === 'contract') {
      const { input, weight, groups, isTransposed } = step;
      return [0, input, -1, constant(weight.shape, weight.data), groups, Number(isTransposed)];
    }
    if (step.kind === 'place') {
      const { inputs, shares } = step;
      return [1, inputs[0], inputs[1] ?? -1, shares === null ? -1 : constant([shares.length], shares), 1, 0];
    }
    const [kind, numbers] = step.kind === 'scale' ? [2, step.factors] : [3, step.shift];
    return [kind, step.input, -1, constant([numbers.length], numbers), 1, 0];
  });
  const mixes = samples.kind === 'mixes' ? constant(samples.numbers.shape, samples.numbers.data) : -1;
  const inputs = values.map((_, index) => index);
  values.push({ dtype: 'float64', layout: 'plain' });
  const attributes = {
    channels,
    steps: records,
    compared,
    pixels: layouts.flatMap(({ pixels }) => pixels),
    moves: counted(
      layouts.flatMap(({ moves }) => moves),
      3,
    ),
    pairs: counted(
      layouts.map(({ pairs }) => pairs),
      2,
    ),
    zero: Number(samples.kind === 'zero'),
    impulses: samples.kind === 'impulses' ? [samples.firstChannel, samples.count] : [0, 0],
    mixes,
  };
  return {
    values,
    steps: [{ operation: 'compareAnswers', label: 'compareAnswers', inputs, outputs: [values.length - 1], attributes }],
    inputs: [],
    outputs: [values.length - 1],
  };
}

/** All lists in one, each behind the number of its elements, which are so long. (A kernel of 31×31 has a million.) */
function counted(lists: readonly (readonly number[])[], length: number): Int32Array {
  const all = new Int32Array(lists.reduce((sum, list) => sum + 1 + list.length, 0));
  let at = 0;
  for (const list of lists) {
    all[at] = list.length / length;
    all.set(list, at + 1);
    at += 1 + list.length;
  }
  return all;
}

/**
 * The vocabulary: every operator, and `Ops<X>`, the words in which a module says what it computes.
 *
 * A *reading* gives the words a meaning for its own kind of value X: it lifts a tensor to an X and applies an operator
 * to Xs. All words are made from those two here, so that a new operator is one file, one row of `operators` and one
 * word of `Ops`.
 */
import { entriesOf, isInstance, refused } from '../checks.js';
import { optionsOf } from '../options.js';
import { type AnyTensor, Tensor } from '../tensor/tensor.js';
import { adaptiveAveragePool2d, adaptiveAveragePool2dAttributes } from './adaptiveAveragePool2d.js';
import { adaptiveMaxPool2d, adaptiveMaxPool2dAttributes } from './adaptiveMaxPool2d.js';
import { add } from './add.js';
import { type AveragePool2dOptions, averagePool2d, averagePool2dAttributes } from './averagePool2d.js';
import { batchNorm, batchNormAttributes } from './batchNorm.js';
import { batchNormTraining, batchNormTrainingAttributes } from './batchNormTraining.js';
import { concat, concatAttributes } from './concat.js';
import { type Conv2dOptions, conv2d, conv2dAttributes } from './conv2d.js';
import { type ConvTranspose2dOptions, convTranspose2d, convTranspose2dAttributes } from './convTranspose2d.js';
import { flatten, flattenAttributes } from './flatten.js';
import { gelu, geluAttributes } from './gelu.js';
import { globalAveragePool2d } from './globalAveragePool2d.js';
import { globalMaxPool2d } from './globalMaxPool2d.js';
import { hardSigmoid } from './hardSigmoid.js';
import { hardSwish } from './hardSwish.js';
import { leakyRelu, leakyReluAttributes } from './leakyRelu.js';
import { linear } from './linear.js';
import { type MaxPool2dOptions, maxPool2d, maxPool2dAttributes } from './maxPool2d.js';
import { mul } from './mul.js';
import type { Operator } from './operator.js';
import { type PadOptions, pad, padAttributes } from './pad.js';
import { prelu } from './prelu.js';
import { relu } from './relu.js';
import { relu6 } from './relu6.js';
import { reshape, reshapeAttributes } from './reshape.js';
import { sigmoid } from './sigmoid.js';
import { silu } from './silu.js';
import { softmax, softmaxAttributes } from './softmax.js';
import { tanh } from './tanh.js';
import type { PairLike } from './window.js';

/** All operators by name. */
export const operators = {
  adaptiveAveragePool2d,
  adaptiveMaxPool2d,
  add,
  averagePool2d,
  batchNorm,
  batchNormTraining,
  concat,
  conv2d,
  convTranspose2d,
  flatten,
  gelu,
  globalAveragePool2d,
  globalMaxPool2d,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  linear,
  maxPool2d,
  mul,
  pad,
  prelu,
  relu,
  relu6,
  reshape,
  sigmoid,
  silu,
  softmax,
  tanh,
} as const satisfies Record<string, Operator>;

export type OperatorName = keyof typeof operators;

/** The four parameters of a batch norm; weight and bias may be absent (1 and 0). */
export interface BatchNormParameters<X> {
  readonly weight: X | null;
  readonly bias: X | null;
  readonly runningMean: X;
  readonly runningVariance: X;
}

/** What a sentence is written in. Shapes and formulas are those of the operators' files. */
export interface Ops<X> {
  /** A parameter or buffer of the module (or a constant) as a value. */
  lift(tensor: AnyTensor): X;
  /** Records that `value` is what `buffer` holds from now on. Carried out by the native reading only. */
  commit(buffer: AnyTensor, value: X): void;

  conv2d(input: X, weight: X, bias: X | null, options?: Conv2dOptions): X;
  convTranspose2d(input: X, weight: X, bias: X | null, options?: ConvTranspose2dOptions): X;
  linear(input: X, weight: X, bias: X | null): X;
  batchNorm(input: X, parameters: BatchNormParameters<X>, options?: { eps?: number }): X;
  /** Normalizes by the batch's statistics; running statistics come back changed, or of size 0 where none were given. */
  batchNormTraining(
    input: X,
    parameters: { readonly [P in keyof BatchNormParameters<X>]: X | null },
    options?: { eps?: number; momentum?: number },
  ): { output: X; runningMean: X; runningVariance: X };

  add(a: X, b: X): X;
  mul(a: X, b: X): X;
  concat(inputs: readonly X[], options?: { axis?: number }): X;
  pad(input: X, options: PadOptions): X;

  relu(input: X): X;
  relu6(input: X): X;
  leakyRelu(input: X, options?: { negativeSlope?: number }): X;
  prelu(input: X, slope: X): X;
  sigmoid(input: X): X;
  silu(input: X): X;
  hardSigmoid(input: X): X;
  hardSwish(input: X): X;
  gelu(input: X, options?: { approximate?: 'none' | 'tanh' }): X;
  tanh(input: X): X;
  softmax(input: X, options?: { axis?: number }): X;

  maxPool2d(input: X, options: MaxPool2dOptions): X;
  averagePool2d(input: X, options: AveragePool2dOptions): X;
  globalAveragePool2d(input: X): X;
  globalMaxPool2d(input: X): X;
  adaptiveAveragePool2d(input: X, options: { outputSize: PairLike }): X;
  adaptiveMaxPool2d(input: X, options: { outputSize: PairLike }): X;

  flatten(input: X, options?: { startAxis?: number; endAxis?: number }): X;
  reshape(input: X, options: { shape: readonly number[] }): X;
}

/** A meaning of the words for values of kind X. */
export interface Reading<X> {
  /** Whether a word of this reading may be given it; absent where only sentences are read that another reading read. */
  isValue?(value: unknown): value is X;
  lift(tensor: AnyTensor): X;
  apply(operator: Operator, inputs: readonly (X | null)[], attributes: object): X[];
  commit?(buffer: AnyTensor, value: X): void;
}

/** The words of a reading. They are doors: whoever writes a sentence writes what they are given. */
export function vocabulary<X>(reading: Reading<X>): Ops<X> {
  const applyAll = (operator: Operator, inputs: readonly (X | null | undefined)[], attributes: object): X[] =>
    reading.apply(
      operator,
      inputs.map((input, i) => operand(reading, input, `${operator.name}: operand ${i + 1}`)),
      attributes,
    );
  const apply = (operator: Operator, inputs: readonly (X | null)[], attributes: object = {}): X =>
    applyAll(operator, inputs, attributes)[0];
  return {
    lift: (tensor) => reading.lift(checkedTensor(tensor, 'lift')),
    commit: (buffer, value) => {
      const committed = operand(reading, value, 'commit: value');
      if (committed === null) throw refused('commit: value', 'a value of this call of compute', value);
      reading.commit?.(checkedTensor(buffer, 'commit: buffer'), committed);
    },

    conv2d: (input, weight, bias, options) => apply(conv2d, [input, weight, bias], conv2dAttributes(options)),
    convTranspose2d: (input, weight, bias, options) =>
      apply(convTranspose2d, [input, weight, bias], convTranspose2dAttributes(options)),
    linear: (input, weight, bias) => apply(linear, [input, weight, bias]),
    batchNorm: (input, parameters, options) =>
      apply(batchNorm, [input, ...parametersOf(parameters, 'batchNorm')], batchNormAttributes(options)),
    batchNormTraining: (input, parameters, options) => {
      const [output, runningMean, runningVariance] = applyAll(
        batchNormTraining,
        [input, ...parametersOf(parameters, 'batchNormTraining')],
        batchNormTrainingAttributes(options),
      );
      return { output, runningMean, runningVariance };
    },

    add: (a, b) => apply(add, [a, b]),
    mul: (a, b) => apply(mul, [a, b]),
    concat: (inputs, options) => {
      const entries = entriesOf(inputs, maxOperands);
      if (entries === null) throw refused('concat: inputs', 'a list of values', inputs);
      return apply(concat, entries as X[], concatAttributes(options));
    },
    pad: (input, options) => apply(pad, [input], padAttributes(options)),

    relu: (input) => apply(relu, [input]),
    relu6: (input) => apply(relu6, [input]),
    leakyRelu: (input, options) => apply(leakyRelu, [input], leakyReluAttributes(options)),
    prelu: (input, slope) => apply(prelu, [input, slope]),
    sigmoid: (input) => apply(sigmoid, [input]),
    silu: (input) => apply(silu, [input]),
    hardSigmoid: (input) => apply(hardSigmoid, [input]),
    hardSwish: (input) => apply(hardSwish, [input]),
    gelu: (input, options) => apply(gelu, [input], geluAttributes(options)),
    tanh: (input) => apply(tanh, [input]),
    softmax: (input, options) => apply(softmax, [input], softmaxAttributes(options)),

    maxPool2d: (input, options) => apply(maxPool2d, [input], maxPool2dAttributes(options)),
    averagePool2d: (input, options) => apply(averagePool2d, [input], averagePool2dAttributes(options)),
    globalAveragePool2d: (input) => apply(globalAveragePool2d, [input]),
    globalMaxPool2d: (input) => apply(globalMaxPool2d, [input]),
    adaptiveAveragePool2d: (input, options) =>
      apply(adaptiveAveragePool2d, [input], adaptiveAveragePool2dAttributes(options)),
    adaptiveMaxPool2d: (input, options) => apply(adaptiveMaxPool2d, [input], adaptiveMaxPool2dAttributes(options)),

    flatten: (input, options) => apply(flatten, [input], flattenAttributes(options)),
    reshape: (input, options) => apply(reshape, [input], reshapeAttributes(options)),
  };
}

/** The most values that one {@link Ops.concat} joins. */
const maxOperands = 2 ** 16;

/** What a word takes as an operand: a value of the reading, or null where there is none. @throws ERR_INPUT */
function operand<X>(reading: Reading<X>, value: unknown, what: string): X | null {
  if (value === undefined || value === null) return null;
  if (reading.isValue?.(value) !== false) return value as X;
  throw refused(what, 'a value of this call of compute (f.lift makes one of a tensor)', value);
}

/** @throws ERR_INPUT */
function checkedTensor(tensor: unknown, what: string): AnyTensor {
  if (isInstance(tensor, Tensor)) return tensor;
  throw refused(what, 'a Tensor', tensor);
}

/** The parameters of a batch norm, in the order in which the operators take them. @throws ERR_INPUT */
function parametersOf<X>(
  given: { readonly [P in keyof BatchNormParameters<X>]: X | null },
  operation: string,
): (X | null)[] {
  const { weight, bias, runningMean, runningVariance } = optionsOf<
    { [P in keyof BatchNormParameters<X>]?: X | null },
    { [P in keyof BatchNormParameters<X>]: null }
  >(given, { weight: null, bias: null, runningMean: null, runningVariance: null }, operation, 'parameters');
  return [weight, bias, runningMean, runningVariance] as (X | null)[];
}

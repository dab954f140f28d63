/**
 * The vocabulary: `Ops<X>`, the words in which a module says what it computes.
 *
 * A *reading* gives the words a meaning for its own kind of value X: it lifts a tensor to an X and applies an operator
 * to Xs. All words are made from those two here: a word takes the inputs that its operator names, then its options.
 */
import { entriesOf, refused } from '../checks.js';
import { optionsOf } from '../options.js';
import { type AnyTensor, isTensor } from '../tensor/tensor.js';
import type { Conv2dOptions } from './conv/conv2d.js';
import type { ConvTranspose2dOptions } from './conv/convTranspose2d.js';
import type { PadOptions } from './move/pad.js';
import type { Operator } from './operator.js';
import { binaryOperators } from './pointwise/binary.js';
import { unaryOperators } from './pointwise/unary.js';
import type { AveragePool2dOptions } from './pool/averagePool2d.js';
import type { MaxPool2dOptions } from './pool/maxPool2d.js';
import { type OperatorName, operators } from './registry.js';
import type { PairLike } from './window.js';

/** What a batch norm normalizes with: four values of shape [C]. */
export interface BatchNormParameters<X> {
  /** γ, the scale of each channel; null: 1. */
  readonly weight: X | null;
  /** β, what is added to each channel; null: 0. */
  readonly bias: X | null;
  /** μ, the mean of each channel. */
  readonly runningMean: X;
  /** σ², the variance of each channel. */
  readonly runningVariance: X;
}

/**
 * What a batch norm in training mode gives: the normalized values, and the running statistics as they are afterwards.
 */
export interface BatchNormTrainingResult<X> {
  /** The normalized values, of the input's shape. */
  readonly output: X;
  /** The mean of each channel, shape [C]; of size 0 where none was given. */
  readonly runningMean: X;
  /** The variance of each channel, shape [C]; of size 0 where none was given. */
  readonly runningVariance: X;
}

/**
 * The words in which `compute` says what a module does. `X` is whatever they are read for: numbers when the module
 * runs, values of a graph when it is compiled or exported, convolutions when it is folded. So a module may only hand
 * `X`s on, and never look into them.
 *
 * Images are [N, C, H, W]: batch, channels, height, width. Options that take one number for both axes also take
 * [height, width]; paddings also [top, left, bottom, right]. Every word throws ERR_INPUT for options that none could
 * be, and ERR_SHAPE for shapes that do not go together.
 *
 * @example
 * A block with a skip connection and a gate:
 * ```ts
 * import { Conv2d, Module, type Ops, randn } from 'repconv';
 *
 * class Gated extends Module {
 *   conv = this.child('conv', new Conv2d(8, 8, 3, { padding: 1 }));
 *   gate = this.child('gate', new Conv2d(8, 8, 1));
 *
 *   compute<X>(f: Ops<X>, x: X): X {
 *     const gate = f.sigmoid(this.gate.compute(f, f.globalAveragePool2d(x)));
 *     return f.add(x, f.mul(gate, f.relu(this.conv.compute(f, x))));
 *   }
 * }
 * console.log(new Gated().forward(randn([1, 8, 6, 6])).shape); // [ 1, 8, 6, 6 ]
 * ```
 */
export interface Ops<X> {
  /** A tensor as a value: a parameter or buffer of the module, or a constant. */
  lift(tensor: AnyTensor): X;
  /**
   * Says that `buffer` holds `value` from now on, as running statistics do in training. Only running a module carries
   * it out.
   */
  commit(buffer: AnyTensor, value: X): void;
  /**
   * Any operator by its name, for those that have no word of their own: all its results.
   * @throws ERR_INPUT for an unknown name, and as the words do
   */
  apply(operator: OperatorName, inputs: readonly (X | null)[], options?: object): X[];

  /**
   * Convolution: input [N, C, H, W], weight [O, C / groups, K, L], bias [O] or null → [N, O, H', W'] with
   * H' = ⌊(H + top + bottom − d·(K − 1) − 1) / s⌋ + 1, for stride s and dilation d.
   */
  conv2d(input: X, weight: X, bias: X | null, options?: Conv2dOptions): X;
  /**
   * Transposed convolution: input [N, C, H, W], weight [C, O / groups, K, L], bias [O] or null → [N, O, H', W'] with
   * H' = (H − 1)·s − top − bottom + d·(K − 1) + outputPadding + 1.
   */
  convTranspose2d(input: X, weight: X, bias: X | null, options?: ConvTranspose2dOptions): X;
  /** x · Wᵀ + b over the last axis: input [N, …, F], weight [O, F], bias [O] or null → [N, …, O]. */
  linear(input: X, weight: X, bias: X | null): X;
  /**
   * (x − μ) / √(σ² + eps) · γ + β for each channel, with running statistics: [N, C, …] → [N, C, …]; eps is 1e-5. Ioffe
   * and Szegedy 2015 (arXiv:1502.03167), section 3.1.
   */
  batchNorm(input: X, parameters: BatchNormParameters<X>, options?: { eps?: number }): X;
  /**
   * {@link batchNorm} with the mean and variance of the batch itself; eps is 1e-5. Running statistics become
   * (1 − momentum) · running + momentum · batch, with a momentum of 0.1.
   */
  batchNormTraining(
    input: X,
    parameters: { readonly [P in keyof BatchNormParameters<X>]: X | null },
    options?: { eps?: number; momentum?: number },
  ): BatchNormTrainingResult<X>;

  /** a + b. Shapes broadcast as in PyTorch: axes are aligned at the end, and an extent of 1 is repeated. */
  add(a: X, b: X): X;
  /** a · b, broadcast as {@link add} is. */
  mul(a: X, b: X): X;
  /** The inputs one behind the other along `axis` (1, the channels); all other extents agree. */
  concat(inputs: readonly X[], options?: { axis?: number }): X;
  /** A border around height and width: [N, C, H, W] → [N, C, H + top + bottom, W + left + right]. */
  pad(input: X, options: PadOptions): X;

  /** max(x, 0), element by element. */
  relu(input: X): X;
  /** min(max(x, 0), 6), element by element. */
  relu6(input: X): X;
  /** x where x > 0, else negativeSlope · x; the slope is 0.01. */
  leakyRelu(input: X, options?: { negativeSlope?: number }): X;
  /** x where x > 0, else slope · x: input [N, C, …], slope [1] or [C]. He et al. 2015 (arXiv:1502.01852). */
  prelu(input: X, slope: X): X;
  /** 1 / (1 + e⁻ˣ), element by element. */
  sigmoid(input: X): X;
  /** x · sigmoid(x), also called swish. */
  silu(input: X): X;
  /** min(max(x + 3, 0), 6) / 6. Howard et al. 2019 (arXiv:1905.02244), section 5.2. */
  hardSigmoid(input: X): X;
  /** x · {@link hardSigmoid}(x). Howard et al. 2019 (arXiv:1905.02244), section 5.2. */
  hardSwish(input: X): X;
  /**
   * x · Φ(x) with the normal distribution Φ, or with its approximation by tanh. Hendrycks and Gimpel 2016
   * (arXiv:1606.08415).
   */
  gelu(input: X, options?: { approximate?: 'none' | 'tanh' }): X;
  /** The hyperbolic tangent, element by element. */
  tanh(input: X): X;
  /** eˣ over the sum of eˣ along `axis` (−1, the last). */
  softmax(input: X, options?: { axis?: number }): X;

  /** The largest number in each window: [N, C, H, W] → [N, C, H', W']. */
  maxPool2d(input: X, options: MaxPool2dOptions): X;
  /** The mean of each window: [N, C, H, W] → [N, C, H', W']. */
  averagePool2d(input: X, options: AveragePool2dOptions): X;
  /** The mean of each channel: [N, C, H, W] → [N, C, 1, 1]. */
  globalAveragePool2d(input: X): X;
  /** The largest number of each channel: [N, C, H, W] → [N, C, 1, 1]. */
  globalMaxPool2d(input: X): X;
  /** Means over parts that divide the image into `outputSize` rows and columns: [N, C, H, W] → [N, C, h, w]. */
  adaptiveAveragePool2d(input: X, options: { outputSize: PairLike }): X;
  /** The largest numbers of such parts: [N, C, H, W] → [N, C, h, w]. */
  adaptiveMaxPool2d(input: X, options: { outputSize: PairLike }): X;

  /** The axes from `startAxis` (1) to `endAxis` (−1, the last) as one: [N, C, H, W] → [N, C·H·W]. */
  flatten(input: X, options?: { startAxis?: number; endAxis?: number }): X;
  /** The same elements under another shape; one extent may be −1, for what is left, and 0 keeps the input's. */
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
  const apply = (operator: Operator, inputs: readonly unknown[], options: object | undefined): X[] =>
    reading.apply(
      operator,
      inputs.map((input, i) => operand(reading, input, `${operator.name}: operand ${i + 1}`)),
      operator.complete(options),
    );
  /** The word that takes the operator's inputs one by one, then its options. */
  const word =
    (operator: Operator) =>
    (...given: unknown[]): X => {
      const inputs = operator.inputs.map((_, i) => given[i]);
      return apply(operator, inputs, given[inputs.length] as object | undefined)[0];
    };
  const words = Object.fromEntries(plainWords.map((name) => [name, word(operators[name])])) as unknown as Ops<X>;
  return {
    ...words,
    lift: (tensor) => reading.lift(checkedTensor(tensor, 'lift')),
    commit: (buffer, value) => {
      const committed = operand(reading, value, 'commit: value');
      if (committed === null) throw refused('commit: value', 'a value of this call of compute', value);
      reading.commit?.(checkedTensor(buffer, 'commit: buffer'), committed);
    },
    apply: (name, inputs, options) => {
      if (typeof name !== 'string' || !Object.hasOwn(operators, name))
        throw refused('apply: operator', 'the name of an operator', name);
      return apply(operators[name], entries(inputs, `${name}: inputs`), options);
    },
    concat: (inputs, options) => apply(operators.concat, entries(inputs, 'concat: inputs'), options)[0],
    batchNorm: (input, parameters, options) =>
      apply(operators.batchNorm, [input, ...parametersOf(parameters, 'batchNorm')], options)[0],
    batchNormTraining: (input, parameters, options) => {
      const inputs = [input, ...parametersOf(parameters, 'batchNormTraining')];
      const [output, runningMean, runningVariance] = apply(operators.batchNormTraining, inputs, options);
      return { output, runningMean, runningVariance };
    },
  };
}

/** Operators whose word takes their inputs one by one. */
const plainWords = [
  ...(Object.keys(unaryOperators) as (keyof typeof unaryOperators)[]),
  ...(Object.keys(binaryOperators) as (keyof typeof binaryOperators)[]),
  'adaptiveAveragePool2d',
  'adaptiveMaxPool2d',
  'averagePool2d',
  'conv2d',
  'convTranspose2d',
  'flatten',
  'globalAveragePool2d',
  'globalMaxPool2d',
  'linear',
  'maxPool2d',
  'pad',
  'prelu',
  'reshape',
  'softmax',
] as const satisfies readonly (OperatorName & keyof Ops<unknown>)[];

/** @throws ERR_INPUT */
function entries(inputs: unknown, what: string): unknown[] {
  const list = entriesOf(inputs, maxOperands);
  if (list === null) throw refused(what, 'a list of values', inputs);
  return list;
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
  if (isTensor(tensor)) return tensor;
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

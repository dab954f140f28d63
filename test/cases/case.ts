/**
 * A case: one call of one operator, as plain data. The tables beside this file are lists of them, shared by tests and
 * benches: test what we time, time what we test.
 *
 *     for (const c of allCases) {
 *       const inputs = inputsOf(c, 'integers');
 *       const [expected] = referenceOf(c, inputs);
 *       …                                            and in the message of a failure: caseLine(c)
 *     }
 */
import { adaptiveAveragePool2dAttributes } from '../../lib/ops/adaptiveAveragePool2d.js';
import { adaptiveMaxPool2dAttributes } from '../../lib/ops/adaptiveMaxPool2d.js';
import { averagePool2dAttributes } from '../../lib/ops/averagePool2d.js';
import { batchNormAttributes } from '../../lib/ops/batchNorm.js';
import { batchNormTrainingAttributes } from '../../lib/ops/batchNormTraining.js';
import { concatAttributes } from '../../lib/ops/concat.js';
import { conv2dAttributes } from '../../lib/ops/conv2d.js';
import { convTranspose2dAttributes } from '../../lib/ops/convTranspose2d.js';
import { flattenAttributes } from '../../lib/ops/flatten.js';
import { geluAttributes } from '../../lib/ops/gelu.js';
import { leakyReluAttributes } from '../../lib/ops/leakyRelu.js';
import { maxPool2dAttributes } from '../../lib/ops/maxPool2d.js';
import { padAttributes } from '../../lib/ops/pad.js';
import { reshapeAttributes } from '../../lib/ops/reshape.js';
import { softmaxAttributes } from '../../lib/ops/softmax.js';
import { type OperatorName, operators } from '../../lib/ops/vocabulary.js';
import { Random } from '../../lib/tensor/random.js';
import type { AnyTensor, Tensor } from '../../lib/tensor/tensor.js';
import { type Fill, filled, positive } from './data.js';

export interface OperatorCase {
  readonly name: string;
  readonly operator: OperatorName;
  /** Shapes in the operator's order; null where an optional input is absent. */
  readonly inputs: readonly (readonly number[] | null)[];
  /** As a user writes them; {@link attributesOf} completes them. */
  readonly options: object;
}

/** The complete attributes, as `infer`, `reference` and the engines take them. */
export function attributesOf({ operator, options }: Pick<OperatorCase, 'operator' | 'options'>): object {
  return (completions[operator] ?? (() => ({})))(options as never);
}

/** Seeded float32 inputs; small whole numbers stay exact in every sum a convolution of the tables makes. */
export function inputsOf({ operator, inputs }: OperatorCase, fill: Fill, seed = 1): (Tensor | null)[] {
  const generator = new Random(seed);
  const isVariance = (index: number): boolean => index === 4 && operator.startsWith('batchNorm');
  return inputs.map((shape, index) => shape && (isVariance(index) ? positive : filled)(shape, fill, generator));
}

/** What the reference interpreter answers; shapes are checked as everywhere. */
export function referenceOf(
  c: Pick<OperatorCase, 'operator' | 'options'>,
  inputs: readonly (AnyTensor | null)[],
): Tensor<'float64'>[] {
  const [operator, attributes] = [operators[c.operator], attributesOf(c)];
  const exact = inputs.map((input) => (input === null ? null : input.to('float64')));
  operator.infer(exact, attributes as never);
  return operator.reference(exact, attributes as never);
}

/** One line that can be pasted back into a table. */
export function caseLine(c: object): string {
  return JSON.stringify(c);
}

const completions: { readonly [N in OperatorName]?: (options: never) => object } = {
  adaptiveAveragePool2d: adaptiveAveragePool2dAttributes,
  adaptiveMaxPool2d: adaptiveMaxPool2dAttributes,
  averagePool2d: averagePool2dAttributes,
  batchNorm: batchNormAttributes,
  batchNormTraining: batchNormTrainingAttributes,
  concat: concatAttributes,
  conv2d: conv2dAttributes,
  convTranspose2d: convTranspose2dAttributes,
  flatten: flattenAttributes,
  gelu: geluAttributes,
  leakyRelu: leakyReluAttributes,
  maxPool2d: maxPool2dAttributes,
  pad: padAttributes,
  reshape: reshapeAttributes,
  softmax: softmaxAttributes,
};

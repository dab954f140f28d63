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
import { type OperatorName, operators } from '../../lib/ops/registry.js';
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
  return operators[operator].complete(options as never);
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

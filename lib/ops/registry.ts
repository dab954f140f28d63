/**
 * The registry: every meaning there is, by name. Words to write sentences in are another thing (vocabulary.ts): what
 * only files say has a meaning here and no word there.
 */

import { conv2d } from './conv/conv2d.js';
import { convTranspose2d } from './conv/convTranspose2d.js';
import { concat } from './move/concat.js';
import { flatten } from './move/flatten.js';
import { pad } from './move/pad.js';
import { reshape } from './move/reshape.js';
import { batchNorm } from './norm/batchNorm.js';
import { batchNormTraining } from './norm/batchNormTraining.js';
import type { Operator } from './operator.js';
import { binaryOperators } from './pointwise/binary.js';
import { prelu } from './pointwise/prelu.js';
import { unaryOperators } from './pointwise/unary.js';
import { adaptiveAveragePool2d } from './pool/adaptiveAveragePool2d.js';
import { adaptiveMaxPool2d } from './pool/adaptiveMaxPool2d.js';
import { averagePool2d } from './pool/averagePool2d.js';
import { globalAveragePool2d } from './pool/globalAveragePool2d.js';
import { globalMaxPool2d } from './pool/globalMaxPool2d.js';
import { maxPool2d } from './pool/maxPool2d.js';
import { linear } from './product/linear.js';
import { softmax } from './reduce/softmax.js';

/** All operators by name. */
export const operators = {
  ...unaryOperators,
  ...binaryOperators,
  adaptiveAveragePool2d,
  adaptiveMaxPool2d,
  averagePool2d,
  batchNorm,
  batchNormTraining,
  concat,
  conv2d,
  convTranspose2d,
  flatten,
  globalAveragePool2d,
  globalMaxPool2d,
  linear,
  maxPool2d,
  pad,
  prelu,
  reshape,
  softmax,
} as const satisfies Record<string, Operator>;

/** The name of an operator: most are words of `Ops`. */
export type OperatorName = keyof typeof operators;

/** An operator of the vocabulary. */
export interface KnownOperator extends Operator {
  /** Its name. */
  readonly name: OperatorName;
}

/**
 * The registry: every meaning there is, by name. Words to write sentences in are another thing (vocabulary.ts): what
 * only files say has a meaning here and no word there.
 */
import { adaptiveAveragePool2d } from './adaptiveAveragePool2d.js';
import { adaptiveMaxPool2d } from './adaptiveMaxPool2d.js';
import { averagePool2d } from './averagePool2d.js';
import { batchNorm } from './batchNorm.js';
import { batchNormTraining } from './batchNormTraining.js';
import { concat } from './concat.js';
import { conv2d } from './conv2d.js';
import { convTranspose2d } from './convTranspose2d.js';
import { flatten } from './flatten.js';
import { globalAveragePool2d } from './globalAveragePool2d.js';
import { globalMaxPool2d } from './globalMaxPool2d.js';
import { linear } from './linear.js';
import { maxPool2d } from './maxPool2d.js';
import type { Operator } from './operator.js';
import { pad } from './pad.js';
import { binaryOperators } from './pointwise/binary.js';
import { unaryOperators } from './pointwise/unary.js';
import { prelu } from './prelu.js';
import { reshape } from './reshape.js';
import { softmax } from './softmax.js';

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

export type OperatorName = keyof typeof operators;

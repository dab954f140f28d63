/** leakyRelu: x for x > 0, else negativeSlope · x. */
import { finiteNumber } from '../checks.js';
import { optionsOf } from '../options.js';
import { elementwise } from './elementwise.js';
import type { Operator } from './operator.js';

export interface LeakyReluAttributes {
  readonly negativeSlope: number;
}

export function leakyReluAttributes(options: { negativeSlope?: number } = {}): LeakyReluAttributes {
  const { negativeSlope } = optionsOf(options, { negativeSlope: 0.01 }, 'leakyRelu');
  return { negativeSlope: finiteNumber(negativeSlope, 'leakyRelu: negativeSlope') };
}

export const leakyRelu: Operator<LeakyReluAttributes> = elementwise('leakyRelu', (x, { negativeSlope }) =>
  x > 0 ? x : negativeSlope * x,
);

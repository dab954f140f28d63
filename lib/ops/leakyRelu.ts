/** leakyRelu: x for x > 0, else negativeSlope · x. */
import { RepconvError } from '../errors.js';
import { elementwise } from './elementwise.js';
import type { Operator } from './operator.js';

export interface LeakyReluAttributes {
  readonly negativeSlope: number;
}

export function leakyReluAttributes({ negativeSlope = 0.01 }: { negativeSlope?: number } = {}): LeakyReluAttributes {
  if (!Number.isFinite(negativeSlope))
    throw new RepconvError('ERR_INPUT', `leakyRelu: negativeSlope expects a finite number, got ${negativeSlope}`);
  return { negativeSlope };
}

export const leakyRelu: Operator<LeakyReluAttributes> = elementwise('leakyRelu', (x, { negativeSlope }) =>
  x > 0 ? x : negativeSlope * x,
);

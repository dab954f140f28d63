/** leakyRelu: x for x ≥ 0, negativeSlope · x below. */
import { elementwise } from './elementwise.js';
import type { Operator } from './operator.js';

export interface LeakyReluAttributes {
  readonly negativeSlope: number;
}

export function leakyReluAttributes({ negativeSlope = 0.01 }: { negativeSlope?: number } = {}): LeakyReluAttributes {
  return { negativeSlope };
}

export const leakyRelu: Operator<LeakyReluAttributes> = elementwise('leakyRelu', (x, { negativeSlope }) => (x < 0 ? negativeSlope * x : x));

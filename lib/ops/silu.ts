/** silu (swish): x · sigmoid(x). */
import { elementwise } from './elementwise.js';
import type { NoAttributes, Operator } from './operator.js';

export const silu: Operator<NoAttributes> = elementwise('silu', (x) => x / (1 + Math.exp(-x)));

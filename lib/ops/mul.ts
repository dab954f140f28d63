/** mul: a · b, broadcast. */
import { broadcasting } from './elementwise.js';
import type { NoAttributes, Operator } from './operator.js';

export const mul: Operator<NoAttributes> = broadcasting('mul', (a, b) => a * b);

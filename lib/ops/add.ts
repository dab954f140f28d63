/** add: a + b, broadcast. */
import { broadcasting } from './elementwise.js';
import type { NoAttributes, Operator } from './operator.js';

export const add: Operator<NoAttributes> = broadcasting('add', (a, b) => a + b);

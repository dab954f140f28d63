/** relu6: min(max(x, 0), 6). */
import { elementwise } from './elementwise.js';
import type { NoAttributes, Operator } from './operator.js';

export const relu6: Operator<NoAttributes> = elementwise('relu6', (x) => (x < 0 ? 0 : x > 6 ? 6 : x));

/** sigmoid: 1 / (1 + e^−x). */
import { elementwise } from './elementwise.js';
import type { NoAttributes, Operator } from './operator.js';

export const sigmoid: Operator<NoAttributes> = elementwise('sigmoid', (x) => 1 / (1 + Math.exp(-x)));

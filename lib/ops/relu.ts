/** relu: max(x, 0). NaN stays NaN and −0 stays −0, as in PyTorch. */
import { elementwise } from './elementwise.js';
import type { NoAttributes, Operator } from './operator.js';

export const relu: Operator<NoAttributes> = elementwise('relu', (x) => (x < 0 ? 0 : x));

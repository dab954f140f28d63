/** tanh: hyperbolic tangent. */
import { elementwise } from './elementwise.js';
import type { NoAttributes, Operator } from './operator.js';

export const tanh: Operator<NoAttributes> = elementwise('tanh', Math.tanh);

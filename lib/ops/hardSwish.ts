/** hardSwish: x · hardSigmoid(x). Howard et al. 2019, section 5.2. */
import { elementwise } from './elementwise.js';
import type { NoAttributes, Operator } from './operator.js';

export const hardSwish: Operator<NoAttributes> = elementwise(
  'hardSwish',
  (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
);

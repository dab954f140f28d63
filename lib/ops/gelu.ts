/** gelu: x · Φ(x), with the normal distribution Φ exactly or by its tanh approximation. Hendrycks and Gimpel 2016. */
import { RepconvError } from '../errors.js';
import { elementwise } from './elementwise.js';
import type { Operator } from './operator.js';

export interface GeluAttributes {
  readonly approximate: 'none' | 'tanh';
}

export function geluAttributes({ approximate = 'none' }: { approximate?: 'none' | 'tanh' } = {}): GeluAttributes {
  if (approximate !== 'none' && approximate !== 'tanh')
    throw new RepconvError('ERR_INPUT', `gelu: approximate expects none or tanh, got ${String(approximate)}`);
  return { approximate };
}

export const gelu: Operator<GeluAttributes> = elementwise('gelu', (x, { approximate }) => {
  if (approximate === 'none') return 0.5 * x * erfc(-x / Math.SQRT2);
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
});

/**
 * Complementary error function to double precision: the series of erf near zero, the continued fraction of erfc (Abramowitz and Stegun 7.1.5 and
 * 7.1.14) beyond, where 1 − erf would cancel.
 */
function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  if (x > 27) return Number.isNaN(x) ? NaN : 0;
  let fraction = x;
  for (let n = 80; n > 0; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}

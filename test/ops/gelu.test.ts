/** Whether gelu is right to the last digits for every number by itself, not only for the largest of a tensor. */
import { describe, expect, it } from 'vitest';
import { gelu } from '../../lib/ops/pointwise/unary.js';
import { tensor } from '../../lib/tensor/tensor.js';
import { referenceOf } from '../cases/case.js';
import { goldenCases } from './golden.js';

describe('gelu', () => {
  it.each([
    ['gelu_grid', 1e-15],
    ['gelu_grid_tanh', 1e-12],
  ] as const)('is exact on %s, deep in the lower tail too', (name, tolerance) => {
    const c = goldenCases('activation').find((row) => row.name === name)!;
    const [[result], expected] = [referenceOf(c, c.inputs), c.outputs[0].data as Float64Array];
    const worst = Math.max(
      ...expected.map((y, i) => (y === 0 ? Math.abs(result.data[i]) : Math.abs(result.data[i] / y - 1))),
    );
    expect(worst).toBeLessThan(tolerance);
    expect(Math.min(...expected.map((y) => (y === 0 ? 1 : Math.abs(y))))).toBeLessThan(1e-30);
  });

  // Computed with 60 digits, then rounded. Arguments that no float32 holds: there the square of the density must not
  // round.
  it.each([
    [-0.1, -0.0460172162722971],
    [-Math.SQRT1_2, -0.16952889398908647],
    [-1.3, -0.12584062996129342],
    [-5.573986824321857, -6.938904952795405e-8],
    [-12.34567890123, -3.172767229409206e-34],
    [-27.01175579024718, -1.4524473090660354e-159],
    [-37.1, -5.2114813950124085e-300],
    [0.3, 0.1853734266566858],
    [3.3, 3.2984047003301336],
  ])('of %d is %d', (x, y) => {
    const [result] = gelu.reference([tensor([x], [1], 'float64')], gelu.complete());
    expect(Math.abs(result.data[0] / y - 1)).toBeLessThan(1e-15);
  });
});

import { describe, expect, it } from 'vitest';
import { referenceOf } from '../cases/case.js';
import { goldenCases } from './golden.js';

describe('gelu', () => {
  it.each([
    ['none', 1e-15],
    ['tanh', 1e-12],
  ] as const)('(%s) is right to the last digits for every number by itself, deep in the lower tail too', (approximate, tolerance) => {
    const c = goldenCases('activation').find(({ name }) => name === (approximate === 'none' ? 'gelu_grid' : 'gelu_grid_tanh'))!;
    const [[result], expected] = [referenceOf(c, c.inputs), c.outputs[0].data as Float64Array];
    const worst = Math.max(...expected.map((y, i) => (y === 0 ? Math.abs(result.data[i]) : Math.abs(result.data[i] / y - 1))));
    expect(worst).toBeLessThan(tolerance);
    expect(Math.min(...expected.map((y) => (y === 0 ? 1 : Math.abs(y))))).toBeLessThan(1e-30);
  });
});

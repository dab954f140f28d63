import { describe, expect, it } from 'vitest';
import { operators } from '../../lib/ops/registry.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { attributesOf, caseLine, inputsOf, referenceOf } from './case.js';
import { convCases, operatorCaseOf } from './convCases.js';
import { allCases, operatorCases } from './operatorCases.js';

describe('the tables', () => {
  it('have a case for every operator, each under a name of its own', () => {
    expect(new Set(allCases.map((c) => c.operator))).toEqual(new Set(Object.keys(operators)));
    expect(new Set(allCases.map((c) => c.name)).size).toBe(allCases.length);
    expect(allCases.length).toBe(convCases.length + operatorCases.length);
  });

  it('hold no convolution of more than 20 million multiply-accumulates', () => {
    for (const c of allCases.filter(({ operator }) => operator === 'conv2d')) {
      const [[, perGroup, K, L], attributes] = [c.inputs[1]!, attributesOf(c)];
      const [{ shape }] = operators.conv2d.infer(typesOf(c.inputs), attributes as never);
      expect((shape as number[]).reduce((a, b) => a * b) * perGroup * K * L, caseLine(c)).toBeLessThan(20e6);
    }
  });

  it('print as lines that can be pasted back', () => {
    for (const c of [...convCases, ...operatorCases]) {
      expect(caseLine(c)).not.toContain('\n');
      expect(JSON.parse(caseLine(c))).toEqual(c);
    }
  });

  it.each(allCases.map((c) => [c.name, c] as const))(
    '%s: the reference answers the shapes that infer promises',
    (_, c) => {
      const promised = operators[c.operator].infer(typesOf(c.inputs), attributesOf(c) as never);
      const results = referenceOf(c, inputsOf(c, 'integers'));
      expect(results.map(({ shape }) => shape)).toEqual(promised.map(({ shape }) => shape));
      for (const { data } of results) expect(data.every(Number.isFinite)).toBe(true);
    },
  );
});

describe('inputs', () => {
  const c = operatorCaseOf(convCases.find(({ bias }) => !bias)!);

  it('are the same for the same seed, and others for another', () => {
    expect(isIdentical(inputsOf(c, 'normal', 3)[1]!, inputsOf(c, 'normal', 3)[1]!)).toBe(true);
    expect(isIdentical(inputsOf(c, 'normal', 3)[1]!, inputsOf(c, 'normal', 4)[1]!)).toBe(false);
    expect(inputsOf(c, 'normal')[2]).toBeNull();
  });

  it('of whole numbers sum exactly in float32, whatever the order', () => {
    for (const { weight } of convCases) {
      expect(weight[1] * weight[2] * weight[3] * 8 * 8 + 8).toBeLessThan(2 ** 24);
    }
    expect(
      inputsOf(c, 'integers').every((t) => t === null || t.data.every((x) => Number.isInteger(x) && Math.abs(x) <= 8)),
    ).toBe(true);
  });

  it('have variances above zero', () => {
    for (const row of operatorCases.filter(({ operator, inputs }) => operator === 'batchNorm' && inputs[4])) {
      for (const fill of ['integers', 'normal'] as const)
        expect(inputsOf(row, fill)[4]!.data.every((v) => v > 0)).toBe(true);
    }
  });
});

function typesOf(
  shapes: readonly (readonly number[] | null)[],
): ({ dtype: 'float32'; shape: readonly number[] } | null)[] {
  return shapes.map((shape) => shape && { dtype: 'float32', shape });
}

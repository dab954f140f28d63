/** The reference interpreter against PyTorch, for every case of the golden files. */
import { describe, expect, it, test } from 'vitest';
import { type OperatorName, operators } from '../../lib/ops/registry.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import type { AnyTensor } from '../../lib/tensor/tensor.js';
import { caseLine, referenceOf } from '../cases/case.js';
import { specialNumbers } from '../cases/data.js';
import { type GoldenCase, goldenCases, goldenFamilies, goldenTensors } from './golden.js';

const tolerance = 1e-12;
/** What only moves numbers, or picks one, rounds nothing. */
const exactOperators: readonly OperatorName[] = [
  'adaptiveMaxPool2d',
  'concat',
  'flatten',
  'globalMaxPool2d',
  'maxPool2d',
  'pad',
  'relu',
  'relu6',
  'reshape',
];

describe.each(goldenFamilies)('%s: the reference', (family) => {
  it.each(goldenCases(family).map((c) => [c.name, c] as const))('agrees with PyTorch on %s', (_, c) => {
    const results = referenceOf(c, c.inputs);
    for (const [i, expected] of c.outputs.entries()) expectAgreement(results[i], expected, c);
  });
});

describe.each(['conv2d', 'batchNorm'] as const)('%s: the reference', (family) => {
  it('is what PyTorch computes in float32, up to rounding', () => {
    const cases = goldenCases(family).filter((c) => c.output32 !== undefined);
    expect(cases.length).toBeGreaterThan(10);
    for (const c of cases) {
      const [result] = referenceOf(c, c.inputs);
      expect(difference(c.output32!, result).relative, caseLine({ ...c, inputs: undefined })).toBeLessThan(2e-6);
    }
  });
});

test('every operator is held against PyTorch', () => {
  const covered = goldenFamilies.flatMap((family) => goldenCases(family).map((c) => c.operator));
  expect([...new Set(covered)].sort()).toEqual(Object.keys(operators).sort());
});

test('the special numbers of the golden files are those of the case tables', () => {
  expect([...(goldenTensors('activation').get('relu_special/input')!.data as Float32Array)]).toEqual(
    specialNumbers.map(Math.fround),
  );
});

/**
 * One tolerance over the tensor, and each number by itself on grids and special numbers: NaN, infinities and signs of
 * zero in place.
 */
function expectAgreement(result: AnyTensor, expected: AnyTensor, c: GoldenCase): void {
  const context = `${c.operator} ${caseLine(c.options)}`;
  expect(result.shape, context).toEqual(expected.shape);
  if (exactOperators.includes(c.operator)) expect(isIdentical(result, expected), context).toBe(true);
  expect(difference(result, expected).relative, context).toBeLessThanOrEqual(tolerance);
  if (/special|grid/.test(c.name))
    expectElementwise(result.data as Float64Array, expected.data as Float64Array, context);
}

function expectElementwise(result: Float64Array, expected: Float64Array, context: string): void {
  for (const [i, y] of expected.entries()) {
    const isClose = y !== 0 && Math.abs(result[i] - y) <= tolerance * Math.abs(y);
    if (!Object.is(result[i], y) && !isClose) expect.fail(`${context}: element ${i} is ${result[i]}, expected ${y}`);
  }
}

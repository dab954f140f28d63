/**
 * Native against reference: every operator and every convolution algorithm, on every instruction set this processor
 * has.
 */
import { describe, expect, it } from 'vitest';
import { nativeReading } from '../../lib/engine/eager.js';
import { isIdentical, type Tensor } from '../../lib/index.js';
import { type OperatorName, operators } from '../../lib/ops/registry.js';
import { attributesOf, caseLine, inputsOf, type OperatorCase, referenceOf } from '../cases/case.js';
import { allCases } from '../cases/operatorCases.js';
import { boundsOf } from './bounds.js';
import { usableIsas } from './isas.js';

const isas = usableIsas();

/** Every way to compute a case: instruction sets, and for convolutions the algorithms. */
const waysOf = (c: OperatorCase): { isa: string; conv: string }[] =>
  isas.flatMap((isa) => (c.operator === 'conv2d' ? convAlgorithms(c) : ['']).map((conv) => ({ isa, conv })));

/** The algorithms that round element by element and fit the case; winograd.test.ts has the others. */
function convAlgorithms({ inputs, options = {} }: OperatorCase): string[] {
  const [[, channels], [, perGroup, ...kernel]] = inputs as [number[], number[]];
  const { stride = 1, padding = 0 } = options as { stride?: unknown; padding?: unknown };
  const isPointwise = kernel.every((k) => k === 1) && stride === 1 && padding === 0;
  const isDepthwise = perGroup === 1 && channels >= 16;
  return ['direct', 'im2col', ...(isPointwise ? ['pointwise'] : []), ...(isDepthwise ? ['depthwise'] : [])];
}

describe(`on ${isas.join(', ')}`, () => {
  it.each(allCases.map((c) => [c.name, c] as const))('%s', (_, c) => {
    if (exactOperators.has(c.operator)) expectExact(c);
    expectClose(c);
  });
});

function compute(c: OperatorCase, inputs: readonly (Tensor | null)[], options: object): Tensor[] {
  return nativeReading({ threads: 2, ...options }).apply(operators[c.operator], inputs, attributesOf(c));
}

/**
 * Operators whose results on small whole numbers are whole numbers that float32 holds: every way must give the same
 * bits.
 */
const exactOperators: ReadonlySet<OperatorName> = new Set([
  'conv2d',
  'convTranspose2d',
  'linear',
  'add',
  'mul',
  'concat',
  'pad',
  'relu',
  'relu6',
  'maxPool2d',
  'globalMaxPool2d',
  'adaptiveMaxPool2d',
  'flatten',
  'reshape',
] as const);

function expectExact(c: OperatorCase): void {
  const inputs = inputsOf(c, 'integers');
  const expected = referenceOf(c, inputs).map((output) => output.to('float32'));
  for (const way of waysOf(c)) {
    for (const [i, result] of compute(c, inputs, way).entries())
      expect(isIdentical(result, expected[i]), `${caseLine(way)} ${caseLine(c)}`).toBe(true);
  }
}

function expectClose(c: OperatorCase): void {
  const inputs = inputsOf(c, 'normal');
  const expected = referenceOf(c, inputs);
  const bounds = boundsOf(c, inputs, expected);
  for (const way of waysOf(c)) {
    compute(c, inputs, way).forEach((result, i) => {
      expect(result.shape).toEqual(expected[i].shape);
      const beyond = result.data.findIndex((y, j) => !(Math.abs(y - expected[i].data[j]) <= bounds[i][j]));
      expect(
        beyond,
        `${caseLine(way)} ${caseLine(c)}: ${result.data[beyond]} for ${expected[i].data[beyond]} ± ${bounds[i][beyond]}`,
      ).toBe(-1);
    });
  }
}

/**
 * 20 000 convolutions of random geometry × every algorithm that fits × every instruction set of this processor: the same bits as the reference on
 * whole numbers (but for Winograd's F(4×4)), and within (n + 4)·2⁻²⁴·Σ|x||w| per element on normal ones (Winograd: within 2e-5 in the 2-norm).
 *
 * A failure prints its case as a line of test/cases/convCases.ts and the seed of its inputs.
 */
import { describe, expect, it } from 'vitest';
import { nativeAddon } from '../../lib/engine/addon.js';
import { nativeReading } from '../../lib/engine/eager.js';
import { isIdentical, Random, type Tensor } from '../../lib/index.js';
import { operators } from '../../lib/ops/vocabulary.js';
import { attributesOf, caseLine, inputsOf, type OperatorCase, referenceOf } from '../cases/case.js';
import { operatorCaseOf } from '../cases/convCases.js';
import { boundsOf } from '../engine/bounds.js';
import { algorithmsFor, randomConv, usableIsas } from './randomConv.js';

const cases = 20_000;
const perTest = 1000;
const isas = usableIsas(nativeAddon().info().isa);

describe(`${cases} convolutions on ${isas.join(', ')}`, () => {
  it.each(Array.from({ length: cases / perTest }, (_, i) => i * perTest))('are right, seeds %i and the next 999', (first) => {
    for (let seed = first; seed < first + perTest; seed++) {
      const conv = randomConv(new Random(seed));
      const line = `seed ${seed}: ${caseLine(conv)}`;
      const c = operatorCaseOf(conv);
      const ways = isas.flatMap((isa) => algorithmsFor(conv).map((algorithm) => ({ ...algorithm, isa, threads: 1 + (seed % 3) })));
      expectExact(c, ways, seed, line);
      expectClose(c, ways, seed, line);
    }
  });
});

type Way = ReturnType<typeof algorithmsFor>[number] & { isa: string; threads: number };

const compute = (c: OperatorCase, { isa, conv, threads }: Way, inputs: (Tensor | null)[]): Tensor =>
  nativeReading({ isa, conv, threads }).apply(operators[c.operator], inputs, attributesOf(c))[0];

function expectExact(c: OperatorCase, ways: readonly Way[], seed: number, line: string): void {
  const inputs = inputsOf(c, 'integers', seed);
  const expected = referenceOf(c, inputs)[0];
  for (const way of ways) {
    const result = compute(c, way, inputs);
    if (way.isExact ? !isIdentical(result, expected.to('float32')) : relativeNorm(result, expected) > 2e-5)
      expect.fail(`${caseLine(way)} is not right on whole numbers, ${line}`);
  }
}

function expectClose(c: OperatorCase, ways: readonly Way[], seed: number, line: string): void {
  const inputs = inputsOf(c, 'normal', seed);
  const expected = referenceOf(c, inputs);
  const [bound] = boundsOf(c, inputs, expected);
  for (const way of ways) {
    const result = compute(c, way, inputs);
    if (way.isWinograd) {
      const error = relativeNorm(result, expected[0]);
      if (!(error <= 2e-5)) expect.fail(`${caseLine(way)}: off by ${error} in the 2-norm, ${line}`);
      continue;
    }
    const beyond = result.data.findIndex((y, i) => !(Math.abs(y - expected[0].data[i]) <= bound[i]));
    if (beyond >= 0)
      expect.fail(`${caseLine(way)}: ${result.data[beyond]} for ${expected[0].data[beyond]} ± ${bound[beyond]} at ${beyond}, ${line}`);
  }
}

/** ‖result − expected‖ / ‖expected‖; 0 where both are all zeros. */
function relativeNorm(result: Tensor, expected: Tensor<'float64'>): number {
  let [error, size] = [0, 0];
  expected.data.forEach((y, i) => {
    error += (result.data[i] - y) ** 2;
    size += y ** 2;
  });
  return error === 0 ? 0 : Math.sqrt(error / size);
}

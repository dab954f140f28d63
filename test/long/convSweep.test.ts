/**
 * 20 000 convolutions of random geometry × every algorithm that fits × every instruction set of this processor: the same bits as the reference on
 * whole numbers, and within (n + 4)·2⁻²⁴·Σ|x||w| per element on normal ones.
 *
 * A failure prints its case as a line of test/cases/convCases.ts and the seed of its inputs.
 */
import { describe, expect, it } from 'vitest';
import { nativeAddon } from '../../lib/engine/addon.js';
import { nativeReading } from '../../lib/engine/eager.js';
import { isIdentical, Random } from '../../lib/index.js';
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
      const ways = isas.flatMap((isa) => algorithmsFor(conv).map((algorithm) => ({ isa, conv: algorithm, threads: 1 + (seed % 3) })));
      expectExact(c, ways, seed, line);
      expectClose(c, ways, seed, line);
    }
  });
});

type Way = { isa: string; conv: string; threads: number };

function expectExact(c: OperatorCase, ways: readonly Way[], seed: number, line: string): void {
  const inputs = inputsOf(c, 'integers', seed);
  const expected = referenceOf(c, inputs)[0].to('float32');
  for (const way of ways) {
    const [result] = nativeReading(way).apply(operators[c.operator], inputs, attributesOf(c));
    if (!isIdentical(result, expected)) expect.fail(`${caseLine(way)} is not exact, ${line}`);
  }
}

function expectClose(c: OperatorCase, ways: readonly Way[], seed: number, line: string): void {
  const inputs = inputsOf(c, 'normal', seed);
  const expected = referenceOf(c, inputs);
  const [bound] = boundsOf(c, inputs, expected);
  for (const way of ways) {
    const [{ data }] = nativeReading(way).apply(operators[c.operator], inputs, attributesOf(c));
    const beyond = data.findIndex((y, i) => !(Math.abs(y - expected[0].data[i]) <= bound[i]));
    if (beyond >= 0)
      expect.fail(`${caseLine(way)}: ${data[beyond]} for ${expected[0].data[beyond]} ± ${bound[beyond]} at ${beyond}, ${line}`);
  }
}

/**
 * 20 000 convolutions of random geometry × every algorithm that fits, in float32 and (where the processor has kernels
 * for it) bfloat16 × every instruction set of this processor: the same bits as the reference on whole numbers (but for
 * Winograd's F(4×4)), and within (n + 4)·2⁻²⁴·Σ|x||w| per element on normal ones (Winograd: within 2e-5 in the 2-norm).
 * Every fourth also with what follows it as it stores, a residual and an activation; every eighth on 1 to 4 threads,
 * which must give the same bits.
 *
 * A failure prints its case as a line of test/cases/convCases.ts and the seed of its inputs.
 */
import { describe, expect, it } from 'vitest';
import { nativeAddon } from '../../lib/engine/addon.js';
import { nativeReading } from '../../lib/engine/eager.js';
import { compileSync, isIdentical, Random, type Tensor } from '../../lib/index.js';
import { add } from '../../lib/ops/pointwise/binary.js';
import { operators } from '../../lib/ops/registry.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import { attributesOf, caseLine, inputsOf, type OperatorCase, referenceOf } from '../cases/case.js';
import { operatorCaseOf } from '../cases/convCases.js';
import { type Fill, filled } from '../cases/data.js';
import { bfloat16Bound, boundsOf, relativeRms } from '../engine/bounds.js';
import { usableIsas } from '../engine/isas.js';
import { type Algorithm, algorithmsFor, bfloat16AlgorithmsFor, randomConv } from './randomConv.js';

const cases = 20_000;
const perTest = 1000;
const isas = usableIsas();
const hasBfloat16 = nativeAddon().info().bfloat16 !== '';
if (!hasBfloat16)
  console.warn(
    'SKIPPED: this processor has neither AMX nor a fast AVX512_BF16; precisions below float32 are not swept here',
  );

type Way = Algorithm & { isa: string; threads: number };
type Exact = Tensor<'float64'>;

/** One filling of a case: what the reference makes of it, and how far each way may be off, element by element. */
interface Problem {
  readonly c: OperatorCase;
  readonly inputs: (Tensor | null)[];
  readonly expected: Exact;
  readonly boundOf: (way: Way) => ArrayLike<number>;
  readonly line: string;
}

describe(`${cases} convolutions on ${isas.join(', ')}`, () => {
  it.each(Array.from({ length: cases / perTest }, (_, i) => i * perTest))(
    'are right, seeds %i and the next 999',
    (first) => {
      for (let seed = first; seed < first + perTest; seed++) {
        const conv = randomConv(new Random(seed));
        const line = `seed ${seed}: ${caseLine(conv)}`;
        const c = operatorCaseOf(conv);
        const threads = 1 + (seed % 3);
        const ways: Way[] = [
          ...isas.flatMap((isa) => algorithmsFor(conv).map((algorithm) => ({ ...algorithm, isa, threads }))),
          ...(hasBfloat16
            ? bfloat16AlgorithmsFor(conv).map((algorithm) => ({ ...algorithm, isa: isas[isas.length - 1], threads }))
            : []),
        ];
        const [integers, normal] = [problem(c, 'integers', seed, line), problem(c, 'normal', seed, line)];
        for (const way of ways) {
          expectExact(way, compute(integers, way), integers.expected, integers);
          expectClose(way, compute(normal, way), normal.expected, normal);
        }
        if (seed % 4 === 0) expectEpilogues(ways, seed % 8 === 0 ? integers : normal, seed);
        if (seed % 8 === 1) expectSameForAllThreads(ways, normal);
      }
    },
  );
});

function problem(c: OperatorCase, fill: Fill, seed: number, line: string): Problem {
  const inputs = inputsOf(c, fill, seed);
  const [expected] = referenceOf(c, inputs);
  const [bound] = boundsOf(c, inputs, [expected]);
  // Bounds are proportional to Σ|x||w|.
  const products = (inputs[1] as Tensor).shape.slice(1).reduce((a, b) => a * b);
  const magnitudes = bound.map((value) => value / ((products + 4) * 2 ** -24));
  const boundOf = ({ precision }: Way): ArrayLike<number> =>
    precision === '' ? bound : magnitudes.map((magnitude) => magnitude * bfloat16Bound(precision, products));
  return { c, inputs, expected, boundOf, line };
}

function compute({ c, inputs }: Problem, { isa, conv, threads, precision }: Way): Tensor {
  return nativeReading({ isa, conv, threads, precision }).apply(operators[c.operator], inputs, attributesOf(c))[0];
}

function expectExact(way: Way, result: Tensor, expected: Exact, { line }: Problem): void {
  if (way.isExact ? !isIdentical(result, expected.to('float32')) : relativeRms(result, expected) > 2e-5)
    expect.fail(`${caseLine(way)} is not right on whole numbers, ${line}`);
}

/** `slack`: what was done to a result adds to its bound. */
function expectClose(
  way: Way,
  result: Tensor,
  expected: Exact,
  { boundOf, line }: Problem,
  slack = (bound: number, _i: number) => bound,
): void {
  if (way.isWinograd) {
    const error = relativeRms(result, expected);
    if (!(error <= 2e-5)) expect.fail(`${caseLine(way)}: off by ${error} in the 2-norm, ${line}`);
    return;
  }
  const bound = boundOf(way);
  const beyond = result.data.findIndex((y, i) => !(Math.abs(y - expected.data[i]) <= slack(bound[i], i)));
  if (beyond >= 0)
    expect.fail(
      `${caseLine(way)}: ${result.data[beyond]} for ${expected.data[beyond]} ± ${slack(bound[beyond], beyond)} at ${beyond}, ${line}`,
    );
}

function expectSameForAllThreads(ways: readonly Way[], normal: Problem): void {
  for (const way of ways) {
    const one = compute(normal, { ...way, threads: 1 });
    for (const threads of [2, 3, 4]) {
      if (!isIdentical(compute(normal, { ...way, threads }), one))
        expect.fail(`${caseLine(way)}: other bits on ${threads} threads than on one, ${normal.line}`);
    }
  }
}

const activations = [
  'none',
  'relu',
  'relu6',
  'leakyRelu',
  'sigmoid',
  'silu',
  'hardSigmoid',
  'hardSwish',
  'gelu',
  'tanh',
] as const;

/**
 * A residual, an activation or both, which a session does as the convolution stores. Those that keep whole numbers are
 * exact, as the sums are.
 */
function expectEpilogues(ways: readonly Way[], p: Problem, seed: number): void {
  const { c, inputs, expected } = p;
  const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor | null];
  const random = new Random(seed);
  const isWhole = seed % 8 === 0;
  const activation = activations[random.integer(0, isWhole ? 2 : activations.length - 1)];
  const residual =
    activation === 'none' || random.uniform() < 0.5
      ? filled(expected.shape, isWhole ? 'integers' : 'normal', random)
      : null;
  const model = {
    compute<X>(f: Ops<X>, image: X, other?: X): X {
      const product = f.conv2d(image, f.lift(weight), bias && f.lift(bias), c.options);
      const sum = other === undefined ? product : f.add(product, other);
      return activation === 'none' ? sum : f[activation](sum);
    },
  };
  const [sum] = residual === null ? [expected] : add.reference([expected, residual.to('float64')], {});
  const [result] =
    activation === 'none'
      ? [sum]
      : operators[activation].reference([sum], attributesOf({ operator: activation, options: {} }) as never);
  const given = { x, ...(residual && { residual }) };
  const shapes = { x: x.shape, ...(residual && { residual: residual.shape }) };
  // No slope is steeper than 1.5; adding rounds once, an activation is within four units of the last place.
  const slack = (bound: number, i: number): number =>
    1.5 * (bound + 2 ** -23 * (Math.abs(expected.data[i]) + Math.abs(residual?.data[i] ?? 0))) +
    2 ** -22 * Math.max(1, Math.abs(result.data[i]));
  const what = { ...p, line: `then ${residual === null ? '' : 'a residual and '}${activation}, ${p.line}` };
  for (const way of ways) {
    const { isa, conv, threads, precision } = way;
    const session = compileSync(model, { inputs: shapes, isa, conv, threads, ...(precision && { precision }) });
    const steps = session.describe().filter(({ operation }) => !operation.startsWith('to'));
    if (steps.length !== 1 || steps[0].algorithm !== conv)
      expect.fail(`${caseLine(way)}: ${caseLine(steps)} ran, ${what.line}`);
    const { output } = session.runSync(given);
    if (isWhole) expectExact(way, output, result, what);
    else if (!way.isWinograd) expectClose(way, output, result, what, slack);
    // Relative to the sum: an activation may leave little of it.
    else if (relativeRms({ data: output.data.map((y, i) => sum.data[i] + (y - result.data[i])) }, sum) > 3e-5)
      expect.fail(`${caseLine(way)} is off in the 2-norm, ${what.line}`);
  }
}

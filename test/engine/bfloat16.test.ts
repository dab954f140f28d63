/**
 * Convolutions in bfloat16 and in pairs of bfloat16, on this processor's instructions (test/native/bfloat16_*_test.cc
 * has both kernels, AMX emulated where there is none). Bounds per element follow from the rounding of the factors;
 * those of whole networks are what `compile` promises.
 */
import { describe, expect, it } from 'vitest';
import { nativeReading } from '../../lib/engine/eager.js';
import { compile, compileSync, createRepVGG, isIdentical, Random, referenceForward, Tensor } from '../../lib/index.js';
import { ReLU6, SiLU } from '../../lib/nn/layers/activations.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { Linear } from '../../lib/nn/layers/linear.js';
import { conv2d } from '../../lib/ops/conv/conv2d.js';
import { linear } from '../../lib/ops/product/linear.js';
import { attributesOf, caseLine, inputsOf, type OperatorCase, referenceOf } from '../cases/case.js';
import { convCases, operatorCaseOf } from '../cases/convCases.js';
import { operatorCases } from '../cases/operatorCases.js';
import { expectRefusal } from '../cases/refusal.js';
import { bfloat16Bound, relativeRms } from './bounds.js';
import { bfloat16Kernel } from './isas.js';

const kernel = bfloat16Kernel();
if (kernel === '')
  console.warn(
    'SKIPPED: this processor has neither AMX nor a fast AVX512_BF16; precisions bfloat16 and bfloat16x3 are not tested here',
  );
const precisions = ['bfloat16', 'bfloat16x3'] as const;
type Precision = (typeof precisions)[number];

/** Root mean square over a network, relative. */
const networkError = { bfloat16: 2e-2, bfloat16x3: 5e-5 } as const;

/** Those that the algorithm takes: of several groups, 32 channels in each, and an even number. */
const cases = convCases
  .filter(({ weight, options: { groups = 1 } }) => groups === 1 || (weight[1] >= 32 && weight[1] % 2 === 0))
  .map(operatorCaseOf);
const linearCases = operatorCases.filter(({ operator }) => operator === 'linear');

const random = new Random(23);
const normal = (shape: readonly number[], scale = 1): Tensor =>
  new Tensor(
    'float32',
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => scale * random.normal()),
  );

const compute = (c: OperatorCase, inputs: readonly (Tensor | null)[], precision: Precision): Tensor =>
  nativeReading({ threads: 2, precision, conv: precision }).apply(conv2d, inputs, attributesOf(c) as never)[0];

/** Element by element within what rounding the factors can do, and within a network's bound as a whole. */
function expectWithinRounding(
  c: OperatorCase,
  inputs: readonly (Tensor | null)[],
  result: Tensor,
  precision: Precision,
): void {
  const [expected] = referenceOf(c, inputs);
  const [magnitude] = referenceOf(
    c,
    inputs.map((input) => input && new Tensor('float32', input.shape, input.data.map(Math.abs))),
  );
  const products = (inputs[1] as Tensor).shape.slice(1).reduce((a, b) => a * b, 1);
  const bound = bfloat16Bound(precision, products);
  const beyond = result.data.findIndex((y, i) => !(Math.abs(y - expected.data[i]) <= bound * magnitude.data[i]));
  expect(beyond, `${caseLine(c)}: ${result.data[beyond]} for ${expected.data[beyond]}`).toBe(-1);
  expect(relativeRms(result, expected)).toBeLessThan(networkError[precision]);
}

describe.runIf(kernel !== '').each(precisions)('%s', (precision) => {
  it('has enough cases', () => {
    expect(cases.length).toBeGreaterThan(15);
  });

  it.each(cases.map((c) => [c.name, c] as const))('is exact on small whole numbers: %s', (_, c) => {
    const inputs = inputsOf(c, 'integers');
    const [expected] = referenceOf(c, inputs);
    expect(isIdentical(compute(c, inputs, precision), expected.to('float32')), caseLine(c)).toBe(true);
  });

  it.each(cases.map((c) => [c.name, c] as const))('is within its rounding, element by element: %s', (_, c) => {
    const inputs = inputsOf(c, 'normal');
    expectWithinRounding(c, inputs, compute(c, inputs, precision), precision);
  });

  it('is less exact than float32, as it must be if it is what ran', () => {
    const c = cases.find(({ name }) => name.includes('stage 4')) as OperatorCase;
    const inputs = inputsOf(c, 'normal');
    expect(relativeRms(compute(c, inputs, precision), referenceOf(c, inputs)[0])).toBeGreaterThan(
      networkError[precision] / 100,
    );
  });

  it('makes of NaN and infinity something that is no number, exactly where they are read', () => {
    for (const c of cases) {
      const inputs = inputsOf(c, 'normal');
      const [image] = inputs as [Tensor];
      if (image.size === 0) continue;
      for (const value of [NaN, Infinity, -Infinity]) image.data[random.integer(0, image.size - 1)] = value;
      const [expected] = referenceOf(c, inputs);
      const result = compute(c, inputs, precision);
      expect(
        result.data.findIndex((y, i) => Number.isFinite(y) !== Number.isFinite(expected.data[i])),
        caseLine(c),
      ).toBe(-1);
    }
  });

  it('takes denormal numbers for zero', () => {
    const c: OperatorCase = { name: '', operator: 'conv2d', inputs: [[1, 32, 2, 2], [3, 32, 1, 1], null], options: {} };
    const inputs = [new Tensor('float32', [1, 32, 2, 2]), normal([3, 32, 1, 1]), null];
    inputs[0]?.data.fill(1e-39);
    for (const y of compute(c, inputs, precision).data) expect(Math.abs(y)).toBe(0);
  });

  it('gives the same bits for 1 to 4 threads, any place in the batch, run and runSync', async () => {
    const model = new Sequential(
      new Conv2d(32, 48, 3, { padding: 1 }),
      new Conv2d(48, 64, 3, { stride: 2, padding: 1 }),
      new Conv2d(64, 64, 3, { groups: 2, padding: 1 }),
      new Conv2d(64, 40, 1),
    );
    const shape = [3, 32, 19, 23] as const;
    const x = normal(shape);
    const image = new Tensor('float32', [1, 32, 19, 23], x.data.slice((2 * x.size) / 3));
    const options = { inputs: { x: ['N', 32, 19, 23] }, maxBatch: 3, precision, conv: precision } as const;
    const first = compileSync(model, { ...options, threads: 1 });
    expect(first.describe().filter(({ algorithm }) => algorithm === precision)).toHaveLength(4);
    const { output: expected } = first.runSync(x);
    for (const threads of [1, 2, 3, 4]) {
      const session = await compile(model, { ...options, threads });
      expect(isIdentical(session.runSync(x).output, expected)).toBe(true);
      expect(isIdentical((await session.run(x)).output, expected)).toBe(true);
      const { output } = session.runSync(image);
      expect(isIdentical(output, new Tensor('float32', output.shape, expected.data.slice(-output.size)))).toBe(true);
    }
  });

  it('names the algorithm and its kernel, and what was asked for', () => {
    const session = compileSync(new Conv2d(64, 64, 3, { stride: 2 }), {
      inputs: { x: [1, 64, 33, 33] },
      precision,
      conv: precision,
    });
    expect(session.describe()).toContainEqual(
      expect.objectContaining({ operation: 'conv2d', algorithm: precision, kernel }),
    );
    expect(session.settings.precision).toBe(precision);
    const narrow = compileSync(new Conv2d(16, 64, 3, { groups: 2 }), {
      inputs: { x: [1, 16, 33, 33] },
      precision,
      conv: precision,
    });
    expect(narrow.describe().filter(({ algorithm }) => algorithm === precision)).toEqual([]);
  });
});

describe.runIf(kernel !== '')('linear layers', () => {
  const compute = (c: OperatorCase, inputs: readonly (Tensor | null)[]): Tensor =>
    nativeReading({ threads: 2, precision: 'bfloat16' }).apply(linear, inputs, attributesOf(c) as never)[0];

  it.each(linearCases.map((c) => [c.name, c] as const))(
    'in bfloat16 are exact on small whole numbers, and within their rounding: %s',
    (_, c) => {
      const whole = inputsOf(c, 'integers');
      expect(isIdentical(compute(c, whole), referenceOf(c, whole)[0].to('float32')), caseLine(c)).toBe(true);
      const inputs = inputsOf(c, 'normal');
      expectWithinRounding(c, inputs, compute(c, inputs), 'bfloat16');
    },
  );

  it('are in bfloat16 what describe() says, and in no other precision', () => {
    for (const precision of ['float32', 'bfloat16x3', 'bfloat16'] as const) {
      const session = compileSync(new Linear(40, 30), { inputs: { x: ['N', 40] }, precision });
      const [{ algorithm, macs }] = session.describe().filter(({ operation }) => operation === 'linear');
      expect(algorithm === 'bfloat16').toBe(precision === 'bfloat16');
      expect(macs).toBe(40 * 30);
    }
  });

  it('take activations in bfloat16 that are no clamp', () => {
    const x = normal([9, 40]);
    const layer = new Linear(40, 30);
    for (const activation of [new SiLU(), new ReLU6()]) {
      const model = new Sequential(layer, activation);
      const session = compileSync(model, { inputs: { x: [9, 40] }, maxBatch: 9, precision: 'bfloat16' });
      expect(session.describe()).toHaveLength(1);
      expect(relativeRms(session.runSync(x).output, referenceForward(model, x))).toBeLessThan(networkError.bfloat16);
    }
  });
});

describe.runIf(kernel !== '')('networks', () => {
  const model = createRepVGG('repvgg-a0', { deploy: true }).eval();
  for (const [key, tensor] of model.namedParameters()) {
    const scale = key.endsWith('bias') ? 0.1 : Math.sqrt(2 / (tensor.size / tensor.shape[0]));
    for (const i of tensor.data.keys()) tensor.data[i] = scale * random.normal();
  }
  const x = normal([1, 3, 64, 64]);
  const expected = referenceForward(model, x);

  it.each(precisions)('RepVGG-A0 in %s is within its bound of float64, every layer in it', (precision) => {
    const forced = compileSync(model, { inputs: { images: [1, 3, 64, 64] }, precision, conv: precision });
    // 22 convolutions, and the classifier where that is faster.
    expect(forced.describe().filter(({ algorithm }) => algorithm === precision)).toHaveLength(
      precision === 'bfloat16' ? 23 : 22,
    );
    const usual = compileSync(model, { inputs: { images: [1, 3, 64, 64] }, precision });
    for (const session of [forced, usual])
      expect(relativeRms(session.runSync(x).output, expected)).toBeLessThan(networkError[precision]);
  });

  it.each(precisions)('the digits network classifies the same in %s', async (precision) => {
    const built = await import(new URL('../../dist/index.mjs', import.meta.url).href);
    const digits = await import(new URL('../../examples/digits/model.mjs', import.meta.url).href);
    const { images, labels, logits } = await digits.loadTestSet();
    const { model: fused } = built.repconv(await digits.loadDigits());
    const inputs = { images: [500, 1, 8, 8] };
    for (const conv of [precision, '']) {
      const session = built.compileSync(fused, { inputs, maxBatch: 500, precision, ...(conv && { conv }) });
      const { output } = session.runSync(images);
      expect(digits.predictions(output)).toEqual(labels);
      expect(relativeRms(output, logits)).toBeLessThan(networkError[precision]);
    }
  });

  it('fastest is bfloat16, and says so', () => {
    const session = compileSync(model, { inputs: { images: [1, 3, 64, 64] }, precision: 'fastest' });
    expect(session.settings.precision).toBe('bfloat16');
    expect(
      isIdentical(
        session.runSync(x).output,
        compileSync(model, { inputs: { images: [1, 3, 64, 64] }, precision: 'bfloat16' }).runSync(x).output,
      ),
    ).toBe(true);
  });
});

it.each(precisions)('%s below AVX-512 is refused with what there is; fastest is float32 there', (precision) => {
  const options = { inputs: { x: [1, 32, 5, 5] }, isa: 'avx2' } as const;
  expectRefusal(
    () => compileSync(new Conv2d(32, 32, 3), { ...options, precision }),
    'ERR_UNSUPPORTED',
    new RegExp(
      `^session: precision ${precision} expects a processor with AMX, or AMD's with AVX512_BF16; this one .* computes in float32, with (avx2|scalar)`,
    ),
  );
  const session = compileSync(new Conv2d(32, 32, 3), { ...options, precision: 'fastest' });
  expect(session.settings.precision).toBe('float32');
});

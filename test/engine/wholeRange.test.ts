/**
 * Activations and binary operators over all of float32: zeros of both signs, denormal numbers, the ends of the range,
 * infinities, NaN, what lies around the corners of formulas, and numbers drawn from all bit patterns; on every
 * instruction set, over plain values and over images as sessions keep them.
 *
 * Sums and products are those of IEEE 754, to the bit. An activation gives the reference's number, rounded from
 * float64, but for a few units of 2⁻²⁴·max(1, |y|); it is NaN, infinite, positive and negative where that is, zeros
 * too. (What docs/numbers.md says is flushed to zero is less than such a unit, and keeps its sign.)
 */
import { describe, expect, it } from 'vitest';
import { nativeReading } from '../../lib/engine/eager.js';
import { compileSync, Random, Tensor } from '../../lib/index.js';
import type { Operator } from '../../lib/ops/operator.js';
import { type OperatorName, operators } from '../../lib/ops/registry.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import { usableIsas } from './isas.js';

interface Activation {
  readonly word: OperatorName;
  readonly attributes: object;
  /** What it may be off, in units of 2⁻²⁴·max(1, |y|). */
  readonly units: number;
  readonly sentence: <X>(f: Ops<X>, x: X) => X;
}

const activations: readonly Activation[] = [
  { word: 'relu', attributes: {}, units: 0, sentence: (f, x) => f.relu(x) },
  { word: 'relu6', attributes: {}, units: 0, sentence: (f, x) => f.relu6(x) },
  ...[0.25, 0, -2].map((negativeSlope) => ({
    word: 'leakyRelu' as const,
    attributes: { negativeSlope },
    units: 0,
    sentence: <X>(f: Ops<X>, x: X) => f.leakyRelu(x, { negativeSlope }),
  })),
  { word: 'sigmoid', attributes: {}, units: 4, sentence: (f, x) => f.sigmoid(x) },
  { word: 'silu', attributes: {}, units: 4, sentence: (f, x) => f.silu(x) },
  { word: 'hardSigmoid', attributes: {}, units: 2, sentence: (f, x) => f.hardSigmoid(x) },
  { word: 'hardSwish', attributes: {}, units: 3, sentence: (f, x) => f.hardSwish(x) },
  ...(['none', 'tanh'] as const).map((approximate) => ({
    word: 'gelu' as const,
    attributes: { approximate },
    units: 4,
    sentence: <X>(f: Ops<X>, x: X) => f.gelu(x, { approximate }),
  })),
  { word: 'tanh', attributes: {}, units: 4, sentence: (f, x) => f.tanh(x) },
];

const corners = [
  ...[0, 2 ** -149, 2 ** -127, 2 ** -126, 1e-38, 1e-20, 1e-5, 1e-3, 0.5, 0.625, 1, 2.9999998, 3, 3.0000002, 4, 5, 6, 9],
  ...[13, 20, 87.3, 87.4, 88.7, 88.8, 100, 104, 1e4, 1e13, 1e20, 1e30, 5.7e37, 1e38, (2 - 2 ** -23) * 2 ** 127],
  ...[Infinity, NaN],
];
/** Each corner with each, in both signs; then numbers of all bit patterns, and some near zero. */
const [first, second] = [drawn(1), drawn(2)];
const signed = corners.flatMap((x) => [x, -x]);
for (const [i, x] of signed.entries())
  for (const [j, y] of signed.entries()) [first[i * signed.length + j], second[i * signed.length + j]] = [x, y];

describe.each(usableIsas())('with %s', (isa) => {
  it.each(activations)(
    '$word $attributes is the reference over the whole range',
    ({ word, attributes, units, sentence }) => {
      const [expected] = (operators[word] as Operator).reference([line(first).to('float64')], attributes);
      for (const [form, found] of forms(isa, sentence, first, second))
        expect(differences(found, expected, units), form).toEqual([]);
    },
  );

  it.each([
    ['add', <X>(f: Ops<X>, x: X, y: X): X => f.add(x, y)],
    ['mul', <X>(f: Ops<X>, x: X, y: X): X => f.mul(x, y)],
  ] as const)('%s is that of IEEE 754, to the bit', (word, sentence) => {
    const [expected] = operators[word].reference([line(first).to('float64'), line(second).to('float64')], {});
    for (const [form, found] of forms(isa, sentence, first, second))
      expect(differences(found, expected, 0), form).toEqual([]);
  });

  it.each([
    ['add', <X>(f: Ops<X>, x: X, y: X): X => f.add(x, y)],
    ['mul', <X>(f: Ops<X>, x: X, y: X): X => f.mul(x, y)],
    ['prelu', <X>(f: Ops<X>, x: X, y: X): X => f.prelu(x, y)],
  ] as const)('%s with one number for each channel is the same', (word, sentence) => {
    const channels = 7;
    const image = new Tensor('float32', [1, channels, 1, signed.length], repeated(signed, channels));
    for (let i = 0; i + channels <= signed.length; i += channels) {
      const shape = word === 'prelu' ? [channels] : [1, channels, 1, 1];
      const each = new Tensor('float32', shape, Float32Array.from(signed.slice(i, i + channels)));
      const [expected] = operators[word].reference([image.to('float64'), each.to('float64')], {});
      const [plain] = nativeReading({ isa }).apply(operators[word], [image, each], {});
      expect(differences(plain, expected, 0), 'of plain values').toEqual([]);
      const found = overImage(isa, (f, x) => sentence(f, x, f.lift(each)), image);
      expect(differences(found, expected, 0), 'of an image').toEqual([]);
    }
  });

  it('softmax of two numbers is the reference, also where one is infinite or their difference is', () => {
    const pairs = Float32Array.from([...first].flatMap((x, i) => [x, second[i]]));
    const x = new Tensor('float32', [first.length, 2], pairs);
    const [expected] = operators.softmax.reference([x.to('float64')], { axis: 1 });
    const [found] = nativeReading({ isa }).apply(operators.softmax, [x], { axis: 1 });
    expect(differences(found, expected, 8)).toEqual([]);
  });
});

/** The first elements that are neither the expected number, rounded, nor, of its sign, near enough to it. */
function differences(found: Tensor, expected: Tensor<'float64'>, units: number): string[] {
  const isRight = (y: number, e: number): boolean =>
    Object.is(y, e) ||
    (Math.abs(y - e) <= units * 2 ** -24 * Math.max(1, Math.abs(e)) && Math.sign(1 / y) === Math.sign(1 / e));
  const wrong = [...found.data.keys()].filter((i) => !isRight(found.data[i], Math.fround(expected.data[i])));
  return wrong.slice(0, 9).map((i) => `${shown(found.data[i])} for ${shown(expected.data[i])} at ${i}`);
}

/** A sentence over plain values, and over images. */
function forms(
  isa: string,
  sentence: <X>(f: Ops<X>, x: X, y: X) => X,
  x: Float32Array,
  y: Float32Array,
): [string, Tensor][] {
  const plain = { compute: <X>(f: Ops<X>, a: X, b: X): X => sentence(f, a, b) };
  const image = {
    compute: <X>(f: Ops<X>, a: X, b: X): X =>
      sentence(f, f.maxPool2d(a, { kernelSize: [1, 2] }), f.maxPool2d(b, { kernelSize: [1, 2] })),
  };
  const run = (model: typeof plain, a: Tensor, b: Tensor): Tensor =>
    compileSync(model, { inputs: { a: a.shape, b: b.shape }, isa }).runSync({ a, b }).output;
  const channels = 17;
  return [
    ['of plain values', run(plain, line(x), line(y))],
    ['of images', run(image, twice(x, channels), twice(y, channels))],
  ];
}

function overImage(isa: string, sentence: <X>(f: Ops<X>, x: X) => X, image: Tensor): Tensor {
  const model = { compute: <X>(f: Ops<X>, x: X): X => sentence(f, f.maxPool2d(x, { kernelSize: [1, 2] })) };
  const x = twice(image.data, image.shape[1]);
  return compileSync(model, { inputs: { x: x.shape }, isa }).runSync(x).output;
}

/** An image of each number twice: the larger of the two, which pooling takes, is the number. */
function twice(values: Float32Array, channels: number): Tensor {
  const doubled = new Float32Array(2 * values.length);
  for (const [i, x] of values.entries()) doubled.fill(x, 2 * i, 2 * i + 2);
  return new Tensor('float32', [1, channels, 1, doubled.length / channels], doubled);
}

function line(values: Float32Array): Tensor {
  return new Tensor('float32', [values.length], values);
}

function repeated(values: readonly number[], times: number): Float32Array {
  return Float32Array.from({ length: times * values.length }, (_, i) => values[i % values.length]);
}

/** A whole number of vectors of every length for each of 17 channels, and a rest. */
function drawn(seed: number): Float32Array {
  const random = new Random(seed);
  const size = 17 * (16 * 30 + 7);
  const bits = new Float32Array(Uint32Array.from({ length: size }, () => random.integer(0, 2 ** 32 - 1)).buffer);
  for (let i = 0; i < size; i += 2) bits[i] = 30 * random.normal();
  return bits;
}

function shown(x: number): string {
  return Object.is(x, -0) ? '-0' : String(x);
}

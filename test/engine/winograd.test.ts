/**
 * Winograd convolution against the float64 reference. Its rounding errors belong to the tile, not to the element, so
 * the bound is on the whole result: 1e-6 root mean square on normal data, 2e-5 in the 2-norm on adversarial data.
 * F(2×2) of whole numbers is exact.
 */
import { describe, expect, it } from 'vitest';
import { nativeReading } from '../../lib/engine/eager.js';
import {
  compileSync,
  createRepVGG,
  difference,
  isIdentical,
  Random,
  randn,
  referenceForward,
  Tensor,
} from '../../lib/index.js';
import { ReLU } from '../../lib/nn/layers/activations.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { conv2d } from '../../lib/ops/conv/conv2d.js';
import { relativeRms } from './bounds.js';
import { usableIsas } from './isas.js';

const isas = usableIsas();
const ways = isas.flatMap((isa) => ['winograd2', 'winograd4'].map((conv) => ({ isa, conv })));

/**
 * [N, C, H, W, O, groups, padding]: odd and tiny maps, channels beside the vector, every number of channels' stretches,
 * asymmetric padding.
 */
const shapes: [number, number, number, number, number, number, [number, number, number, number]][] = [
  [1, 16, 4, 4, 16, 1, [1, 1, 1, 1]],
  [2, 48, 13, 17, 48, 1, [1, 1, 1, 1]],
  [1, 192, 14, 14, 96, 1, [1, 1, 1, 1]],
  [3, 20, 9, 7, 33, 1, [0, 2, 1, 3]],
  [2, 64, 11, 5, 64, 2, [2, 2, 2, 2]],
  [1, 128, 7, 5, 32, 1, [0, 0, 0, 0]],
  [1, 17, 1, 30, 1, 1, [1, 1, 1, 1]],
];

const random = new Random(11);
const normal = (shape: readonly number[]): Tensor =>
  new Tensor(
    'float32',
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );
const integers = (shape: readonly number[]): Tensor =>
  new Tensor(
    'float32',
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.floor(random.uniform() * 9) - 4),
  );
const attributes = (groups: number, padding: [number, number, number, number]) =>
  ({ stride: [1, 1], padding, dilation: [1, 1], groups, paddingMode: 'zeros' }) as const;

describe.each(ways)('$conv on $isa', (way) => {
  const compute = (inputs: (Tensor | null)[], groups: number, padding: [number, number, number, number]): Tensor =>
    nativeReading({ threads: 2, ...way }).apply(conv2d, inputs, attributes(groups, padding))[0];
  const reference = (
    inputs: (Tensor | null)[],
    groups: number,
    padding: [number, number, number, number],
  ): Tensor<'float64'> =>
    conv2d.reference(
      inputs.map((input) => input?.to('float64') ?? null),
      attributes(groups, padding),
    )[0];

  it.each(shapes)(
    'is within 1e-6 rms on normal data: %i×%i×%i×%i → %i channels, %i groups',
    (n, c, h, w, o, groups, padding) => {
      const inputs = [normal([n, c, h, w]), normal([o, c / groups, 3, 3]), normal([o])];
      expect(relativeRms(compute(inputs, groups, padding), reference(inputs, groups, padding))).toBeLessThan(1e-6);
    },
  );

  it('is within 2e-5 when magnitudes differ by a million from pixel to pixel and channel to channel', () => {
    const inputs = [normal([2, 32, 10, 9]), normal([32, 32, 3, 3]), normal([32])];
    for (const { data } of inputs) for (const i of data.keys()) data[i] *= 10 ** (6 * random.uniform() - 3);
    expect(relativeRms(compute(inputs, 1, [1, 1, 1, 1]), reference(inputs, 1, [1, 1, 1, 1]))).toBeLessThan(2e-5);
  });

  it('may spread NaN and infinity inside a tile, and never loses them', () => {
    const image = normal([1, 16, 12, 12]);
    image.data[5 * 144 + 6 * 12 + 6] = Number.NaN;
    image.data[3 * 144 + 1] = Infinity;
    const inputs = [image, normal([16, 16, 3, 3]), null];
    const [result, expected] = [compute(inputs, 1, [1, 1, 1, 1]), reference(inputs, 1, [1, 1, 1, 1])];
    const lost = expected.data.filter((y, i) => !Number.isFinite(y) && Number.isFinite(result.data[i]));
    expect(lost.length).toBe(0);
    // A 12×12 map has nine tiles of 4×4 outputs: those far from the two pixels stay finite.
    expect(result.data.filter(Number.isFinite).length).toBeGreaterThan(16 * 144 * 0.3);
  });

  it('leaves finite what lies below the documented range, and may not beyond it, where direct convolution still does', () => {
    const most = way.conv === 'winograd2' ? 8e37 : 1e37;
    const weight = normal([16, 16, 3, 3]);
    for (const i of weight.data.keys()) weight.data[i] *= 1e-4;
    const image = (size: number, sign: () => number): Tensor =>
      new Tensor(
        'float32',
        [1, 16, 8, 8],
        new Float32Array(16 * 64).map(() => size * sign()),
      );
    for (let round = 0; round < 20; round++) {
      const inputs = [image(most, () => (random.uniform() < 0.5 ? -1 : 1)), weight, null];
      expect(relativeRms(compute(inputs, 1, [1, 1, 1, 1]), reference(inputs, 1, [1, 1, 1, 1]))).toBeLessThan(1e-5);
    }
    const beyond = [image(1e38, () => 1), weight, null];
    expect(compute(beyond, 1, [1, 1, 1, 1]).data.every(Number.isFinite)).toBe(false);
    const direct = nativeReading({ ...way, conv: 'direct' }).apply(conv2d, beyond, attributes(1, [1, 1, 1, 1]))[0];
    expect(difference(direct, reference(beyond, 1, [1, 1, 1, 1])).relative).toBeLessThan(1e-5);
  });

  it('does residual sum, clamp and activation on the way to memory', () => {
    const block = new Sequential(new Conv2d(16, 16, 3, { padding: 1 }), new ReLU());
    const x = normal([1, 16, 7, 6]);
    const session = compileSync(block, { inputs: { images: [1, 16, 7, 6] }, threads: 1, ...way });
    expect(session.describe().map(({ algorithm }) => algorithm)).toContain(way.conv);
    expect(difference(session.runSync(x).output, referenceForward(block, x)).relative).toBeLessThan(2e-6);
  });
});

describe.each(isas)('F(2×2) on %s', (isa) => {
  it.each(shapes)(
    'is exact on whole numbers: %i×%i×%i×%i → %i channels, %i groups',
    (n, c, h, w, o, groups, padding) => {
      const inputs = [integers([n, c, h, w]), integers([o, c / groups, 3, 3]), integers([o])];
      const result = nativeReading({ threads: 2, isa, conv: 'winograd2' }).apply(
        conv2d,
        inputs,
        attributes(groups, padding),
      )[0];
      const [expected] = conv2d.reference(
        inputs.map((input) => input.to('float64')),
        attributes(groups, padding),
      );
      expect(isIdentical(result, expected.to('float32'))).toBe(true);
    },
  );
});

it('keeps RepVGG-A0 within 5e-6 rms of float64, and a layer is chosen to be Winograd', () => {
  const model = createRepVGG('repvgg-a0', { deploy: true }).eval();
  for (const [key, tensor] of model.namedParameters()) {
    const scale = key.endsWith('bias') ? 0.1 : Math.sqrt(2 / (tensor.size / tensor.shape[0]));
    for (const i of tensor.data.keys()) tensor.data[i] = scale * random.normal();
  }
  const x = randn([1, 3, 64, 64]);
  const session = compileSync(model, { inputs: { images: [1, 3, 64, 64] }, conv: 'winograd4' });
  expect(relativeRms(session.runSync(x).output, referenceForward(model, x))).toBeLessThan(5e-6);
  const usual = compileSync(model, { inputs: { images: [1, 3, 224, 224] } });
  expect(usual.describe().filter(({ algorithm }) => algorithm === 'winograd4').length).toBeGreaterThan(10);
});

it('refuses an algorithm nobody knows', () => {
  expect(() => compileSync(new ReLU(), { inputs: { x: [1, 1, 1, 1] }, conv: 'fastest' })).toThrow(
    /conv expects one of .*winograd4.*, got fastest/,
  );
});

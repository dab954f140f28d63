/**
 * Impulses read sparsely against the reference: the answer to an impulse is what the reference computes for that image,
 * less what it computes for the zero image. For every operator that certificates know, every border, and channels kept
 * apart by groups.
 */
import { describe, expect, it } from 'vitest';
import { referenceOps } from '../../lib/ops/reference.js';
import { type AffineSentence, ImpulseReader } from '../../lib/reparam/impulse.js';
import type { Patches } from '../../lib/reparam/patches.js';
import { difference } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';

const C = 4;
const generator = new Random(7);
const weights = (...shape: number[]): Tensor<'float64'> => randn(shape, { generator, dtype: 'float64' });
const [dense, wide, grouped, depthwise, pointwise, transposed] = [
  weights(6, C, 3, 3),
  weights(C, 6, 1, 3),
  weights(6, C / 2, 3, 3),
  weights(C, 1, 3, 3),
  weights(C, C, 1, 1),
  weights(C, 3, 4, 4),
];
const [bias6, bias4, scale] = [weights(6), weights(C), weights(C, 1, 1)];
const norm = {
  weight: weights(C),
  bias: weights(C),
  runningMean: weights(C),
  runningVariance: weights(C).to('float64'),
};
norm.runningVariance.data.forEach((v, i) => {
  norm.runningVariance.data[i] = v * v + 0.5;
});

const sentences: Record<string, AffineSentence> = {
  'a convolution with stride and dilation': (f, x) =>
    f.conv2d(x, f.lift(dense), f.lift(bias6), { stride: [1, 2], padding: 2, dilation: [2, 1] }),
  'a convolution that reflects its border': (f, x) =>
    f.conv2d(x, f.lift(dense), f.lift(bias6), { padding: [1, 2, 1, 0], paddingMode: 'reflect' }),
  'a convolution in groups after a depthwise one': (f, x) =>
    f.conv2d(f.conv2d(x, f.lift(depthwise), f.lift(bias4), { padding: 1, groups: C }), f.lift(grouped), null, {
      padding: 1,
      groups: 2,
    }),
  'two convolutions, the first with a bias that the second pads around': (f, x) =>
    f.conv2d(f.conv2d(x, f.lift(dense), f.lift(bias6), { padding: 1 }), f.lift(wide), null, { padding: [0, 1] }),
  'a transposed convolution in groups': (f, x) =>
    f.convTranspose2d(x, f.lift(transposed), f.lift(bias6), { stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
  'average pooling that leaves padding out of its divisor': (f, x) =>
    f.averagePool2d(x, { kernelSize: 3, stride: [2, 1], padding: 1, countIncludePad: false }),
  'a border that wraps around': (f, x) => f.pad(x, { padding: [1, 2, 0, 3], mode: 'circular' }),
  'parallel branches of different reach and grouping': (f, x) => {
    const spatial = f.conv2d(x, f.lift(depthwise), null, { padding: 1, groups: C });
    const mixed = f.batchNorm(f.conv2d(x, f.lift(pointwise), f.lift(bias4)), {
      weight: f.lift(norm.weight),
      bias: f.lift(norm.bias),
      runningMean: f.lift(norm.runningMean),
      runningVariance: f.lift(norm.runningVariance),
    });
    return f.add(f.add(spatial, f.mul(f.lift(scale), x)), f.add(mixed, f.lift(scale)));
  },
};

describe.each(Object.entries(sentences))('%s', (_, sentence) => {
  const shape = [1, C, 6, 7] as const;
  const onZero = sentence(referenceOps, new Tensor('float64', shape));

  it('answers the zero image as the reference does', () => {
    const reader = new ImpulseReader(shape);
    expect(difference(dense4d(reader.readZero(sentence), 0, onZero.shape), onZero).relative).toBeLessThan(1e-14);
  });

  it('answers every impulse as the reference does', () => {
    const reader = new ImpulseReader(shape);
    let worst = 0;
    for (let top = 0; top < shape[2]; top++) {
      for (let left = 0; left < shape[3]; left++) {
        const samples = {
          ...{ top, left, rows: 1, columns: 1, width: 1 },
          first: Int32Array.from([0, 1, 2, 3]),
          data: new Float64Array(C).fill(1),
        };
        const answers = reader.read(sentence, samples);
        for (let c = 0; c < C; c++) {
          const image = new Tensor('float64', shape);
          image.data[(c * shape[2] + top) * shape[3] + left] = 1;
          const expected = sentence(referenceOps, image);
          expected.data.forEach((value, i) => {
            expected.data[i] = value - onZero.data[i];
          });
          worst = Math.max(worst, difference(dense4d(answers, c, expected.shape), expected).absolute);
        }
        reader.memory.reset();
      }
    }
    expect(worst).toBeLessThan(1e-13);
  });

  it('answers mixes of channels with the sum of what it answers to each', () => {
    const reader = new ImpulseReader(shape);
    const at = { top: 2, left: 6, rows: 1, columns: 1 };
    const mix = reader.read(sentence, {
      ...at,
      first: Int32Array.of(0),
      width: C,
      data: Float64Array.of(1, -1, -1, 1),
    });
    const each = reader.read(sentence, {
      ...at,
      first: Int32Array.of(0, 1, 2, 3),
      width: 1,
      data: Float64Array.of(1, -1, -1, 1),
    });
    const total = dense4d(each, 0, onZero.shape);
    for (let c = 1; c < C; c++) {
      const { data } = dense4d(each, c, onZero.shape);
      data.forEach((value, i) => {
        total.data[i] += value;
      });
    }
    expect(difference(dense4d(mix, 0, onZero.shape), total).absolute).toBeLessThan(1e-13);
  });
});

/** One sample as the image it stands for. */
function dense4d(x: Patches, sample: number, shape: readonly number[]): Tensor<'float64'> {
  const image = new Tensor('float64', shape);
  const [, , H, W] = shape;
  for (let y = 0; y < x.rows; y++) {
    for (let column = 0; column < x.columns; column++) {
      for (let k = 0; k < x.width; k++) {
        const from = ((sample * x.rows + y) * x.columns + column) * x.width + k;
        image.data[((x.first[sample] + k) * H + x.top + y) * W + x.left + column] = x.data[from];
      }
    }
  }
  return image;
}

/** Every reason for not folding, each by the shortest sentence that gives it. */
import { describe, expect, it } from 'vitest';
import { repconv } from '../../lib/fusing/repconv.js';
import { ConvBlock } from '../../lib/nn/blocks/convBlock.js';
import type { TensorType } from '../../lib/ops/operator.js';
import { type Ops, vocabulary } from '../../lib/ops/vocabulary.js';
import { type Affine, affineReading, affineSource, affineSum } from '../../lib/reparam/affine.js';
import { isReason, type ReasonCode, reasonCodes } from '../../lib/reparam/reason.js';
import { shapeOf } from '../../lib/tensor/shape.js';
import { type AnyTensor, full, ones, tensor } from '../../lib/tensor/tensor.js';
import { folded, type Size } from './folding.js';
import type { Sentence } from './parts.js';

/** 64-bit constants by shape. */
const c = (...shape: number[]): AnyTensor => full(shape, 0.5, 'float64');

/** What a sentence over two channels gives. */
const sentences: readonly [ReasonCode, string, Sentence, Size?][] = [
  ['TRAIN_MODE', 'a batch norm that counts', (f, x) => f.batchNormTraining(x, batch(f, true)).output],
  [
    'TRAIN_MODE',
    'whatever follows it',
    (f, x) => f.add(x, f.conv2d(f.batchNormTraining(x, batch(f, true)).output, f.lift(c(2, 2, 1, 1)), null)),
  ],
  [
    'NO_RUNNING_STATISTICS',
    'a batch norm that has nothing to count with',
    (f, x) => f.batchNormTraining(x, batch(f, false)).output,
  ],
  ['NONFINITE', 'a NaN in a weight', (f, x) => f.conv2d(x, f.lift(full([2, 2, 1, 1], NaN, 'float64')), null)],
  [
    'NONFINITE',
    'an infinite bias',
    (f, x) => f.conv2d(x, f.lift(c(2, 2, 1, 1)), f.lift(full([2], Infinity, 'float64'))),
  ],
  ['NONFINITE', 'no variance and no eps', (f, x) => f.batchNorm(x, statistics(f, [0, 1]), { eps: 0 })],
  ['NONFINITE', 'a variance that is NaN', (f, x) => f.batchNorm(x, statistics(f, [NaN, 1]))],
  ['NONFINITE', 'an infinite scale', (f, x) => f.mul(x, f.lift(full([1], Infinity, 'float64')))],
  ['NEGATIVE_VARIANCE', 'a negative variance', (f, x) => f.batchNorm(x, statistics(f, [1, -1e-7]))],
  ['NONLINEAR', 'an activation', (f, x) => f.add(f.relu(x), x)],
  ['NONLINEAR', 'a product with itself', (f, x) => f.mul(x, x)],
  ['NONLINEAR', 'a maximum', (f, x) => f.maxPool2d(x, { kernelSize: 2 })],
  ['NOT_CONSTANT', 'a constant that varies over the image', (f, x) => f.add(x, f.lift(c(3, 3))), [3, 3]],
  ['NOT_CONSTANT', 'no input at all', (f) => f.lift(c(1, 2, 3, 3))],
  ['BROADCAST', 'one channel added to two', (f, x) => f.add(x, f.conv2d(x, f.lift(c(1, 2, 1, 1)), null))],
  ['BROADCAST', 'one pixel added to all', (f, x) => f.add(x, f.averagePool2d(x, { kernelSize: 3 })), [3, 3]],
  [
    'BROADCAST',
    'one channel scaled to two',
    (f, x) => f.mul(f.conv2d(x, f.lift(c(1, 2, 1, 1)), null), f.lift(c(2, 1, 1))),
  ],
  [
    'BORDER_BIAS',
    'a bias before a border of zeros',
    (f, x) => f.conv2d(f.add(x, f.lift(c(1))), f.lift(c(2, 2, 3, 3)), null, { padding: 1 }),
  ],
  [
    'BORDER_TAPS',
    'taps before a border of zeros',
    (f, x) => f.conv2d(f.conv2d(x, f.lift(c(2, 2, 3, 3)), null), f.lift(c(2, 2, 3, 3)), null, { padding: 1 }),
  ],
  [
    'COUNT_EXCLUDE_PAD',
    'a mean that leaves its border out',
    (f, x) => f.averagePool2d(x, { kernelSize: 3, padding: 1, countIncludePad: false }),
  ],
  ['CEIL_MODE', 'a mean with incomplete windows', (f, x) => f.averagePool2d(x, { kernelSize: 3, ceilMode: true })],
  [
    'STRIDE',
    'branches of different strides',
    (f, x) => f.add(f.conv2d(x, f.lift(c(2, 2, 1, 1)), null), f.conv2d(x, f.lift(c(2, 2, 1, 1)), null, { stride: 2 })),
    [1, 1],
  ],
  [
    'PADDING_MODE',
    'branches that continue the image differently',
    (f, x) =>
      f.add(
        f.conv2d(x, f.lift(c(2, 2, 3, 3)), null, { padding: 1 }),
        f.conv2d(x, f.lift(c(2, 2, 3, 3)), null, { padding: 1, paddingMode: 'circular' }),
      ),
  ],
  [
    'SHAPE_DEPENDENT',
    'sizes that agree for some images',
    (f, x) => f.add(f.conv2d(x, f.lift(c(2, 2, 1, 1)), null, { stride: 2 }), f.averagePool2d(x, { kernelSize: 2 })),
  ],
  [
    'TRANSPOSED',
    'an identity beside a transposed convolution of stride 2',
    (f, x) => f.add(x, f.convTranspose2d(x, f.lift(c(2, 2, 2, 2)), null, { stride: 2, padding: [0, 0, 1, 1] })),
    [1, 1],
  ],
];

describe('the reason is', () => {
  it.each(sentences)('%s for %s', (code, _, sentence, size) => {
    const result = folded(sentence, 2, size);
    expect(isReason(result) ? result.code : result).toBe(code);
    expect(String(result)).toContain(reasonCodes[code]);
  });

  it('NOT_CONSTANT for a weight that is computed', () => {
    const square: TensorType = { dtype: 'float64', shape: [2, 2, 2, 2] };
    for (const sentence of [
      (f, x) => f.conv2d(x, x, null),
      (f, x) => f.convTranspose2d(x, x, null),
    ] satisfies Sentence[])
      expect(affineSum(sentence, square)).toMatchObject({ code: 'NOT_CONSTANT' });
  });

  it('DIFFERENT_SOURCES where two inputs meet', () => {
    const f = vocabulary<Affine>(affineReading());
    const [x, y] = [0, 1].map(() => affineSource({ dtype: 'float64', shape: shapeOf(['N', 2, 'H', 'W']) }));
    expect(f.add(x, y)).toMatchObject({ code: 'DIFFERENT_SOURCES' });
  });

  it('NOT_EQUAL where the format of the weights is too narrow for the sum', () => {
    // Each branch is a finite float16, their sum 80000 is not.
    const block = new ConvBlock(1, 1).eval();
    for (const key of ['conv3_3.conv.weight', 'conv1_1.conv.weight']) {
      const weight = block.stateDict().get(key) as AnyTensor;
      (weight.data as Float32Array).fill(40000);
    }
    const { report } = repconv(block.to('float16'));
    expect(report.blocks[0]).toMatchObject({ status: 'left', reason: { code: 'NOT_EQUAL' } });
  });

  it('every one of the table but the one that is about cost', () => {
    const shown: ReadonlySet<string> = new Set([...sentences.map(([code]) => code), 'DIFFERENT_SOURCES', 'NOT_EQUAL']);
    // A block is merged because its author wants it merged; weighing what a sum costs belongs to whole graphs.
    expect(Object.keys(reasonCodes).filter((code) => !shown.has(code))).toEqual(['NOT_PROFITABLE']);
  });
});

/** Parameters of a training batch norm. */
function batch<X>(f: Ops<X>, hasStatistics: boolean): Parameters<Ops<X>['batchNormTraining']>[1] {
  const statistic = hasStatistics ? f.lift(ones([2], 'float64')) : null;
  return { weight: null, bias: null, runningMean: statistic, runningVariance: statistic };
}

function statistics<X>(f: Ops<X>, variance: readonly number[]): Parameters<Ops<X>['batchNorm']>[1] {
  return {
    weight: null,
    bias: null,
    runningMean: f.lift(c(2)),
    runningVariance: f.lift(tensor(variance, [2], 'float64')),
  };
}

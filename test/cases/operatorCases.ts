/**
 * Everything but convolutions: every operator, on shapes that are not square, not even and not multiples of a vector.
 */
import type { OperatorName } from '../../lib/ops/registry.js';
import { caseLine, type OperatorCase } from './case.js';
import { convCases, operatorCaseOf } from './convCases.js';

/** Images whose pixels end at, before and after vectors of 8 and 16; long vectors for threads. */
const images = [
  [1, 1, 1, 1],
  [2, 3, 5, 7],
  [1, 16, 4, 4],
  [1, 17, 3, 11],
  [3, 8, 1, 33],
  [1, 65, 9, 2],
  [1, 24, 31, 29],
];
const activations = [
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

export const operatorCases: readonly OperatorCase[] = [
  // Transposed convolution: weight [C, O/G, K, K'].
  op('convTranspose2d', [[1, 3, 7, 5], [3, 4, 4, 4], [4]], { stride: 2, padding: 1 }),
  op('convTranspose2d', [[2, 16, 5, 6], [16, 17, 2, 2], [17]], { stride: 2 }),
  op('convTranspose2d', [[1, 8, 6, 9], [8, 8, 3, 3], [8]], { padding: 1 }),
  op('convTranspose2d', [[1, 8, 5, 7], [8, 5, 3, 3], null], { stride: 2, padding: 1, outputPadding: 1 }),
  op('convTranspose2d', [[1, 3, 4, 5], [3, 2, 2, 2], [2]], { stride: 3, outputPadding: [1, 2] }),
  op('convTranspose2d', [[1, 6, 5, 4], [6, 2, 3, 3], [6]], { stride: 2, padding: 1, outputPadding: 1, groups: 3 }),
  op('convTranspose2d', [[1, 17, 6, 5], [17, 1, 4, 4], [17]], { stride: 2, padding: 1, groups: 17 }),
  op('convTranspose2d', [[1, 3, 5, 7], [3, 2, 3, 3], [2]], { padding: 2, dilation: 2 }),
  op('convTranspose2d', [[1, 2, 6, 5], [2, 3, 3, 5], [3]], { stride: [1, 2], padding: [1, 2], outputPadding: [0, 1] }),
  op('convTranspose2d', [[1, 2, 5, 4], [2, 3, 4, 4], [3]], { stride: 2, padding: [1, 0, 2, 1] }),
  op('convTranspose2d', [[1, 33, 4, 7], [33, 16, 1, 1], [16]]),
  op('convTranspose2d', [[1, 48, 9, 11], [48, 32, 2, 2], [32]], { stride: 2 }),
  // Strides larger than the kernel, or than the output: what no tap reaches is the bias.
  op('convTranspose2d', [[1, 3, 4, 5], [3, 17, 2, 3], [17]], { stride: [5, 4], outputPadding: [2, 0] }),
  op('convTranspose2d', [[2, 6, 3, 2], [6, 2, 1, 1], [6]], { stride: 3, groups: 3 }),
  op('convTranspose2d', [[1, 3, 3, 2], [3, 2, 2, 4], null], { stride: [7, 2], padding: [3, 1] }),
  op('convTranspose2d', [[1, 16, 1, 1], [16, 20, 2, 3], [20]], { stride: 1000 }),
  op('convTranspose2d', [[1, 4, 3, 3], [4, 5, 3, 3], [5]], { stride: 4, dilation: 2, padding: [2, 3, 1, 0] }),
  op('convTranspose2d', [[0, 3, 7, 5], [3, 4, 4, 4], [4]], { stride: 2, padding: 1 }),

  // Linear: rows and features around vectors.
  op('linear', [[1, 1], [1, 1], [1]]),
  op('linear', [[5, 17], [9, 17], [9]]),
  op('linear', [[3, 33], [10, 33], null]),
  op('linear', [[16, 64], [65, 64], [65]]),
  op('linear', [[1, 1280], [1000, 1280], [1000]]),
  op('linear', [[1, 256], [50, 256], [50]]),
  op('linear', [[3, 257], [33, 257], null]),
  op('linear', [[131, 700], [49, 700], [49]]),
  op('linear', [[7, 31], [1, 31], [1]]),
  op('linear', [[2, 3, 11], [6, 11], [6]]),
  op('linear', [[2, 1, 3, 5], [4, 5], null]),
  op('linear', [[7], [3, 7], [3]]),
  op('linear', [[0, 7], [3, 7], [3]]),

  // Batch norm: affine or not, any rank from [N, C].
  ...images.map((shape) => batchNorm('batchNorm', shape)),
  batchNorm('batchNorm', [5, 7], { eps: 1e-3 }),
  batchNorm('batchNorm', [2, 6, 11]),
  batchNorm('batchNorm', [1, 3, 2, 3, 2]),
  op('batchNorm', [[2, 5, 4, 3], null, null, [5], [5]]),
  op('batchNorm', [[2, 5, 4, 3], [5], null, [5], [5]]),
  op('batchNorm', [[2, 5, 4, 3], null, [5], [5], [5]]),
  batchNorm('batchNorm', [0, 5, 4, 3]),
  ...images.slice(1).map((shape) => batchNorm('batchNormTraining', shape)),
  batchNorm('batchNormTraining', [6, 5], { eps: 1e-3, momentum: 0.03 }),
  batchNorm('batchNormTraining', [3, 4, 9], { momentum: 1 / 3 }),
  op('batchNormTraining', [[2, 5, 4, 3], null, null, [5], [5]]),
  op('batchNormTraining', [[2, 5, 4, 3], [5], [5], null, null]),
  batchNorm('batchNormTraining', [0, 5, 4, 3]),

  // Element by element.
  ...activations.flatMap((operator) => images.map((shape) => op(operator, [shape]))),
  ...activations.flatMap((operator) => [
    op(operator, [[5, 37]]),
    op(operator, [[1003]]),
    op(operator, [[]]),
    op(operator, [[0, 3, 4, 5]]),
  ]),
  op('leakyRelu', [[1, 17, 3, 11]], { negativeSlope: 0.2 }),
  op('gelu', [[1, 17, 3, 11]], { approximate: 'tanh' }),
  ...images.map((shape) => op('prelu', [shape, [shape[1]]])),
  op('prelu', [[2, 3, 5, 7], [1]]),
  op('prelu', [[4, 6], [6]]),
  op('prelu', [[9], [1]]),
  ...[-1, 0, 1, 2, 3].map((axis) => op('softmax', [[2, 5, 3, 17]], { axis })),
  op('softmax', [[3, 1000]]),
  op('softmax', [[7, 1]]),
  op('softmax', [[33]], { axis: 0 }),
  op('softmax', [[0, 4]]),

  // Two inputs that broadcast.
  ...(['add', 'mul'] as const).flatMap((operator) => [
    ...images.map((shape) => op(operator, [shape, shape])),
    ...images.slice(1).map((shape) => op(operator, [shape, [1, shape[1], 1, 1]])),
    op(operator, [
      [2, 3, 5, 7],
      [2, 3, 1, 1],
    ]),
    op(operator, [
      [1, 17, 1, 1],
      [3, 17, 4, 9],
    ]),
    // Neither has the shape of the result.
    op(operator, [
      [1, 16, 1, 1],
      [2, 1, 6, 5],
    ]),
    op(operator, [
      [2, 1, 6, 5],
      [1, 5, 1, 1],
    ]),
    op(operator, [[2, 3, 5, 7], [1]]),
    op(operator, [[], [2, 3, 5, 7]]),
    op(operator, [
      [2, 3, 5, 7],
      [2, 1, 5, 7],
    ]),
    op(operator, [
      [2, 3, 5, 7],
      [3, 1, 1],
    ]),
    op(operator, [[2, 3, 5, 7], [7]]),
    op(operator, [
      [5, 4],
      [2, 3, 1, 1],
    ]),
    op(operator, [
      [2, 1, 5, 1],
      [1, 3, 1, 4],
    ]),
    op(operator, [
      [0, 3, 5, 4],
      [1, 3, 1, 1],
    ]),
  ]),

  // Movement of data.
  op('concat', [
    [2, 3, 5, 4],
    [2, 4, 5, 4],
  ]),
  op('concat', [
    [1, 1, 3, 5],
    [1, 17, 3, 5],
    [1, 16, 3, 5],
  ]),
  op(
    'concat',
    [
      [2, 3, 3],
      [1, 3, 3],
    ],
    { axis: 0 },
  ),
  op(
    'concat',
    [
      [2, 3, 1, 4],
      [2, 3, 5, 4],
    ],
    { axis: 2 },
  ),
  op(
    'concat',
    [
      [2, 3, 4],
      [2, 3, 1],
      [2, 3, 2],
    ],
    { axis: -1 },
  ),
  op('concat', [[2, 3, 4]]),
  op('concat', [
    [2, 0, 3],
    [2, 4, 3],
  ]),
  ...(['zeros', 'reflect', 'replicate', 'circular'] as const).flatMap((mode) => [
    op('pad', [[1, 2, 5, 4]], { padding: 1, mode }),
    op('pad', [[2, 17, 4, 7]], { padding: [3, 1, 0, 2], mode }),
    op('pad', [[1, 3, 3, 5]], { padding: [0, 0, 2, 0], mode }),
    op('pad', [[1, 1, 3, 4]], { padding: [2, 3], mode }),
    op('pad', [[0, 2, 3, 4]], { padding: 1, mode }),
  ]),
  op('pad', [[1, 2, 3, 4]], { padding: [1, 2, 3, 4], value: -1.5 }),
  op('flatten', [[2, 3, 5, 4]]),
  op('flatten', [[2, 3, 5, 4]], { startAxis: 1, endAxis: 2 }),
  op('flatten', [[2, 3, 5, 4]], { startAxis: -3, endAxis: -2 }),
  op('flatten', [[2, 3, 4]], { startAxis: 0 }),
  op('flatten', [[0, 3, 4]]),
  op('reshape', [[2, 3, 4]], { shape: [4, 6] }),
  op('reshape', [[2, 3, 5, 4]], { shape: [2, -1] }),
  op('reshape', [[2, 3, 5, 4]], { shape: [0, -1, 4] }),
  op('reshape', [[0, 3, 5, 4]], { shape: [0, -1, 4] }),

  // Pooling.
  ...(['maxPool2d', 'averagePool2d'] as const).flatMap((operator) => [
    op(operator, [[2, 3, 7, 9]], { kernelSize: 2 }),
    op(operator, [[1, 17, 13, 9]], { kernelSize: 3, stride: 2, padding: 1 }),
    op(operator, [[1, 64, 15, 11]], { kernelSize: 3, stride: 2, padding: 1 }),
    op(operator, [[2, 8, 5, 6]], { kernelSize: 3, stride: 1, padding: 1 }),
    op(operator, [[1, 2, 8, 7]], { kernelSize: [3, 2], stride: [1, 2] }),
    op(operator, [[1, 16, 11, 10]], { kernelSize: [5, 4], stride: [2, 3], padding: [2, 1] }),
    op(operator, [[1, 3, 11, 8]], { kernelSize: 2, stride: 3 }),
    op(operator, [[1, 3, 7, 9]], { kernelSize: 2, ceilMode: true }),
    op(operator, [[1, 24, 8, 6]], { kernelSize: 3, stride: 2, ceilMode: true }),
    op(operator, [[1, 2, 8, 7]], { kernelSize: 3, stride: 2, padding: 1, ceilMode: true }),
    op(operator, [[1, 2, 5, 6]], { kernelSize: 2, stride: 3, padding: 1, ceilMode: true }),
    op(operator, [[1, 2, 2, 3]], { kernelSize: [3, 4], stride: 2, ceilMode: true }),
    op(operator, [[1, 5, 7, 6]], { kernelSize: 3, stride: 2, padding: [0, 0, 1, 1] }),
    op(operator, [[2, 33, 5, 3]], { kernelSize: [5, 3] }),
    op(operator, [[1, 16, 13, 14]], { kernelSize: 5, stride: 1, padding: 2 }),
    op(operator, [[0, 3, 5, 4]], { kernelSize: 2 }),
  ]),
  op('averagePool2d', [[1, 17, 13, 9]], { kernelSize: 3, stride: 2, padding: 1, countIncludePad: false }),
  op('averagePool2d', [[1, 2, 8, 7]], { kernelSize: 3, stride: 2, padding: 1, ceilMode: true, countIncludePad: false }),
  op('averagePool2d', [[1, 5, 7, 6]], { kernelSize: 3, stride: 2, padding: [0, 0, 1, 1], countIncludePad: false }),
  op('maxPool2d', [[1, 2, 9, 7]], { kernelSize: 3, stride: 1, dilation: 2 }),
  op('maxPool2d', [[1, 16, 11, 13]], { kernelSize: 3, stride: 2, padding: 1, dilation: [2, 3] }),
  op('maxPool2d', [[1, 2, 9, 10]], { kernelSize: 2, stride: 3, padding: 1, dilation: 2, ceilMode: true }),
  ...(['globalAveragePool2d', 'globalMaxPool2d'] as const).flatMap((operator) =>
    images.map((shape) => op(operator, [shape])),
  ),
  ...(['adaptiveAveragePool2d', 'adaptiveMaxPool2d'] as const).flatMap((operator) =>
    [1, 4, [1, 3], [2, 3], [3, 2], [5, 7], [7, 10]].flatMap((outputSize) => [
      op(operator, [[2, 3, 5, 7]], { outputSize }),
      op(operator, [[1, 17, 13, 9]], { outputSize }),
    ]),
  ),
];

/** Convolutions and everything else. */
export const allCases: readonly OperatorCase[] = [...convCases.map(operatorCaseOf), ...operatorCases];

function op(operator: OperatorName, inputs: OperatorCase['inputs'], options: object = {}): OperatorCase {
  const [shapes, shownOptions] = [inputs.map((shape) => JSON.stringify(shape)).join(' '), caseLine(options)];
  return {
    name: `${operator}: ${shapes}${shownOptions === '{}' ? '' : ` ${shownOptions}`}`,
    operator,
    inputs,
    options,
  };
}

function batchNorm(
  operator: 'batchNorm' | 'batchNormTraining',
  shape: readonly number[],
  options: object = {},
): OperatorCase {
  const perChannel = [shape[1]];
  return op(operator, [shape, perChannel, perChannel, perChannel, perChannel], options);
}

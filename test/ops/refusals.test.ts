/** What every operator refuses, with which code and in which words. */
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../lib/errors.js';
import { type OperatorName, operators } from '../../lib/ops/registry.js';
import { shapeOf } from '../../lib/tensor/shape.js';
import { tensor } from '../../lib/tensor/tensor.js';
import { attributesOf } from '../cases/case.js';
import { expectRefusal } from '../cases/refusal.js';

type Shapes = readonly (readonly (number | string)[] | null)[];
/** Inputs, options, code, the message after `<operator>: `. */
type Row = readonly [inputs: Shapes, options: object, code: ErrorCode, message: string];

const image = [1, 4, 6, 5];
const pooling: readonly Row[] = [
  [[[4, 6, 5]], { kernelSize: 2 }, 'ERR_SHAPE', 'input expects 4 axes, got 3 ([4,6,5])'],
  [[null], { kernelSize: 2 }, 'ERR_INPUT', 'input is missing'],
  [[[1, 4, 0, 5]], { kernelSize: 2, padding: 1 }, 'ERR_SHAPE', 'input expects at least one pixel, got [1,4,0,5]'],
  [[image], { kernelSize: 6 }, 'ERR_SHAPE', 'a window of 6 does not fit into 5 with padding 0 and 0'],
  [
    [image],
    { kernelSize: [9, 2], stride: 2, ceilMode: true },
    'ERR_SHAPE',
    'a window of 9 does not fit into 6 with padding 0 and 0',
  ],
  [[image], {}, 'ERR_INPUT', 'kernelSize expects 2 whole numbers from 1 to 2^24, got undefined'],
  [[image], { kernelSize: 0 }, 'ERR_INPUT', 'kernelSize expects 2 whole numbers from 1 to 2^24, got [ 0, 0 ]'],
  [[image], { kernelSize: 2, stride: 0 }, 'ERR_INPUT', 'stride expects 2 whole numbers from 1 to 2^24, got [ 0, 0 ]'],
  [[image], { kernelSize: 3, padding: 2 }, 'ERR_INPUT', 'padding expects at most half the kernel [3,3], got [2,2,2,2]'],
  [
    [image],
    { kernelSize: [2, 4], padding: [0, 0, 2, 0] },
    'ERR_INPUT',
    'padding expects at most half the kernel [2,4], got [0,0,2,0]',
  ],
];
const globalPooling: readonly Row[] = [
  [[[2, 3]], {}, 'ERR_SHAPE', 'input expects 4 axes, got 2 ([2,3])'],
  [[[1, 3, 4, 0]], {}, 'ERR_SHAPE', 'input expects at least one pixel, got [1,3,4,0]'],
];
const adaptivePooling: readonly Row[] = [
  [[[2, 3]], { outputSize: 1 }, 'ERR_SHAPE', 'input expects 4 axes, got 2 ([2,3])'],
  [[[1, 3, 0, 4]], { outputSize: 2 }, 'ERR_SHAPE', 'input expects at least one pixel, got [1,3,0,4]'],
  [[image], { outputSize: 0 }, 'ERR_INPUT', 'outputSize expects 2 whole numbers from 1 to 2^24, got [ 0, 0 ]'],
  [
    [image],
    { outputSize: [2, null] },
    'ERR_INPUT',
    'outputSize expects 2 whole numbers from 1 to 2^24, got [ 2, null ]',
  ],
];
const unary: readonly Row[] = [[[null], {}, 'ERR_INPUT', 'input is missing']];
const broadcast: readonly Row[] = [
  [[image, null], {}, 'ERR_INPUT', 'second input is missing'],
  [[null, image], {}, 'ERR_INPUT', 'first input is missing'],
  [[image, [4]], {}, 'ERR_SHAPE', 'shapes [1,4,6,5] and [4] do not broadcast (axis 3: 5 and 4)'],
  [[image, [1, 3, 6, 5]], {}, 'ERR_SHAPE', 'shapes [1,4,6,5] and [1,3,6,5] do not broadcast (axis 1: 4 and 3)'],
  [
    [
      ['N', 4],
      ['M', 4],
    ],
    {},
    'ERR_SHAPE',
    'shapes [N,4] and [M,4] do not broadcast (axis 0: N and M)',
  ],
  [
    [
      ['N', 4],
      [2, 4],
    ],
    {},
    'ERR_SHAPE',
    'shapes [N,4] and [2,4] do not broadcast (axis 0: N and 2)',
  ],
];
const perChannel = [[4], [4], [4], [4]];
const batchNorm: readonly Row[] = [
  [[null, ...perChannel], {}, 'ERR_INPUT', 'input is missing'],
  [[[4], ...perChannel], {}, 'ERR_SHAPE', 'input expects at least 2 axes, got 1'],
  [[image, [3], [4], [4], [4]], {}, 'ERR_SHAPE', 'weight expects shape [4], got [3]'],
  [[image, [4], [1, 4], [4], [4]], {}, 'ERR_SHAPE', 'bias expects shape [4], got [1,4]'],
  [[image, [4], [4], [5], [4]], {}, 'ERR_SHAPE', 'running mean expects shape [4], got [5]'],
  [[image, [4], [4], [4], []], {}, 'ERR_SHAPE', 'running variance expects shape [4], got []'],
  [[image, null, null, null, [4]], {}, 'ERR_INPUT', 'running mean is missing'],
  [[image, null, null, [4], null], {}, 'ERR_INPUT', 'running variance is missing'],
];
const weights = [8, 4, 3, 3];

const refused: { readonly [N in OperatorName]: readonly Row[] } = {
  conv2d: [
    [
      [
        [1, 64, 56, 56],
        [128, 32, 3, 3],
      ],
      {},
      'ERR_SHAPE',
      'weight expects 32 input channels per group, got 64 (input [1,64,56,56], weight [128,32,3,3], groups 1)',
    ],
    [[null, weights], {}, 'ERR_INPUT', 'input is missing'],
    [[image, null], {}, 'ERR_INPUT', 'weight is missing'],
    [[[4, 6, 5], weights], {}, 'ERR_SHAPE', 'input expects 4 axes, got 3 ([4,6,5])'],
    [[image, [8, 4]], {}, 'ERR_SHAPE', 'weight expects 4 axes, got 2 ([8,4])'],
    [
      [image, [8, 1, 3, 3]],
      { groups: 3 },
      'ERR_SHAPE',
      'groups expects a divisor of the 4 input and 8 output channels, got 3 (input [1,4,6,5], weight [8,1,3,3], groups 3)',
    ],
    [
      [image, [6, 1, 3, 3]],
      { groups: 4 },
      'ERR_SHAPE',
      'groups expects a divisor of the 4 input and 6 output channels, got 4 (input [1,4,6,5], weight [6,1,3,3], groups 4)',
    ],
    [
      [image, weights],
      { groups: 2 },
      'ERR_SHAPE',
      'weight expects 4 input channels per group, got 2 (input [1,4,6,5], weight [8,4,3,3], groups 2)',
    ],
    [
      [
        [1, 0, 6, 5],
        [8, 0, 3, 3],
      ],
      {},
      'ERR_SHAPE',
      'expects at least one input and one output channel, got 0 and 8 (input [1,0,6,5], weight [8,0,3,3], groups 1)',
    ],
    [
      [image, [0, 4, 3, 3]],
      {},
      'ERR_SHAPE',
      'expects at least one input and one output channel, got 4 and 0 (input [1,4,6,5], weight [0,4,3,3], groups 1)',
    ],
    [[image, [8, 4, 0, 3]], { padding: 1 }, 'ERR_SHAPE', 'weight expects a kernel of at least 1×1, got [8,4,0,3]'],
    [[[1, 4, 6, 0], weights], { padding: 2 }, 'ERR_SHAPE', 'input expects at least one pixel, got [1,4,6,0]'],
    [[image, weights, [4]], {}, 'ERR_SHAPE', 'bias expects shape [8], got [4]'],
    [[image, weights, [1, 8]], {}, 'ERR_SHAPE', 'bias expects shape [8], got [1,8]'],
    [[image, [8, 4, 7, 3]], {}, 'ERR_SHAPE', 'a window of 7 does not fit into 6 with padding 0 and 0'],
    [
      [image, weights],
      { dilation: 3, padding: [1, 0, 0, 0] },
      'ERR_SHAPE',
      'a window of 7 does not fit into 5 with padding 0 and 0',
    ],
    [[[1, 'C', 6, 5], weights], {}, 'ERR_SHAPE', 'input needs a known extent on axis 1, got [1,C,6,5]'],
    [[image, [8, 4, 'K', 3]], {}, 'ERR_SHAPE', 'weight needs a known extent on axis 2, got [8,4,K,3]'],
    [[image, weights], { stride: 0 }, 'ERR_INPUT', 'stride expects 2 whole numbers from 1 to 2^24, got [ 0, 0 ]'],
    [
      [image, weights],
      { stride: [1, -2] },
      'ERR_INPUT',
      'stride expects 2 whole numbers from 1 to 2^24, got [ 1, -2 ]',
    ],
    [[image, weights], { stride: [1] }, 'ERR_INPUT', 'stride expects 2 whole numbers from 1 to 2^24, got [ 1 ]'],
    [[image, weights], { stride: NaN }, 'ERR_INPUT', 'stride expects 2 whole numbers from 1 to 2^24, got [ NaN, NaN ]'],
    [[image, weights], { stride: '2' }, 'ERR_INPUT', "stride expects 2 whole numbers from 1 to 2^24, got '2'"],
    [[image, weights], { stride: 2n }, 'ERR_INPUT', 'stride expects 2 whole numbers from 1 to 2^24, got 2n'],
    [[image, weights], { stride: null }, 'ERR_INPUT', 'stride expects 2 whole numbers from 1 to 2^24, got null'],
    [
      [image, weights],
      { dilation: 1.5 },
      'ERR_INPUT',
      'dilation expects 2 whole numbers from 1 to 2^24, got [ 1.5, 1.5 ]',
    ],
    [
      [image, weights],
      { padding: -1 },
      'ERR_INPUT',
      'padding expects 2 or 4 whole numbers from 0 to 2^24, got [ -1, -1 ]',
    ],
    [
      [image, weights],
      { padding: [1, 2, 3] },
      'ERR_INPUT',
      'padding expects 2 or 4 whole numbers from 0 to 2^24, got [ 1, 2, 3 ]',
    ],
    [
      [image, weights],
      { padding: 2 ** 24 + 1 },
      'ERR_INPUT',
      'padding expects 2 or 4 whole numbers from 0 to 2^24, got [ 16777217, 16777217 ]',
    ],
    [[image, weights], { padding: null }, 'ERR_INPUT', 'padding expects 2 or 4 whole numbers from 0 to 2^24, got null'],
    [[image, weights], { groups: 0 }, 'ERR_INPUT', 'groups expects a whole number from 1 to 2^24, got 0'],
    [[image, weights], { groups: 1.5 }, 'ERR_INPUT', 'groups expects a whole number from 1 to 2^24, got 1.5'],
    [
      [image, weights],
      { paddingMode: 'same' },
      'ERR_INPUT',
      "paddingMode expects one of zeros, reflect, replicate, circular, got 'same'",
    ],
    [
      [image, weights],
      { padding: [0, 5], paddingMode: 'reflect' },
      'ERR_SHAPE',
      'reflect padding [0,5,0,5] expects at most 4 on width 5',
    ],
    [
      [image, weights],
      { padding: [7, 0, 0, 0], paddingMode: 'circular' },
      'ERR_SHAPE',
      'circular padding [7,0,0,0] expects at most 6 on height 6',
    ],
  ],
  convTranspose2d: [
    [[image, null], {}, 'ERR_INPUT', 'weight is missing'],
    [[image, [4, 8, 3]], {}, 'ERR_SHAPE', 'weight expects 4 axes, got 3 ([4,8,3])'],
    [
      [image, [8, 4, 3, 3]],
      {},
      'ERR_SHAPE',
      'weight expects 8 input channels, got 4 (input [1,4,6,5], weight [8,4,3,3], groups 1)',
    ],
    [
      [image, [4, 2, 3, 3]],
      { groups: 3 },
      'ERR_SHAPE',
      'groups expects a divisor of the 4 input channels, got 3 (input [1,4,6,5], weight [4,2,3,3], groups 3)',
    ],
    [
      [image, [4, 0, 3, 3]],
      {},
      'ERR_SHAPE',
      'expects at least one channel in and one out per group, got 4 and 0 (input [1,4,6,5], weight [4,0,3,3], groups 1)',
    ],
    [[image, [4, 2, 3, 0]], {}, 'ERR_SHAPE', 'weight expects a kernel of at least 1×1, got [4,2,3,0]'],
    [
      [
        [1, 4, 0, 5],
        [4, 2, 3, 3],
      ],
      {},
      'ERR_SHAPE',
      'input expects at least one pixel, got [1,4,0,5]',
    ],
    [[image, [4, 2, 3, 3], [2]], { groups: 2 }, 'ERR_SHAPE', 'bias expects shape [4], got [2]'],
    [
      [image, [4, 2, 3, 3]],
      { padding: [4, 0] },
      'ERR_SHAPE',
      'padding [4,0,4,0] leaves nothing of the output (input [1,4,6,5], weight [4,2,3,3], groups 1)',
    ],
    [
      [image, [4, 2, 3, 3]],
      { outputPadding: 1 },
      'ERR_INPUT',
      'outputPadding expects less than stride or dilation (1), got 1',
    ],
    [
      [image, [4, 2, 3, 3]],
      { outputPadding: [1, 3], stride: 2, dilation: 3 },
      'ERR_INPUT',
      'outputPadding expects less than stride or dilation (3), got 3',
    ],
    [
      [image, [4, 2, 3, 3]],
      { outputPadding: -1 },
      'ERR_INPUT',
      'outputPadding expects 2 whole numbers from 0 to 2^24, got [ -1, -1 ]',
    ],
    [[image, [4, 2, 3, 3]], { stride: 0 }, 'ERR_INPUT', 'stride expects 2 whole numbers from 1 to 2^24, got [ 0, 0 ]'],
  ],
  linear: [
    [[[2, 3], null], {}, 'ERR_INPUT', 'weight is missing'],
    [[[], [4, 3]], {}, 'ERR_SHAPE', 'input expects at least 1 axis, got none'],
    [[[2, 3], [3]], {}, 'ERR_SHAPE', 'weight expects 2 axes, got 1 ([3])'],
    [
      [
        [2, 5],
        [4, 3],
      ],
      {},
      'ERR_SHAPE',
      'weight expects 3 input features, got 5 (input [2,5], weight [4,3])',
    ],
    [[[2, 3], [4, 3], [3]], {}, 'ERR_SHAPE', 'bias expects shape [4], got [3]'],
  ],
  batchNorm: [
    ...batchNorm,
    ...[NaN, -1, Infinity, '1e-5', null].map(
      (eps) =>
        [
          [image, ...perChannel],
          { eps },
          'ERR_INPUT',
          `eps expects a finite number of at least 0, got ${inspect(eps)}`,
        ] as const,
    ),
  ],
  batchNormTraining: [
    ...batchNorm,
    [[[1, 4], ...perChannel], {}, 'ERR_SHAPE', 'expects more than one value per channel, got input [1,4]'],
    [[[1, 4, 1, 1], ...perChannel], {}, 'ERR_SHAPE', 'expects more than one value per channel, got input [1,4,1,1]'],
    [[image, ...perChannel], { momentum: NaN }, 'ERR_INPUT', 'momentum expects a finite number, got NaN'],
    [[image, ...perChannel], { eps: NaN }, 'ERR_INPUT', 'eps expects a finite number of at least 0, got NaN'],
  ],
  relu: unary,
  relu6: unary,
  sigmoid: unary,
  silu: unary,
  hardSigmoid: unary,
  hardSwish: unary,
  tanh: unary,
  leakyRelu: [
    ...unary,
    [[image], { negativeSlope: NaN }, 'ERR_INPUT', 'negativeSlope expects a finite number, got NaN'],
  ],
  gelu: [...unary, [[image], { approximate: 'erf' }, 'ERR_INPUT', "approximate expects one of none, tanh, got 'erf'"]],
  prelu: [
    [[image, null], {}, 'ERR_INPUT', 'slope is missing'],
    [[image, [5]], {}, 'ERR_SHAPE', 'slope expects shape [1] or [4], got [5]'],
    [[image, [1, 4, 1, 1]], {}, 'ERR_SHAPE', 'slope expects shape [1] or [4], got [1,4,1,1]'],
    [[[7], [7]], {}, 'ERR_SHAPE', 'slope expects shape [1], got [7]'],
  ],
  softmax: [
    [[null], {}, 'ERR_INPUT', 'input is missing'],
    [[[2, 3]], { axis: 2 }, 'ERR_INPUT', 'axis expects a whole number from -2 to 1, got 2 (2 axes)'],
    [[[2, 3]], { axis: -3 }, 'ERR_INPUT', 'axis expects a whole number from -2 to 1, got -3 (2 axes)'],
    [[[2, 3]], { axis: 0.5 }, 'ERR_INPUT', 'axis expects a whole number from -32 to 31, got 0.5'],
    [[[2, 3]], { axis: NaN }, 'ERR_INPUT', 'axis expects a whole number from -32 to 31, got NaN'],
  ],
  add: broadcast,
  mul: broadcast,
  concat: [
    [[], {}, 'ERR_INPUT', 'first input is missing'],
    [[image, null], {}, 'ERR_INPUT', 'input 1 is missing'],
    [[image, [1, 4, 5, 6]], {}, 'ERR_SHAPE', 'input 1 expects [1,4,6,5] except on axis 1, got [1,4,5,6]'],
    [[image, image, [4, 6, 5]], {}, 'ERR_SHAPE', 'input 2 expects [1,4,6,5] except on axis 1, got [4,6,5]'],
    [[image], { axis: 4 }, 'ERR_INPUT', 'axis expects a whole number from -4 to 3, got 4 (4 axes)'],
  ],
  pad: [
    [[[4, 6, 5]], { padding: 1 }, 'ERR_SHAPE', 'input expects 4 axes, got 3 ([4,6,5])'],
    [[image], {}, 'ERR_INPUT', 'padding expects 2 or 4 whole numbers from 0 to 2^24, got undefined'],
    [[image], { padding: -1 }, 'ERR_INPUT', 'padding expects 2 or 4 whole numbers from 0 to 2^24, got [ -1, -1 ]'],
    [
      [image],
      { padding: 1, mode: 'wrap' },
      'ERR_INPUT',
      "mode expects one of zeros, reflect, replicate, circular, got 'wrap'",
    ],
    [[image], { padding: 6, mode: 'reflect' }, 'ERR_SHAPE', 'reflect padding [6,6,6,6] expects at most 5 on height 6'],
    [
      [image],
      { padding: [0, 6], mode: 'circular' },
      'ERR_SHAPE',
      'circular padding [0,6,0,6] expects at most 5 on width 5',
    ],
    [
      [[1, 4, 0, 5]],
      { padding: 1, mode: 'replicate' },
      'ERR_SHAPE',
      'replicate padding [1,1,1,1] expects at most 0 on height 0',
    ],
  ],
  maxPool2d: [
    ...pooling,
    [
      [image],
      { kernelSize: 3, dilation: 0 },
      'ERR_INPUT',
      'dilation expects 2 whole numbers from 1 to 2^24, got [ 0, 0 ]',
    ],
    [[image], { kernelSize: 3, dilation: 3 }, 'ERR_SHAPE', 'a window of 7 does not fit into 6 with padding 0 and 0'],
  ],
  averagePool2d: pooling,
  globalAveragePool2d: globalPooling,
  globalMaxPool2d: globalPooling,
  adaptiveAveragePool2d: adaptivePooling,
  adaptiveMaxPool2d: adaptivePooling,
  flatten: [
    [[null], {}, 'ERR_INPUT', 'input is missing'],
    [[[7]], {}, 'ERR_INPUT', 'axis expects a whole number from -1 to 0, got 1 (1 axes)'],
    [[image], { endAxis: 4 }, 'ERR_INPUT', 'axis expects a whole number from -4 to 3, got 4 (4 axes)'],
    [
      [image],
      { startAxis: 2, endAxis: 1 },
      'ERR_INPUT',
      'endAxis expects an axis not before startAxis 2, got 1 (4 axes)',
    ],
  ],
  reshape: [
    [[null], { shape: [1] }, 'ERR_INPUT', 'input is missing'],
    [[[2, 3]], { shape: [4] }, 'ERR_SHAPE', '[2,3] cannot become [4]'],
    [[[2, 3]], { shape: [4, -1] }, 'ERR_SHAPE', '[2,3] cannot become [4,-1]'],
    [[[2, 3]], { shape: [2, 3, 0] }, 'ERR_SHAPE', '[2,3] cannot become [2,3,0]'],
    [[['N', 3]], { shape: [2, 3] }, 'ERR_SHAPE', '[N,3] cannot become [2,3]'],
    [[['N', 4]], { shape: [0, 3] }, 'ERR_SHAPE', '[N,4] cannot become [0,3]'],
    [
      [[2, 3]],
      { shape: [-1, -1] },
      'ERR_INPUT',
      'shape expects up to 32 whole numbers of at least 0 and at most one -1, got [ -1, -1 ]',
    ],
    [
      [[2, 3]],
      { shape: [-2, 3] },
      'ERR_INPUT',
      'shape expects up to 32 whole numbers of at least 0 and at most one -1, got [ -2, 3 ]',
    ],
    [
      [[2, 3]],
      { shape: [NaN] },
      'ERR_INPUT',
      'shape expects up to 32 whole numbers of at least 0 and at most one -1, got [ NaN ]',
    ],
    [
      [[2, 3]],
      { shape: 6 },
      'ERR_INPUT',
      'shape expects up to 32 whole numbers of at least 0 and at most one -1, got 6',
    ],
  ],
};

const names = Object.keys(refused) as OperatorName[];

describe.each(names)('%s refuses', (name) => {
  it.each(refused[name].map((row) => [`${shown(row[0])} ${shown(row[1])}`, row] as const))(
    '%s',
    (_, [inputs, options, code, message]) => {
      const types = inputs.map((shape) => shape && { dtype: 'float32' as const, shape: shapeOf(shape) });
      // Options are refused where they are completed, inputs where types are inferred.
      const act = (): unknown => operators[name].infer(types, attributesOf({ operator: name, options }) as never);
      expectRefusal(act, code, `${name}: ${message}`);
    },
  );
});

describe('what an operator does not refuse', () => {
  it('is an empty batch, which gives an empty result', () => {
    const [empty] = operators.conv2d.reference(
      [tensor([], [0, 3, 5, 5], 'float64'), tensor(new Float64Array(54), [2, 3, 3, 3], 'float64'), null],
      attributesOf({ operator: 'conv2d', options: { padding: 1 } }) as never,
    );
    expect(empty.shape).toEqual([0, 2, 5, 5]);
  });

  it('is a stride of 2^24, the largest, which leaves one pixel', () => {
    const [input, weight] = [image, weights].map((shape) => ({ dtype: 'float32' as const, shape }));
    const attributes = attributesOf({ operator: 'conv2d', options: { stride: 2 ** 24 } });
    expect(operators.conv2d.infer([input, weight, null], attributes as never)[0].shape).toEqual([1, 8, 1, 1]);
  });

  it('is a variance of zero with an eps of zero, which gives what division by zero gives', () => {
    const [zero, one] = [tensor([0], [1], 'float64'), tensor([1], [1], 'float64')];
    const normalized = (x: number): number =>
      operators.batchNorm.reference([tensor([x], [1, 1], 'float64'), null, null, one, zero], { eps: 0 })[0].data[0];
    expect([normalized(2), normalized(0), normalized(1)]).toEqual([Infinity, -Infinity, NaN]);
  });

  it('is a negative variance, which gives NaN', () => {
    const [zero, minus] = [tensor([0], [1], 'float64'), tensor([-1], [1], 'float64')];
    expect(
      operators.batchNorm.reference([tensor([1], [1, 1], 'float64'), null, null, zero, minus], { eps: 1e-5 })[0]
        .data[0],
    ).toBeNaN();
  });
});

function shown(value: unknown): string {
  return JSON.stringify(value, (_, v) => (typeof v === 'bigint' || Number.isNaN(v) ? String(v) : v));
}

/** The text of modules against PyTorch's, both forms, by String, template and console.log. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  createMobileOne,
  createRepVGG,
  Flatten,
  GELU,
  Hardsigmoid,
  Hardswish,
  Identity,
  LeakyReLU,
  Linear,
  MaxPool2d,
  type Module,
  ModuleList,
  PReLU,
  ReLU,
  ReLU6,
  repconv,
  Sequential,
  Sigmoid,
  SiLU,
  Softmax,
  Tanh,
} from '../../lib/index.js';
import { built, goldenPrint, namedCases } from './golden.js';

const layers: Record<string, () => Module> = {
  conv: () => new Conv2d(3, 8, 3),
  conv_all: () =>
    new Conv2d(4, 8, [3, 5], {
      stride: [1, 2],
      padding: [1, 2],
      dilation: [2, 1],
      groups: 2,
      bias: false,
      paddingMode: 'reflect',
    }),
  conv_circular: () => new Conv2d(4, 4, 3, { padding: 1, paddingMode: 'circular' }),
  conv_padding_one_side: () => new Conv2d(4, 4, [1, 3], { padding: [0, 1] }),
  conv_transpose: () => new ConvTranspose2d(4, 6, 4, { stride: 2, padding: 1 }),
  conv_transpose_all: () =>
    new ConvTranspose2d(4, 6, 3, { stride: 2, padding: 1, outputPadding: 1, groups: 2, bias: false, dilation: 2 }),
  batch_norm: () => new BatchNorm2d(8),
  batch_norm_all: () => new BatchNorm2d(8, { eps: 1e-3, momentum: null, affine: false, trackRunningStats: false }),
  batch_norm_no_bias: () => new BatchNorm2d(8, { momentum: 0.01, bias: false }),
  linear: () => new Linear(8, 3),
  linear_no_bias: () => new Linear(8, 3, { bias: false }),
  identity: () => new Identity(),
  relu: () => new ReLU(),
  relu_inplace: () => new ReLU({ inplace: true }),
  relu6: () => new ReLU6(),
  relu6_inplace: () => new ReLU6({ inplace: true }),
  silu: () => new SiLU(),
  silu_inplace: () => new SiLU({ inplace: true }),
  hardswish: () => new Hardswish(),
  hardsigmoid: () => new Hardsigmoid(),
  sigmoid: () => new Sigmoid(),
  tanh: () => new Tanh(),
  leaky_relu: () => new LeakyReLU(),
  leaky_relu_tiny: () => new LeakyReLU({ negativeSlope: 0.00001 }),
  leaky_relu_one: () => new LeakyReLU({ negativeSlope: 1 }),
  prelu: () => new PReLU(),
  prelu_channels: () => new PReLU({ numParameters: 8 }),
  gelu: () => new GELU(),
  gelu_tanh: () => new GELU({ approximate: 'tanh' }),
  softmax: () => new Softmax({ dim: 1 }),
  max_pool: () => new MaxPool2d(3, { stride: 2, padding: 1 }),
  max_pool_all: () => new MaxPool2d([3, 2], { stride: [2, 1], padding: [1, 0], dilation: 2, ceilMode: true }),
  avg_pool: () => new AvgPool2d(2),
  avg_pool_all: () => new AvgPool2d([3, 2], { stride: [2, 1], padding: 1 }),
  adaptive_avg_pool: () => new AdaptiveAvgPool2d(1),
  adaptive_avg_pool_pair: () => new AdaptiveAvgPool2d([2, 3]),
  adaptive_max_pool: () => new AdaptiveMaxPool2d([1, 1]),
  flatten: () => new Flatten(),
  flatten_all: () => new Flatten({ startDim: 0, endDim: 2 }),
};

describe('a layer prints as in PyTorch', () => {
  const lines = new Map(
    goldenPrint('layers')
      .split('\n')
      .map((line) => line.split(/: (.*)/) as [string, string]),
  );

  it('every layer that was printed there is here', () => expect(Object.keys(layers)).toEqual([...lines.keys()]));

  it.each(Object.entries(layers))('%s', (name, make) => expect(String(make())).toBe(lines.get(name)));
});

describe('a container prints as in PyTorch', () => {
  const containers: Record<string, () => Module> = {
    sequential_empty: () => new Sequential(),
    sequential: () => new Sequential(new Conv2d(3, 4, 1), new ReLU(), new ReLU()),
    module_list_empty: () => new ModuleList([]),
    module_list: () =>
      new ModuleList([
        new ReLU(),
        new ReLU(),
        new Tanh(),
        new ReLU(),
        new Sequential(new Tanh()),
        new Sequential(new Tanh()),
      ]),
  };

  it.each(Object.entries(containers))('%s', (name, make) => expect(String(make())).toBe(goldenPrint(name)));
});

describe('a block or network prints as in PyTorch', () => {
  it.each(namedCases('convBn', 'ConvBlock', 'RepVGGBlock', 'MobileOneBlock', 'RepVGG', 'MobileOne'))(
    '%s',
    (name, c) => {
      expect(String(built(c))).toBe(goldenPrint(name));
      expect(inspect(built(c))).toBe(goldenPrint(name));
    },
  );

  it.each(namedCases('ConvBlock', 'RepVGGBlock', 'MobileOneBlock', 'RepVGG', 'MobileOne'))(
    '%s deployed, made so or fused',
    (name, c) => {
      const text = goldenPrint(`${name}.deployed`);
      expect(String(built(c, { deploy: true }))).toBe(text);
      expect(String(repconv(built(c)).model)).toBe(text);
    },
  );
});

it.each([
  ['repvgg-a0', (deploy: boolean) => createRepVGG('repvgg-a0', { deploy })],
  ['mobileone-s0', (deploy: boolean) => createMobileOne('mobileone-s0', { deploy })],
] as const)('%s prints as in PyTorch, in both forms', (name, create) => {
  expect(String(create(false))).toBe(goldenPrint(name));
  expect(String(create(true))).toBe(goldenPrint(`${name}.deployed`));
});

it('console.log shows the same text, also of a module inside something else', () => {
  const [name, c] = namedCases('ConvBlock')[0];
  let shown = '';
  const stdout = new Writable({
    write(chunk, _, done) {
      shown += chunk;
      done();
    },
  });
  new Console({ stdout }).log(built(c), [new ReLU()]);
  expect(shown).toBe(`${goldenPrint(name)} [ ReLU() ]\n`);
});

it('prints floats as Python does', () => {
  const slopes: [number, string][] = [
    [1e-4, '0.0001'],
    [0.00002, '2e-05'],
    [1.25e-7, '1.25e-07'],
    [-3, '-3.0'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1.5e22, '1.5e+22'],
  ];
  for (const [negativeSlope, text] of slopes)
    expect(String(new LeakyReLU({ negativeSlope }))).toBe(`LeakyReLU(negative_slope=${text})`);
  // What no constructor takes may still be written into a field.
  const norm = new BatchNorm2d(1);
  for (const [momentum, text] of [
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [Number.NaN, 'nan'],
  ] as const)
    expect(String(Object.assign(norm, { momentum }))).toContain(`momentum=${text},`);
});

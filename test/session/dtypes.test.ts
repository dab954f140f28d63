/** Models whose numbers are kept in another format than float32: sessions compute with what those numbers are. */
import { describe, expect, it } from 'vitest';
import { computeKernel } from '../../lib/engine/fusion.js';
import { repconv } from '../../lib/fusing/repconv.js';
import { ConvBlock } from '../../lib/nn/blocks/convBlock.js';
import { MobileOneBlock } from '../../lib/nn/blocks/mobileOneBlock.js';
import { RepVGGBlock } from '../../lib/nn/blocks/repvggBlock.js';
import { SqueezeExcite } from '../../lib/nn/blocks/squeezeExcite.js';
import { LeakyReLU, PReLU, Softmax } from '../../lib/nn/layers/activations.js';
import { BatchNorm2d } from '../../lib/nn/layers/batchNorm2d.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { ConvTranspose2d } from '../../lib/nn/layers/convTranspose2d.js';
import { Linear } from '../../lib/nn/layers/linear.js';
import { AvgPool2d, MaxPool2d } from '../../lib/nn/layers/pooling.js';
import { type Module, referenceForward } from '../../lib/nn/module.js';
import { referenceOps } from '../../lib/ops/reference.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import { compileSync } from '../../lib/session/compile.js';
import { difference } from '../../lib/tensor/compare.js';
import { manualSeed, Random, randn } from '../../lib/tensor/random.js';
import { type AnyTensor, type Tensor, tensor } from '../../lib/tensor/tensor.js';

/** Every layer and block that has parameters, and some that have none. */
const layers: readonly (readonly [string, () => Module, readonly number[]])[] = [
  ['Conv2d', () => new Conv2d(3, 16, 3), [1, 3, 8, 7]],
  ['Conv2d without bias, in groups', () => new Conv2d(4, 6, 3, { groups: 2, bias: false }), [2, 4, 8, 7]],
  ['Conv2d, depthwise', () => new Conv2d(16, 16, 3, { groups: 16 }), [1, 16, 8, 7]],
  ['Conv2d, pointwise', () => new Conv2d(16, 20, 1), [1, 16, 8, 7]],
  ['ConvTranspose2d', () => new ConvTranspose2d(3, 4, 3, { stride: 2 }), [1, 3, 8, 7]],
  ['Linear', () => new Linear(9, 4), [2, 9]],
  ['BatchNorm2d', () => new BatchNorm2d(3), [1, 3, 8, 7]],
  ['PReLU', () => new PReLU({ numParameters: 3 }), [1, 3, 8, 7]],
  ['LeakyReLU', () => new LeakyReLU(), [1, 3, 8, 7]],
  ['Softmax', () => new Softmax({ dim: 1 }), [2, 9]],
  ['MaxPool2d', () => new MaxPool2d(2), [1, 3, 8, 7]],
  ['AvgPool2d', () => new AvgPool2d(2), [1, 3, 8, 7]],
  ['SqueezeExcite', () => new SqueezeExcite(16, { reducedChannels: 4 }), [1, 16, 8, 7]],
  ['Conv2d and BatchNorm2d', () => new Sequential(new Conv2d(32, 20, 3), new BatchNorm2d(20)), [1, 32, 8, 7]],
  [
    'ConvTranspose2d and BatchNorm2d',
    () => new Sequential(new ConvTranspose2d(8, 4, 3), new BatchNorm2d(4)),
    [1, 8, 8, 7],
  ],
  ['ConvBlock', () => new ConvBlock(8, 8), [1, 8, 8, 7]],
  ['RepVGGBlock', () => new RepVGGBlock(8, 8), [1, 8, 8, 7]],
  ['MobileOneBlock', () => new MobileOneBlock(8, 8, 3, { padding: 1, branches: 2 }), [1, 8, 8, 7]],
];

/** Numbers that no format but float64 holds exactly. */
function settled(module: Module): Module {
  const generator = new Random(5);
  const change = {
    weight: () => 0.7 + 0.6 * generator.uniform(),
    running_mean: () => generator.normal(),
    running_var: () => 0.5 + generator.uniform(),
  };
  for (const [key, { data, shape }] of module.stateDict()) {
    const next = shape.length === 1 ? change[key.slice(key.lastIndexOf('.') + 1) as keyof typeof change] : undefined;
    if (next !== undefined) (data as Float32Array).set(Float32Array.from(data as Float32Array, next));
  }
  return module.eval();
}

describe.each(['float64', 'float32', 'float16', 'bfloat16'] as const)('a model in %s', (dtype) => {
  it.each(layers)('%s computes in a session what the reference does', (_, make, shape) => {
    manualSeed(3);
    const module = settled(make()).to(dtype);
    const x = randn(shape, { generator: new Random(1) });
    const expected = referenceForward(module, x);
    for (const foldBatchNorm of [true, false]) {
      const { output } = compileSync(module, { inputs: { x: shape }, foldBatchNorm }).runSync(x);
      expect(output.dtype).toBe('float32');
      expect(difference(output, expected).relative).toBeLessThanOrEqual(1e-6);
    }
  });

  it('runs after its blocks were fused', () => {
    manualSeed(4);
    const { model } = repconv(settled(new ConvBlock(8, 8)).to(dtype));
    const x = randn([1, 8, 9, 7], { generator: new Random(1) });
    const { output } = compileSync(model, { inputs: { x: x.shape } }).runSync(x);
    expect(difference(output, referenceForward(model, x)).relative).toBeLessThanOrEqual(1e-6);
  });
});

describe('a constant', () => {
  it.each<[string, AnyTensor]>([
    ['float64', tensor([0.1, 0.2, 0.3], undefined, 'float64')],
    ['float16', tensor([0.1, 0.2, 0.3], undefined, 'float16')],
    ['int64', tensor([1, -2, 3], undefined, 'int64')],
    ['uint8', tensor([1, 2, 255], undefined, 'uint8')],
    ['bool', tensor([1, 0, 1], undefined, 'bool')],
  ])('of %s counts as the numbers it holds, also where it is an output or computed with', (_, constant) => {
    const model: Traceable = {
      compute: <X>(f: Ops<X>, x: X) => {
        const c = f.lift(constant);
        return { product: f.mul(x, c), doubled: f.add(c, c), itself: c };
      },
    };
    const x = tensor([[1.5, -2, 3]]);
    const outputs = compileSync(model, { inputs: { x: ['N', 3] } }).runSync(x);
    const expected = model.compute(referenceOps, x.to('float64')) as Record<string, Tensor<'float64'>>;
    for (const name of ['product', 'doubled', 'itself']) {
      expect(outputs[name].dtype).toBe('float32');
      expect(difference(outputs[name], expected[name]).relative).toBeLessThanOrEqual(1e-7);
    }
  });
});

it('folding computes in float64', () => {
  const source = tensor([[[0.1, 0.2]]], undefined, 'float64');
  const term = { source, isSwapped: false, groups: 1, outputs: Float64Array.of(3), inputs: null, taps: [0, 1] };
  const sum = { shape: [1, 1, 2], groups: 1, terms: [term] };
  const { kernel } = computeKernel(sum, { dtype: 'float64', isSwapped: false });
  expect([...kernel.data]).toEqual([0.1 * 3, 0.2 * 3]);
});

/** Whole networks, unfused and fused, in ONNX Runtime: against our engine, and against PyTorch. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  AdaptiveAvgPool2d,
  ConvBlock,
  type ConvBlockOptions,
  createMobileOne,
  createRepVGG,
  difference,
  Flatten,
  Linear,
  loadStateDict,
  MobileOneBlock,
  type Module,
  RepVGGBlock,
  randn,
  repconv,
  Sequential,
  Tensor,
  toOnnx,
} from '../../lib/index.js';
import { settled, trained } from '../nn/trained.js';
import { hasOnnxRuntime, runSession, sessionOf } from './onnxRuntime.js';

const withRuntime = describe.skipIf(!hasOnnxRuntime);

/** One file serves a batch of 1 and of 3, and gives our engine's numbers. */
async function expectSameAsNative(model: Module, channels: number, size: number, opset: number): Promise<void> {
  const session = await sessionOf(
    toOnnx(model, { inputs: { images: ['N', channels, size, size] }, outputs: ['result'], opset }),
  );
  expect([session.inputNames, session.outputNames]).toEqual([['images'], ['result']]);
  for (const N of [1, 3]) {
    const images = randn([N, channels, size, size]);
    const { result } = await runSession(session, { images });
    expect(difference(result, model.forward(images)).relative).toBeLessThan(2e-5);
  }
  await session.release();
}

withRuntime('a ConvBlock', () => {
  const blocks: [number, number, ConvBlockOptions][] = [
    [32, 32, {}],
    [6, 10, {}],
    [8, 8, { stride: 2 }],
    [8, 12, { groups: 2 }],
    [6, 6, { groups: 3, stride: 2, paddingMode: 'reflect' }],
    [4, 4, { paddingMode: 'replicate' }],
    [4, 4, { paddingMode: 'circular' }],
  ];
  it.each(blocks)(
    'of %i to %i channels, %j, gives the same numbers in training form and fused',
    async (inChannels, outChannels, options) => {
      const block = trained(new ConvBlock(inChannels, outChannels, options));
      for (const opset of [12, 17, 19]) {
        await expectSameAsNative(block, inChannels, 11, opset);
        await expectSameAsNative(repconv(block).model, inChannels, 11, opset);
      }
    },
  );
});

withRuntime('a network', () => {
  it('of blocks with attention, a pooling and a linear layer gives the same numbers in both forms', async () => {
    const model = new Sequential(
      new RepVGGBlock(3, 32, { stride: 2, useSe: true }),
      new MobileOneBlock(32, 32, 3, { padding: 1, groups: 32, branches: 3, useSe: true }),
      new MobileOneBlock(32, 48, 1, { branches: 2 }),
      new AdaptiveAvgPool2d([2, 3]),
      new Flatten(),
      new Linear(288, 7),
    );
    for (const opset of [11, 17, 26]) {
      await expectSameAsNative(trained(model), 3, 29, opset);
      await expectSameAsNative(repconv(model).model, 3, 29, opset);
    }
  });

  it.each([
    ['RepVGG-A0', () => createRepVGG('repvgg-a0', { numClasses: 10 })],
    ['MobileOne-s0', () => createMobileOne('mobileone-s0', { numClasses: 10 })],
  ] as const)('such as %s gives the same numbers in both forms', async (_, create) => {
    const model = settled(create() as Module, [2, 3, 64, 64], 1, 2);
    await expectSameAsNative(model, 3, 64, 12);
    await expectSameAsNative(repconv(model, { certificateBudget: 1e4 }).model, 3, 64, 17);
  });

  it("that PyTorch trained gives PyTorch's logits for real images, in both forms", async () => {
    const block = (from: number, to: number, options: ConvBlockOptions = {}): ConvBlock =>
      new ConvBlock(from, to, options);
    const digits = new Sequential({
      features: new Sequential(
        block(1, 16),
        block(16, 16),
        block(16, 32, { stride: 2 }),
        block(32, 32, { groups: 2 }),
        block(32, 32),
        block(32, 64, { stride: 2 }),
        block(64, 64),
      ),
      pool: new AdaptiveAvgPool2d(1),
      flat: new Flatten(),
      head: new Linear(64, 10),
    }).eval();
    const folder = new URL('../../examples/digits/', import.meta.url);
    digits.loadStateDict(await loadStateDict(fileURLToPath(new URL('digits_train.safetensors', folder))));
    const { mean, std } = JSON.parse(readFileSync(new URL('digits.json', folder), 'utf8')) as {
      mean: number;
      std: number;
    };
    const testSet = await loadStateDict(fileURLToPath(new URL('digits_test.safetensors', folder)));
    const images = new Tensor(
      'float32',
      [500, 1, 8, 8],
      Float32Array.from(testSet.get('images')!.data as Uint8Array, (pixel) => (pixel / 16 - mean) / std),
    );
    const logits = testSet.get('logits')!;
    for (const model of [digits, repconv(digits).model]) {
      const session = await sessionOf(toOnnx(model, { inputs: { images: ['N', 1, 8, 8] } }));
      const { output } = await runSession(session, { images });
      expect(difference(output, logits).relative).toBeLessThan(2e-5);
      await session.release();
    }
  });
});

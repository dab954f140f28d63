/**
 * Numbers that are none, signs of zero, denormals: what docs/numbers.md promises of sessions in float32, on every
 * instruction set.
 */
import { describe, expect, it } from 'vitest';
import { Identity, ReLU, ReLU6, Sigmoid, SiLU, Softmax } from '../../lib/nn/layers/activations.js';
import { BatchNorm2d } from '../../lib/nn/layers/batchNorm2d.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { MaxPool2d } from '../../lib/nn/layers/pooling.js';
import type { Module } from '../../lib/nn/module.js';
import { compileSync } from '../../lib/session/compile.js';
import type { CompileOptions } from '../../lib/session/options.js';
import { manualSeed, Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';
import { usableIsas } from '../engine/isas.js';

const least = 2 ** -149;

describe.each(usableIsas())('with %s', (isa) => {
  const run = (model: Module, x: Tensor, options: Partial<CompileOptions> = {}): Tensor =>
    compileSync(model.eval(), { inputs: { x: x.shape }, isa, ...options }).runSync(x).output;
  const algorithmOf = (model: Module, shape: readonly number[], conv: string): string | undefined =>
    compileSync(model.eval(), { inputs: { x: shape }, isa, conv })
      .describe()
      .find(({ operation }) => operation === 'conv2d')?.algorithm;
  const line = (...values: number[]): Tensor =>
    new Tensor('float32', [1, 1, 1, values.length], Float32Array.from(values));
  const through = (model: Module, ...values: number[]): number[] => [...run(model, line(...values)).data];

  it('ReLU and ReLU6 pass NaN and the sign of zero on, as PyTorch does', () => {
    expect(through(new ReLU(), NaN, -0, 0, Infinity, -Infinity, least, -least)).toEqual([
      NaN,
      -0,
      0,
      Infinity,
      0,
      least,
      0,
    ]);
    expect(through(new ReLU6(), NaN, -0, 0, Infinity, -Infinity, least, -least)).toEqual([NaN, -0, 0, 6, 0, least, 0]);
  });

  it('what computes nothing changes no bit', () => {
    const bits = Uint32Array.from([0x7fc12345, 0xffc00001, 0x80000000, 0x00000001, 0x807fffff, 0x7f800000]);
    const x = new Tensor('float32', [1, 2, 1, 3], new Float32Array(bits.buffer));
    const result = run(new Identity(), x);
    expect([...new Uint32Array(result.data.buffer, result.data.byteOffset, 6)]).toEqual([...bits]);
  });

  it('a maximum over NaN is NaN', () => {
    expect(through(new MaxPool2d([1, 2]), 1, NaN, NaN, 1, 2, 3, -Infinity, -Infinity)).toEqual([
      NaN,
      NaN,
      3,
      -Infinity,
    ]);
  });

  it('a batch norm of variance 0 and eps 0 has no finite result, one of negative variance is NaN, as in PyTorch', () => {
    const norm = new BatchNorm2d(3, { eps: 0 });
    (norm.stateDict().get('running_var') as Tensor).data.set([0, -1, 4]);
    const { data } = run(norm, new Tensor('float32', [1, 3, 1, 2], Float32Array.of(5, -5, 1, 1, 6, 0)));
    expect([...data].map(Number.isFinite)).toEqual([false, false, false, false, true, true]);
    expect([...data.subarray(2)]).toEqual([NaN, NaN, 3, 0]);
  });

  it('a batch norm takes an eps that float32 cannot hold', () => {
    const norm = new BatchNorm2d(1, { eps: 1e-50 });
    (norm.stateDict().get('running_var') as Tensor).data.fill(0);
    for (const foldBatchNorm of [true, false])
      expect(run(norm, line(1, -2), { foldBatchNorm }).data).toEqual(Float32Array.of(1e25, -2e25));
  });

  manualSeed(5);
  it.each([
    ['direct', new Conv2d(20, 21, 3, { padding: 1 }), 1],
    ['im2col', new Conv2d(20, 21, 3, { padding: 1 }), 1],
    ['pointwise', new Conv2d(20, 21, 1), 0],
    ['depthwise', new Conv2d(20, 20, 3, { padding: 1, groups: 20 }), 1],
    ['depthwise', new Conv2d(20, 20, 5, { padding: 2, groups: 20 }), 2],
  ])(
    '%s convolutions lose no NaN and no infinity, and spread them no further than the window: %#',
    (conv, layer, reach) => {
      const shape = [2, 20, 9, 11] as const;
      expect(algorithmOf(layer, shape, conv)).toBe(conv);
      for (const [i, value] of layer.weight.data.entries()) layer.weight.data[i] = value === 0 ? 1 : value;
      for (const value of [NaN, Infinity, -Infinity]) {
        for (const channel of [2, 15, 16, 19]) {
          const x = randn(shape, { generator: new Random(2) });
          x.data[(20 + channel) * 99 + 4 * 11 + 6] = value;
          const y = run(layer, x, { conv });
          const isReached = (i: number): boolean => {
            const [plane, row, column] = [Math.floor(i / 99), Math.floor((i % 99) / 11), i % 11];
            const isReader = plane >= y.shape[1] && (conv !== 'depthwise' || plane % y.shape[1] === channel);
            return isReader && Math.abs(row - 4) <= reach && Math.abs(column - 6) <= reach;
          };
          const isRight = (found: number, i: number): boolean =>
            isReached(i)
              ? Number.isNaN(found) || (!Number.isNaN(value) && !Number.isFinite(found))
              : Number.isFinite(found);
          const wrong = y.data.findIndex((found, i) => !isRight(found, i));
          expect(wrong, `output ${wrong} is ${y.data[wrong]} for ${value} in channel ${channel}`).toBe(-1);
        }
      }
    },
  );

  it.each([
    ['direct', new Conv2d(1, 1, 3, { padding: 1, bias: false })],
    ['im2col', new Conv2d(1, 1, 3, { padding: 1, bias: false })],
    ['depthwise', new Conv2d(16, 16, 3, { padding: 1, bias: false, groups: 16 })],
  ])('%s convolutions compute with denormal numbers', (conv, layer) => {
    const x = new Tensor('float32', [1, layer.weight.shape[0], 4, 4]);
    expect(algorithmOf(layer, x.shape, conv)).toBe(conv);
    for (const [value, weight] of [
      [3 * least, 1],
      [2 ** 120, least],
      [-(2 ** -75), 2 ** -74],
    ]) {
      layer.weight.data.forEach((_, i) => {
        layer.weight.data[i] = i % 9 === 4 ? weight : 0;
      });
      x.data.fill(value);
      expect(new Set(run(layer, x, { conv }).data)).toEqual(new Set([value * weight]));
    }
  });

  it('softmax, sigmoid and SiLU are 0 where the exponential would be denormal, and not before', () => {
    const softmax = (x: number): number => run(new Softmax({ dim: 3 }), line(0, x)).data[1];
    expect(softmax(-95)).toBe(0);
    expect(softmax(-87.4)).toBe(0);
    expect(softmax(-87.3)).toBeGreaterThan(2 ** -126);
    expect(through(new Sigmoid(), -95, -88.8)).toEqual([0, 0]);
    expect(through(new Sigmoid(), -88.7)[0]).toBeGreaterThan(0);
    expect(through(new SiLU(), -88.7)[0]).toBeLessThan(0);
    expect(through(new SiLU(), -95)[0]).toBe(-0);
  });

  it('the JavaScript thread rounds to nearest and keeps denormals, whatever ran on it', async () => {
    const model = new Sequential(new Conv2d(3, 16, 3), new ReLU(), new Conv2d(16, 16, 3));
    const session = compileSync(model, { inputs: { x: ['N', 3, 9, 9] }, isa, threads: 2 });
    const [half, tiny, third] = [least / 2, Number.MIN_VALUE, 3];
    const arithmetic = (): number[] => [
      tiny * 1,
      (tiny * 3) / 2,
      half * 2,
      1 / third,
      -1 / third,
      1 + 2 ** -53,
      1 + 3 * 2 ** -53,
    ];
    const before = arithmetic();
    expect(before).toEqual([5e-324, 1e-323, 2 ** -149, 0.3333333333333333, -0.3333333333333333, 1, 1.0000000000000004]);
    for (let i = 0; i < 5; i++) {
      session.runSync(randn([1, 3, 9, 9]));
      expect(arithmetic()).toEqual(before);
      await session.run(randn([2, 3, 9, 9]));
      expect(arithmetic()).toEqual(before);
    }
  });
});

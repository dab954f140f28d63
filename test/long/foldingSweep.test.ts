/**
 * 6 000 random blocks, larger and more of them than the property tests of every day draw: fused computes what the
 * branches computed, each element within (n + 16)·2⁻⁵³·Σ|x||w| in float64 and (n + 16)·2⁻²⁴·Σ|x||w| in float32 on the
 * native engine.
 *
 * A failure prints the block's constructor call and the seed of its numbers.
 */
import { describe, expect, it } from 'vitest';
import { nativeOps } from '../../lib/engine/eager.js';
import { ConvBlock, MobileOneBlock, Random, type ReparamBlock, RepVGGBlock, randn, repconv } from '../../lib/index.js';
import { referenceOps } from '../../lib/ops/reference.js';
import { firstBeyond, roundingBound } from '../nn/magnitude.js';
import { trained } from '../nn/trained.js';

const perTest = 500;

describe.each([
  ['ConvBlock', randomConvBlock],
  ['RepVGGBlock', randomRepVGGBlock],
  ['MobileOneBlock', randomMobileOneBlock],
] as const)('%s', (_, make) => {
  it.each([0, 1, 2, 3].map((i) => i * perTest))('folds, seeds %i and the next 499', (first) => {
    for (let seed = first; seed < first + perTest; seed++) {
      const random = new Random(seed);
      const { block, line } = make(random);
      trained(block, seed);
      const shape = [random.integer(1, 2), block.inChannels, random.integer(3, 12), random.integer(3, 12)];
      const label = `seed ${seed}, input [${shape}]: ${line}`;
      expectSameInFloat32(block, shape, seed, label);
      expectSameInFloat64(block, shape, seed, label);
    }
  });
});

function expectSameInFloat32(block: ReparamBlock, shape: readonly number[], seed: number, label: string): void {
  const x = randn(shape, { generator: new Random(seed) });
  const bound = roundingBound((f, value) => block.linear(f, value), x);
  const { model, report } = repconv(block, { certificateBudget: 1e5 });
  expect(report.fused, label).toBe(1);
  expect(firstBeyond(model.linear(nativeOps(), x), block.linear(nativeOps(), x), bound), label).toBe(null);
}

function expectSameInFloat64(block: ReparamBlock, shape: readonly number[], seed: number, label: string): void {
  const exact = block.copy().to('float64');
  const x = randn(shape, { generator: new Random(seed), dtype: 'float64' });
  const bound = roundingBound((f, value) => exact.linear(f, value), x);
  const fused = repconv(exact, { certificateBudget: 1e5 }).model;
  expect(firstBeyond(fused.linear(referenceOps, x), exact.linear(referenceOps, x), bound), label).toBe(null);
}

/** Channels in and out, groups, stride and eps, of which two in five keep the shape: only those have an identity. */
function drawCommon(random: Random): {
  channels: [number, number];
  options: { stride: number; groups: number; eps: number };
} {
  const groups = random.integer(1, 4);
  const [inputs, outputs] = [groups * random.integer(1, 9), groups * random.integer(1, 9)];
  const keeps = random.uniform() < 0.4;
  return {
    channels: [inputs, keeps ? inputs : outputs],
    options: { stride: keeps ? 1 : random.integer(1, 3), groups, eps: [1e-5, 1e-3][random.integer(0, 1)] },
  };
}

function randomConvBlock(random: Random): { block: ReparamBlock; line: string } {
  const { channels, options } = drawCommon(random);
  const all = {
    ...options,
    paddingMode: (['zeros', 'reflect', 'replicate', 'circular'] as const)[random.integer(0, 3)],
  };
  return { block: new ConvBlock(...channels, all), line: `ConvBlock(${channels}, ${JSON.stringify(all)})` };
}

function randomRepVGGBlock(random: Random): { block: ReparamBlock; line: string } {
  const { channels, options } = drawCommon(random);
  const all = { ...options, useSe: channels[1] >= 16 && random.uniform() < 0.3 };
  return { block: new RepVGGBlock(...channels, all), line: `RepVGGBlock(${channels}, ${JSON.stringify(all)})` };
}

function randomMobileOneBlock(random: Random): { block: ReparamBlock; line: string } {
  const { channels, options } = drawCommon(random);
  const kernel = [1, 3, 5][random.integer(0, 2)];
  const isDepthwise = random.uniform() < 0.5;
  const [inputs, outputs] = isDepthwise ? [channels[0], channels[0]] : channels;
  const all = {
    ...options,
    groups: isDepthwise ? inputs : options.groups,
    padding: (kernel - 1) / 2,
    branches: random.integer(1, 4),
  };
  return {
    block: new MobileOneBlock(inputs, outputs, kernel, all),
    line: `MobileOneBlock(${inputs}, ${outputs}, ${kernel}, ${JSON.stringify(all)})`,
  };
}

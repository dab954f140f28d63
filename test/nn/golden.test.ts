/** Modules against PyTorch: what they compute, in both modes and both forms, and what their numbers are called. */
import { describe, expect, it } from 'vitest';
import { referenceForward } from '../../lib/index.js';
import { ReparamBlock } from '../../lib/nn/blocks/reparamBlock.js';
import type { Module } from '../../lib/nn/module.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import {
  buffersAfter,
  built,
  goldenTensor,
  inputOf,
  loaded,
  type ModuleCase,
  moduleCases,
  namedCases,
  stateOf,
} from './golden.js';

/** Float64, against PyTorch's float64. */
const exact = 1e-12;
/** Float32, against PyTorch's float64: relative to the largest of the tensor, a layer or a block; whole networks. */
const oneBlock = 2e-6;
const network = 2e-5;

/**
 * Batch statistics of a few pixels, forty layers deep, amplify rounding: where PyTorch's own float32 is further off, no
 * more is asked of ours.
 */
const trainingTolerance = (c: ModuleCase): number => Math.max(toleranceOf(c), c.float32InTraining);
const toleranceOf = (c: ModuleCase): number => (['RepVGG', 'MobileOne'].includes(c.module) ? network : oneBlock);

it('has cases without fresh batch norms only', () => {
  for (const c of moduleCases()) {
    for (const [key, tensor] of stateOf(c)) {
      const resting = key.endsWith('running_mean') ? 0 : key.endsWith('running_var') ? 1 : null;
      if (resting !== null) expect(tensor.toArray(), `${c.name} ${key}`).not.toContain(resting);
    }
  }
});

describe.each(namedCases())('%s', (_, c) => {
  it("has PyTorch's keys in PyTorch's order, shapes and number of parameters", () => {
    const module = built(c);
    expect([...module.stateDict().keys()]).toEqual(c.keys);
    for (const [key, tensor] of module.stateDict()) expect(tensor.shape, key).toEqual(stateOf(c).get(key)?.shape);
    expect(module.parameterCount()).toBe(c.parameters);
  });

  it('computes in evaluation what PyTorch does', () => {
    const module = loaded(c);
    expect(difference(referenceForward(module, inputOf(c)), goldenTensor(c, 'eval')).relative).toBeLessThan(exact);
    expect(difference(module.forward(inputOf(c)), goldenTensor(c, 'eval')).relative).toBeLessThan(toleranceOf(c));
    expectState(module, stateOf(c), 0);
  });

  it('computes in training what PyTorch does, and remembers the same statistics', () => {
    const module = loaded(c).train();
    for (const batch of [0, 1] as const) {
      const expected = goldenTensor(c, `train${batch}`);
      expect(difference(referenceForward(module, inputOf(c, batch)), expected).relative).toBeLessThan(exact);
      expect(difference(module.forward(inputOf(c, batch)), expected).relative).toBeLessThan(trainingTolerance(c));
    }
    expectState(module, buffersAfter(c), trainingTolerance(c));
  });
});

describe.each(namedCases('ConvBlock', 'RepVGGBlock', 'MobileOneBlock'))('%s', (_, c) => {
  it("has PyTorch's fold, computed in float64 and rounded once, as its equivalent kernel and bias", () => {
    const { kernel, bias } = (loaded(c) as ReparamBlock).getEquivalentKernelBias();
    expect(isIdentical(kernel, goldenTensor(c, 'kernel'))).toBe(true);
    expect(isIdentical(bias, goldenTensor(c, 'bias'))).toBe(true);
  });
});

describe.each(namedCases('ConvBlock', 'RepVGGBlock', 'MobileOneBlock', 'RepVGG', 'MobileOne'))(
  '%s deployed',
  (_, c) => {
    it("has PyTorch's keys in PyTorch's order, made so or switched", () => {
      for (const module of [built(c, { deploy: true }), switched(c)]) {
        expect([...module.stateDict().keys()]).toEqual(c.deployedKeys);
        expect(module.parameterCount()).toBe(c.deployedParameters);
      }
    });

    it('computes what the training form does', () => {
      const module = switched(c);
      expect(difference(module.forward(inputOf(c)), goldenTensor(c, 'eval')).relative).toBeLessThan(toleranceOf(c));
    });

    it('takes the fused numbers strictly when made with deploy: true, and computes the same bits', () => {
      const [fused, fresh] = [switched(c), built(c, { deploy: true }).eval()];
      expect(fresh.loadStateDict(fused.stateDict())).toEqual({ missing: [], unexpected: [] });
      expect(isIdentical(fresh.forward(inputOf(c)), fused.forward(inputOf(c)))).toBe(true);
    });
  },
);

/** The case with every block switched to deploy by its own method. */
function switched(c: ModuleCase): Module {
  const module = loaded(c);
  for (const [, block] of [...module.namedModules()]) if (block instanceof ReparamBlock) block.switchToDeploy();
  return module;
}

/** Buffers as expected: counts exactly, numbers to `tolerance`. */
function expectState(
  module: Module,
  expected: ReadonlyMap<string, Parameters<typeof difference>[0]>,
  tolerance: number,
): void {
  const buffers = new Map(module.namedBuffers());
  for (const [key, buffer] of buffers) {
    const after = expected.get(key)!;
    if (key.endsWith('num_batches_tracked')) expect(isIdentical(buffer, after), key).toBe(true);
    else expect(difference(buffer, after).relative, key).toBeLessThanOrEqual(tolerance);
  }
}

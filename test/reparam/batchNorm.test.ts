/** Batch norms, scales and shifts around a convolution. */
import { describe, expect, it } from 'vitest';
import { conv2dAttributes } from '../../lib/ops/conv/conv2d.js';
import { convMap } from '../../lib/reparam/convMap.js';
import { Reason } from '../../lib/reparam/reason.js';
import { tensor } from '../../lib/tensor/tensor.js';
import { expectFolds, expectReason, folded, frameOf } from './folding.js';
import { conv, norm, type Part, sum } from './parts.js';

const norms = [true, false].flatMap((weight) =>
  [true, false].map(
    (bias) => [`weight ${weight ? 'yes' : 'no'}, bias ${bias ? 'yes' : 'no'}`, { weight, bias }] as const,
  ),
);

describe('a batch norm after a convolution', () => {
  describe.each(norms)('with %s', (_, affine) => {
    it.each([true, false])('folds into a convolution with bias: %s', (bias) => {
      expectFolds([conv(3, { padding: 1, bias }), norm(affine)]);
    });
  });

  it.each([0, 1e-12, 1e-5, 1e-3, 1])('folds for eps %s', (eps) => {
    expectFolds([conv(3, { padding: 1 }), norm({ eps, variance: 1e-4 })]);
  });

  it.each([
    ['depthwise', conv(3, { padding: 1, groups: 4 })],
    ['in 2 groups', conv(3, { padding: 1, groups: 2, out: 6 })],
    ['strided and dilated', conv([3, 2], { stride: [2, 3], dilation: 2, padding: [1, 0, 2, 3] })],
    ['with a reflected border', conv(3, { padding: 1, paddingMode: 'reflect' })],
  ] as const)('folds into a convolution %s and keeps its frame', (_, part) => {
    const map = expectFolds([part, norm()]);
    expect(frameOf(map)).toBe(frameOf(expectFolds(part)));
  });

  it('is the formula: weight·γ/√(σ² + ε), (bias − μ)·γ/√(σ² + ε) + β', () => {
    const map = folded((f, x) => {
      const parameters = { weight: f.lift(tensor([6], [1], 'float64')), bias: f.lift(tensor([0.5], [1], 'float64')) };
      const statistics = {
        runningMean: f.lift(tensor([3], [1], 'float64')),
        runningVariance: f.lift(tensor([3], [1], 'float64')),
      };
      const y = f.conv2d(x, f.lift(tensor([[[[2]]]], undefined, 'float64')), f.lift(tensor([7], [1], 'float64')));
      return f.batchNorm(y, { ...parameters, ...statistics }, { eps: 1 });
    }, 1);
    // γ/√(σ² + ε) = 6/2 = 3
    expect(map).toMatchObject({ bias: Float64Array.of((7 - 3) * 3 + 0.5) });
    expect((map as { kernel: { data: Float64Array } }).kernel.data).toEqual(Float64Array.of(6));
  });

  it('of a chain folds each into the map so far', () => {
    expectFolds([norm(), norm({ weight: false }), conv(3), norm({ bias: false }), norm()]);
  });
});

describe('a batch norm before a convolution', () => {
  it('folds where the convolution does not pad', () => {
    expectFolds([norm(), conv(3)]);
    expectFolds([norm(), conv(1, { stride: 2, out: 6, groups: 2 })]);
  });

  it.each(['reflect', 'replicate', 'circular'] as const)('folds where the border is continued: %s', (paddingMode) => {
    expectFolds([norm(), conv(3, { padding: [1, 2, 0, 1], paddingMode })]);
  });

  it('does not fold where zeros stand for its shift', () => {
    expectReason([norm(), conv(3, { padding: 1 })], 'BORDER_BIAS');
  });

  it('folds with padding if it shifts nothing', () => {
    const scale: Part = { kind: 'mul', shape: 'channel' };
    expectFolds([scale, conv(3, { padding: 1 })]);
    expectFolds([scale, conv(3, { padding: [0, 2, 1, 0], groups: 4 })]);
  });
});

describe('a batch norm after a sum', () => {
  it('folds into the merged convolution, as QARepVGG and RepViT have it', () => {
    const map = expectFolds([
      sum([conv(3, { padding: 1, bias: false }), norm()], conv(1, { bias: false }), []),
      norm(),
    ]);
    expect(frameOf(map)).toBe('3×3 padding 1,1,1,1');
  });
});

describe('a scale or a shift', () => {
  const constants = (['mul', 'add'] as const).flatMap((kind) =>
    (['scalar', 'channel'] as const).flatMap((shape) =>
      [false, true].map(
        (constantFirst) => [kind, shape, constantFirst ? 'first' : 'second', { kind, shape, constantFirst }] as const,
      ),
    ),
  );
  it.each(constants)('%s by a %s that stands %s folds', (_kind, _shape, _place, part) => {
    expectFolds([conv(3, { padding: 1 }), part]);
    expectFolds([conv(3, { padding: 1 }), part, { kind: 'mul', shape: 'channel' }, norm()]);
    expectFolds(sum([part], conv(3, { padding: 1 })));
  });

  it('of one branch is RepMixer: x + scale·(mixer(x) − norm(x))', () => {
    // The minus is a scale of its own.
    const map = expectFolds(
      sum(
        [],
        [
          sum([conv(3, { padding: 1, groups: 4, bias: false }), norm()], [norm(), { kind: 'mul', shape: 'scalar' }]),
          { kind: 'mul', shape: 'channel' },
        ],
      ),
    );
    expect(frameOf(map)).toBe('3×3 padding 1,1,1,1 groups 4');
  });

  it('by a matrix or a row of pixels is no constant the algebra has', () => {
    for (const shape of [[1, 4, 8, 8], [8, 8], [8, 1], [8]]) {
      const result = folded(
        (f, x) => f.mul(x, f.lift(tensor(new Array(shape.reduce((a, b) => a * b)).fill(2), shape, 'float64'))),
        4,
        [8, 8],
      );
      expect(result).toBeInstanceOf(Reason);
      expect((result as Reason).code).toBe('NOT_CONSTANT');
    }
  });

  it('that widens one channel to many is none either', () => {
    for (const word of ['mul', 'add'] as const) {
      const result = folded((f, x) => f[word](x, f.lift(tensor([1, 2, 3], [3, 1, 1], 'float64'))), 1);
      expect(result).toBeInstanceOf(Reason);
      expect((result as Reason).code).toBe('BROADCAST');
    }
  });
});

describe('numbers that are none', () => {
  it.each([NaN, Infinity, -Infinity])('a weight of %s gives NONFINITE', (value) => {
    const map = convMap(tensor([[[[value]]]], undefined, 'float64'), null, conv2dAttributes());
    expect(map).toMatchObject({ code: 'NONFINITE' });
  });
});

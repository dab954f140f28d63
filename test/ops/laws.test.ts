/**
 * Laws that tie the operators to one another, on random convolutions: what the golden files say of points, these say of
 * the whole domain.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Conv2dOptions } from '../../lib/ops/conv/conv2d.js';
import { referenceOps as f } from '../../lib/ops/reference.js';
import type { Padding, PaddingMode } from '../../lib/ops/window.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { sizeOf } from '../../lib/tensor/shape.js';
import { ones, Tensor, tensor } from '../../lib/tensor/tensor.js';

type T = Tensor<'float64'>;

const small = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const pairOf = (min: number, max: number): fc.Arbitrary<[number, number]> => fc.tuple(small(min, max), small(min, max));

/** A convolution that fits: kernels up to 4, images at least as large as the window. */
const convolutions = fc
  .record({
    seed: fc.nat(),
    N: small(1, 2),
    groups: small(1, 3),
    perGroup: pairOf(1, 3),
    kernel: pairOf(1, 4),
    stride: pairOf(1, 3),
    dilation: pairOf(1, 3),
    padding: fc.tuple(small(0, 3), small(0, 3), small(0, 3), small(0, 3)),
    beyond: pairOf(3, 7),
  })
  .map(({ seed, N, groups, perGroup: [C, O], kernel, stride, dilation, padding, beyond }) => {
    const [H, W] = [0, 1].map((axis) => dilation[axis] * (kernel[axis] - 1) + 1 + beyond[axis]);
    const generator = new Random(seed);
    const normal = (...shape: number[]): T => randn(shape, { generator, dtype: 'float64' });
    const options = { stride, dilation, padding: padding as Padding, groups } satisfies Conv2dOptions;
    return {
      x: normal(N, C * groups, H, W),
      w: normal(O * groups, C, ...kernel),
      b: normal(O * groups),
      options,
      normal,
    };
  });

describe('a convolution', () => {
  it('with a padding mode is the padding followed by a convolution without', () => {
    fc.assert(
      fc.property(
        convolutions,
        fc.constantFrom<PaddingMode>('zeros', 'reflect', 'replicate', 'circular'),
        ({ x, w, b, options }, mode) => {
          const { padding, ...rest } = options;
          const twoSteps = f.conv2d(f.pad(x, { padding, mode }), w, b, rest);
          expect(isIdentical(f.conv2d(x, w, b, { ...options, paddingMode: mode }), twoSteps)).toBe(true);
        },
      ),
    );
  });

  it('in groups is one over all channels whose weight is zero across groups', () => {
    fc.assert(
      fc.property(convolutions, ({ x, w, b, options: { groups, ...rest } }) => {
        const [O, perGroup, K, L] = w.shape;
        const dense = filled([O, x.shape[1], K, L], ([o, c, u, v]) => {
          const first = Math.floor(o / (O / groups)) * perGroup;
          return c >= first && c < first + perGroup ? at(w, o, c - first, u, v) : 0;
        });
        expectClose(f.conv2d(x, w, b, { ...rest, groups }), f.conv2d(x, dense, b, rest));
      }),
    );
  });

  it('with dilation is one with a kernel that has zeros between its taps', () => {
    fc.assert(
      fc.property(convolutions, ({ x, w, b, options: { dilation, ...rest } }) => {
        const [O, C, K, L] = w.shape;
        const [d, e] = dilation;
        const spread = filled([O, C, d * (K - 1) + 1, e * (L - 1) + 1], ([o, c, u, v]) =>
          u % d === 0 && v % e === 0 ? at(w, o, c, u / d, v / e) : 0,
        );
        expectClose(f.conv2d(x, w, b, { ...rest, dilation }), f.conv2d(x, spread, b, rest));
      }),
    );
  });

  it('with a stride is every s-th row and column of the one without', () => {
    fc.assert(
      fc.property(convolutions, ({ x, w, b, options: { stride, ...rest } }) => {
        const [result, whole] = [f.conv2d(x, w, b, { ...rest, stride }), f.conv2d(x, w, b, rest)];
        expect(
          isIdentical(
            result,
            filled(result.shape, ([n, o, i, j]) => at(whole, n, o, i * stride[0], j * stride[1])),
          ),
        ).toBe(true);
      }),
    );
  });

  it('has the transposed convolution for its transpose: ⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩', () => {
    fc.assert(
      fc.property(convolutions, ({ x, w, options, normal }) => {
        const result = f.conv2d(x, w, null, options);
        const y = normal(...result.shape);
        // Rows and columns that no window reached are put back by the output padding.
        const [, , H, W] = f.convTranspose2d(y, w, null, options).shape;
        const outputPadding = [x.shape[2] - H, x.shape[3] - W] as const;
        const back = f.convTranspose2d(y, w, null, { ...options, outputPadding });
        const scale = Math.sqrt(inner(result, result) * inner(y, y));
        expect(Math.abs(inner(result, y) - inner(x, back)) / scale).toBeLessThan(1e-13);
      }),
    );
  });
});

describe('simpler operators are special cases of richer ones', () => {
  const generator = new Random(11);
  const x = randn([2, 3, 7, 5], { generator, dtype: 'float64' });

  it('linear is a 1×1 convolution of one pixel', () => {
    const [rows, weight, bias] = [[4, 6], [5, 6], [5]].map((shape) => randn(shape, { generator, dtype: 'float64' }));
    const convolved = f.conv2d(rows.reshape([4, 6, 1, 1]), weight.reshape([5, 6, 1, 1]), bias);
    expectClose(f.linear(rows, weight, bias), convolved.reshape([4, 5]));
  });

  it('average pooling that counts its padding is a depthwise convolution with 1 / k²', () => {
    const kernel = ones([3, 1, 3, 3], 'float64').clone();
    kernel.data.fill(1 / 9);
    const pooled = f.averagePool2d(x, { kernelSize: 3, stride: 2, padding: 1 });
    expectClose(pooled, f.conv2d(x, kernel, null, { stride: 2, padding: 1, groups: 3 }));
  });

  it('max pooling never lets its padding win: it is pooling of an image in a border of −∞', () => {
    const negative = f.add(x, tensor([-100], [1], 'float64'));
    const bordered = f.pad(negative, { padding: 1, value: -Infinity });
    expect(
      isIdentical(
        f.maxPool2d(negative, { kernelSize: 3, stride: 2, padding: 1 }),
        f.maxPool2d(bordered, { kernelSize: 3, stride: 2 }),
      ),
    ).toBe(true);
  });

  it('global pooling is adaptive pooling to one pixel, and pooling with a window of the whole image', () => {
    const whole = { kernelSize: [7, 5] as const };
    expectClose(f.globalAveragePool2d(x), f.adaptiveAveragePool2d(x, { outputSize: 1 }));
    expectClose(f.globalAveragePool2d(x), f.averagePool2d(x, whole));
    expect(isIdentical(f.globalMaxPool2d(x), f.adaptiveMaxPool2d(x, { outputSize: 1 }))).toBe(true);
    expect(isIdentical(f.globalMaxPool2d(x), f.maxPool2d(x, whole))).toBe(true);
  });

  it('batch norm is a multiplication and an addition per channel', () => {
    const [weight, bias, runningMean, noise] = Array.from({ length: 4 }, () =>
      randn([3], { generator, dtype: 'float64' }),
    );
    const runningVariance = f.add(f.mul(noise, noise), tensor([0.1], [1], 'float64'));
    const scale = weight.clone();
    scale.data.forEach((gamma, c) => {
      scale.data[c] = gamma / Math.sqrt(runningVariance.data[c] + 1e-3);
    });
    const shift = bias.clone();
    shift.data.forEach((beta, c) => {
      shift.data[c] = beta - runningMean.data[c] * scale.data[c];
    });
    const perChannel = (t: T): T => t.reshape([1, 3, 1, 1]);
    const normalized = f.batchNorm(x, { weight, bias, runningMean, runningVariance }, { eps: 1e-3 });
    expectClose(normalized, f.add(f.mul(x, perChannel(scale)), perChannel(shift)));
  });

  it('batch norm in training is batch norm in evaluation with the batch’s own statistics, which momentum 1 makes the running ones', () => {
    const [none, n] = [{ weight: null, bias: null }, sizeOf([2, 7, 5])];
    const statistics = { runningMean: ones([3], 'float64'), runningVariance: ones([3], 'float64') };
    const trained = f.batchNormTraining(x, { ...none, ...statistics }, { momentum: 1 });
    // Running statistics are unbiased, the normalization is not.
    const runningVariance = f.mul(trained.runningVariance, tensor([(n - 1) / n], [1], 'float64'));
    expectClose(trained.output, f.batchNorm(x, { ...none, runningMean: trained.runningMean, runningVariance }));
    expect(statistics.runningMean.toArray()).toEqual([1, 1, 1]);
    const untracked = f.batchNormTraining(x, { ...none, runningMean: null, runningVariance: null });
    expect(isIdentical(untracked.output, trained.output)).toBe(true);
    expect([untracked.runningMean.size, untracked.runningVariance.size]).toEqual([0, 0]);
  });

  it('silu is x · sigmoid(x), hardSwish is x · hardSigmoid(x), relu6 is relu below 6', () => {
    const wide = f.mul(x, tensor([4], [1], 'float64'));
    expectClose(f.silu(wide), f.mul(wide, f.sigmoid(wide)));
    expectClose(f.hardSwish(wide), f.mul(wide, f.hardSigmoid(wide)));
    expect(f.relu6(wide).data).toEqual(f.relu(wide).data.map((v) => Math.min(v, 6)));
    expect(isIdentical(f.leakyRelu(wide, { negativeSlope: 0.3 }), f.prelu(wide, tensor([0.3], [1], 'float64')))).toBe(
      true,
    );
  });
});

function expectClose(a: T, b: T): void {
  expect(difference(a, b).relative).toBeLessThan(1e-13);
}

function inner(a: T, b: T): number {
  return a.data.reduce((sum, value, i) => sum + value * b.data[i], 0);
}

/** The element of a tensor of four axes. */
function at({ shape, data }: T, n: number, c: number, i: number, j: number): number {
  return data[((n * shape[1] + c) * shape[2] + i) * shape[3] + j];
}

/** A tensor of four axes from what stands at each position. */
function filled(shape: readonly number[], value: (position: readonly [number, number, number, number]) => number): T {
  const result = new Tensor('float64', shape);
  const [, C, H, W] = shape;
  for (let i = 0; i < result.size; i++) {
    result.data[i] = value([Math.floor(i / (C * H * W)), Math.floor(i / (H * W)) % C, Math.floor(i / W) % H, i % W]);
  }
  return result;
}

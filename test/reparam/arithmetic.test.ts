/**
 * The arithmetic of folding: native against its plain twin, and both against what their contract says of small whole
 * numbers.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ComputedKernel } from '../../lib/engine/fusion.js';
import {
  computation,
  computeSync,
  type Kernel,
  nativeArithmetic,
  plainArithmetic,
} from '../../lib/reparam/arithmetic.js';
import { runSteps } from '../../lib/steps.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';

const small = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });

/** Where a kernel may lie, and where its scaled copy may go. */
const formats = fc.constantFrom('float64' as const, 'float32' as const);

const kernels = fc.record({
  seed: fc.nat(),
  groups: small(1, 4),
  out: small(1, 5),
  perGroup: small(1, 5),
  taps: small(1, 10),
});

function normal(generator: Random, ...shape: number[]): Tensor<'float64'> {
  return randn(shape, { generator, dtype: 'float64' });
}

describe('native arithmetic', () => {
  it('scales channels to the same bits, from either format', () => {
    fc.assert(
      fc.property(
        ...[kernels, fc.constantFrom('output' as const, 'input' as const), formats],
        ({ seed, groups, out, perGroup, taps }, over, from) => {
          const generator = new Random(seed);
          const kernel = normal(generator, out * groups, perGroup, taps).to(from);
          const factors = normal(generator, over === 'output' ? out * groups : perGroup * groups).data;
          const [native, plain] = [nativeArithmetic, plainArithmetic].map((a) =>
            a.scaleChannels(kernel, factors, over, groups),
          );
          expect(isIdentical(native, plain)).toBe(true);
        },
      ),
    );
  });

  it('exchanges the channel axes, there and back', () => {
    fc.assert(
      fc.property(kernels, formats, ({ seed, groups, out, perGroup, taps }, from) => {
        const kernel = normal(new Random(seed), perGroup * groups, out, taps).to(from);
        const [native, plain] = [nativeArithmetic, plainArithmetic].map((a) => a.swapChannels(kernel, groups));
        expect(native.shape).toEqual([out * groups, perGroup, taps]);
        expect(isIdentical(native, plain)).toBe(true);
        expect(isIdentical(nativeArithmetic.swapChannels(native, groups), kernel.to('float64'))).toBe(true);
        const computed = runSteps(
          computation(nativeArithmetic.swapChannels(kernel, groups), groups, { dtype: from, isSwapped: true }),
          computeSync,
        );
        expect(isIdentical(computed.kernel, kernel)).toBe(true);
      }),
    );
  });

  it('computes many steps in one pass as one by one: sums of sums, scaled, placed, contracted, exchanged', () => {
    fc.assert(
      fc.property(kernels, ({ seed, groups, out, perGroup: M, taps: S }) => {
        const made = [nativeArithmetic, plainArithmetic].map((a) => {
          const generator = new Random(seed);
          const whole = (...shape: number[]): Kernel => rounded(normal(generator, ...shape));
          const factors = (count: number): Float64Array =>
            Float64Array.from({ length: count }, () => generator.integer(-4, 4));
          const inner = a.swapChannels(whole(2 * groups, M, S), groups);
          const outer = a.scaleChannels(whole(out * groups, M, 3), factors(M * groups), 'input', groups);
          const product = a.contractChannels(
            a.scaleChannels(outer, factors(out * groups), 'output', groups),
            inner,
            groups,
          );
          const frame = { tapCount: 3 * S + 2, groups: 1 };
          const taps = Array.from({ length: 3 * S }, (_, tap) => (tap + 2) % frame.tapCount);
          const base = a.placeTaps(null, whole(out * groups, 2 * groups, 1), { ...frame, taps: [1], kernelGroups: 1 });
          const sum = a.placeTaps(base, product, { ...frame, taps, kernelGroups: groups });
          return a.scaleChannels(sum, factors(out * groups), 'output', 1);
        });
        expect(made[0].shape).toEqual(made[1].shape);
        // Numbers alike; a zero may have another sign.
        expect(difference(made[0], made[1]).absolute).toBe(0);
      }),
    );
  });

  it('rounds a kernel once, to nearest-even, overflow and smallest numbers included', () => {
    const numbers = [1, -1 / 3, 3.4e38, -3.4e38, 1e-45, 1.1754942e-38, 0, -0, 16777217].map(Math.fround);
    const kernel = new Tensor('float32', [1, numbers.length, 1], Float32Array.from(numbers));
    for (const factor of [1 / 3, 1.0000001, 1e-3, -7]) {
      const scaled = computedIn(
        'float32',
        nativeArithmetic.scaleChannels(kernel, Float64Array.of(factor), 'output', 1),
      );
      expect([...scaled.kernel.data]).toEqual(numbers.map((number) => Math.fround(number * factor)));
      expect(scaled.isFinite).toBe(true);
    }
  });

  it('finds a number that is none, or infinite, wherever it is', () => {
    for (const dtype of ['float32', 'float64'] as const) {
      for (const shape of [
        [1, 1, 1],
        [3, 5, 9],
        [70, 33, 9],
        [1, 1, 4099],
      ]) {
        const kernel: Kernel = randn(shape, { generator: new Random(7), dtype });
        const isFound = (): boolean =>
          !computedIn('float32', nativeArithmetic.scaleChannels(kernel, new Float64Array(shape[0]), 'output', 1))
            .isFinite;
        expect(isFound()).toBe(false);
        for (const index of [0, kernel.size >> 1, kernel.size - 1]) {
          for (const value of [NaN, Infinity, -Infinity]) {
            const before = kernel.data[index];
            kernel.data[index] = value;
            expect(isFound(), `${value} at ${index} of ${shape}, ${dtype}`).toBe(true);
            kernel.data[index] = before;
          }
        }
        kernel.data[0] = dtype === 'float32' ? 3.4028234663852886e38 : Number.MAX_VALUE;
        expect(isFound()).toBe(false);
      }
    }
    expect(computedIn('float32', new Tensor('float32', [0, 3, 9])).isFinite).toBe(true);
  });

  it('reads weights when it computes, and what was read stays', () => {
    const weights = new Tensor('float32', [1, 1, 1], Float32Array.of(1));
    const scaled = nativeArithmetic.scaleChannels(weights, Float64Array.of(3), 'output', 1);
    weights.data[0] = 2;
    expect([...scaled.data]).toEqual([6]);
    weights.data[0] = 5;
    expect([...scaled.data]).toEqual([6]);
    expect([...nativeArithmetic.scaleChannels(scaled, Float64Array.of(2), 'output', 1).data]).toEqual([12]);
  });

  it('places taps to the same bits, onto nothing and onto a base', () => {
    fc.assert(
      fc.property(
        kernels,
        small(1, 3),
        small(0, 6),
        fc.boolean(),
        formats,
        ({ seed, groups: targetGroups, out, perGroup, taps }, factor, more, hasBase, format) => {
          const generator = new Random(seed);
          const kernelGroups = targetGroups * factor;
          const tapCount = taps + more;
          const kernel = normal(generator, out * kernelGroups, perGroup, taps).to(format);
          const base = hasBase ? normal(generator, out * kernelGroups, perGroup * factor, tapCount) : null;
          const placement = {
            // Two taps may meet at one place: then they add up, in their order.
            taps: Array.from({ length: taps }, () => generator.integer(0, tapCount - 1)),
            ...{ tapCount, kernelGroups, groups: targetGroups },
          };
          const before = base?.clone();
          expect(
            isIdentical(
              nativeArithmetic.placeTaps(base, kernel, placement),
              plainArithmetic.placeTaps(base, kernel, placement),
            ),
          ).toBe(true);
          if (base !== null && before !== undefined) expect(isIdentical(base, before)).toBe(true);
        },
      ),
    );
  });

  it('contracts channels within one rounding per product, and whole numbers exactly', () => {
    fc.assert(
      fc.property(kernels, small(1, 4), small(1, 9), ({ seed, groups, out, perGroup: M, taps }, I, S) => {
        const generator = new Random(seed);
        const second = normal(generator, out * groups, M, taps);
        const first = normal(generator, M * groups, I, S);
        const magnitude = plainArithmetic.contractChannels(absolute(second), absolute(first), groups).data;
        const [native, plain] = [nativeArithmetic, plainArithmetic].map((a) =>
          a.contractChannels(second, first, groups),
        );
        expect(native.shape).toEqual([out * groups, I, taps * S]);
        // A multiply-add rounds once where multiplication and addition round twice.
        native.data.forEach((value, i) => {
          expect(Math.abs(value - plain.data[i])).toBeLessThanOrEqual(2 * M * 2 ** -53 * magnitude[i]);
        });
        const [a, b] = [rounded(second), rounded(first)];
        expect(
          isIdentical(nativeArithmetic.contractChannels(a, b, groups), plainArithmetic.contractChannels(a, b, groups)),
        ).toBe(true);
      }),
    );
  });

  it('gives the same bits for every number of threads', () => {
    const generator = new Random(5);
    // More work than one thread does alone.
    const [second, first] = [normal(generator, 270, 133, 9), normal(generator, 133, 17, 1)];
    const results = ['1', '2', '3', '4'].map((threads) => {
      process.env.REPCONV_THREADS = threads;
      try {
        return nativeArithmetic.contractChannels(second, first, 1);
      } finally {
        delete process.env.REPCONV_THREADS;
      }
    });
    for (const result of results) expect(isIdentical(result, results[0])).toBe(true);
  });
});

function computedIn(dtype: 'float32', kernel: Kernel): ComputedKernel<'float32'> {
  return runSteps(computation(kernel, 1, { dtype, isSwapped: false }), computeSync);
}

function absolute(kernel: Tensor<'float64'>): Kernel {
  return new Tensor('float64', kernel.shape, kernel.data.map(Math.abs));
}

function rounded(kernel: Tensor<'float64'>): Kernel {
  return new Tensor(
    'float64',
    kernel.shape,
    kernel.data.map((value) => Math.round(8 * value)),
  );
}

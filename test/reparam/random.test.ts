/**
 * Random sentences: whatever folds computes the same, whatever does not has a reason from the table, and nothing else
 * happens.
 *
 * `mergeable` draws sums that must fold; `anything` draws parts without caring whether they go together.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RepconvError } from '../../lib/errors.js';
import type { Padding, PaddingMode, Pair } from '../../lib/ops/window.js';
import { isReason, reasonCodes } from '../../lib/reparam/reason.js';
import { difference } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { compute, expectFolds, folded, foldTolerance, sentenceOfMap } from './folding.js';
import { conv, norm, type Part, sentenceOf, sum } from './parts.js';

const small = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const pairOf = (min: number, max: number): fc.Arbitrary<Pair> => fc.tuple(small(min, max), small(min, max));
const modes = fc.constantFrom<PaddingMode>('zeros', 'reflect', 'replicate', 'circular');
const norms: fc.Arbitrary<Part> = fc
  .record({ weight: fc.boolean(), bias: fc.boolean(), eps: fc.constantFrom(1e-5, 1e-3, 0.1) })
  .map((options) => norm(options));
const scales: fc.Arbitrary<Part> = fc.record({
  kind: fc.constantFrom('mul' as const, 'add' as const),
  shape: fc.constantFrom('scalar' as const, 'channel' as const),
  constantFirst: fc.boolean(),
});

/** Padding before and after along one axis such that d·(k − 1) − p − p' is `loss`. */
function paddingFor(kernel: number, dilation: number, loss: number, share: number): [number, number] {
  const total = dilation * (kernel - 1) - loss;
  const before = Math.round(total * share);
  return [before, total - before];
}

/**
 * Convolutions of one stride, one loss on each axis and one padding mode; any kernel, dilation, grouping and place of
 * their padding.
 */
const mergeable: fc.Arbitrary<{ part: Part; seed: number }> = fc
  .record({
    seed: fc.nat(),
    stride: pairOf(1, 2),
    loss: pairOf(-2, 0),
    mode: modes,
    branches: fc.array(
      fc.record({
        kernel: pairOf(1, 4),
        dilation: pairOf(1, 2),
        groups: fc.constantFrom(1, 2, 3, 6),
        share: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
        bias: fc.boolean(),
        before: fc.option(fc.constant<Part>(conv(1, { bias: false }))),
        after: fc.array(fc.oneof(norms, scales), { maxLength: 2 }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    after: fc.array(fc.oneof(norms, scales, fc.constant<Part>(conv(1, { out: 4 }))), { maxLength: 2 }),
  })
  .map(({ seed, stride, loss, mode, branches, after }) => {
    const parts = branches.map(({ kernel, dilation, groups, share, bias, before, after }): Part => {
      const [rows, columns] = ([0, 1] as const).map((axis) =>
        paddingFor(kernel[axis], dilation[axis], loss[axis], share[axis]),
      );
      const padding: Padding = [rows[0], columns[0], rows[1], columns[1]];
      return [
        ...(before === null ? [] : [before]),
        conv(kernel, { stride, dilation, padding, groups, bias, paddingMode: mode }),
        ...after,
      ];
    });
    const first = parts[0];
    return { part: [parts.length === 1 ? first : sum(...parts), ...onlyOnce(after)], seed };
  });

/** At most one convolution: it changes the number of channels. */
function onlyOnce(parts: readonly Part[]): readonly Part[] {
  const first = parts.findIndex((part) => 'kind' in part && part.kind === 'conv');
  return parts.filter((part, i) => !('kind' in part && part.kind === 'conv') || i === first);
}

/** Any affine part that keeps its 4 channels. */
const anything: fc.Arbitrary<Part> = fc.letrec<{ part: Part }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    {
      arbitrary: fc
        .record({
          kernel: pairOf(1, 3),
          stride: fc.constantFrom<Pair>([1, 1], [1, 1], [2, 2], [1, 2]),
          padding: fc.constantFrom<Padding>([0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 1, 1]),
          dilation: fc.constantFrom<Pair>([1, 1], [1, 1], [2, 2]),
          groups: fc.constantFrom(1, 2, 4),
          paddingMode: modes,
          bias: fc.boolean(),
        })
        .map(({ kernel, ...options }) => conv(kernel, options)),
      weight: 4,
    },
    { arbitrary: norms, weight: 2 },
    { arbitrary: scales, weight: 2 },
    {
      arbitrary: fc
        .record({
          kernel: pairOf(1, 3),
          stride: pairOf(1, 2),
          padding: fc.constantFrom<Padding>([0, 0, 0, 0], [1, 1, 1, 1]),
        })
        .map(
          ({ kernel, stride, padding }): Part => ({
            kind: 'transposed',
            kernel,
            bias: true,
            options: { stride, padding, groups: 2 },
          }),
        ),
      weight: 1,
    },
    {
      arbitrary: fc
        .record({
          kernelSize: small(2, 3),
          stride: small(1, 2),
          padding: small(0, 1),
          countIncludePad: fc.boolean(),
          ceilMode: fc.boolean(),
        })
        .map((options): Part => ({ kind: 'pool', options })),
      weight: 1,
    },
    {
      arbitrary: fc
        .record({
          padding: fc.constantFrom<Padding>([1, 1, 1, 1], [0, 2, 1, 0]),
          mode: modes,
          value: fc.constantFrom(0, 0, 1),
        })
        .map((options): Part => ({ kind: 'pad', options })),
      weight: 1,
    },
    { arbitrary: fc.array(tie('part'), { maxLength: 3 }), weight: 4 },
    {
      arbitrary: fc
        .array(tie('part'), { minLength: 2, maxLength: 3 })
        .map((branches): Part => ({ kind: 'sum', branches })),
      weight: 4,
    },
  ),
})).part;

describe('random sums and sequences', () => {
  it('of branches that go together fold, and compute the same', () => {
    fc.assert(
      fc.property(mergeable, ({ part, seed }) => {
        expectFolds(part, { channels: 6, sizes: [[11, 10]], seed });
      }),
      { numRuns: 150 },
    );
  });

  it('of anything compute the same or give a reason', () => {
    const counts = { folded: 0, left: 0, impossible: 0 };
    fc.assert(
      fc.property(
        anything,
        fc.nat(),
        fc.constantFrom<Pair>([8, 9], [11, 7]),
        fc.boolean(),
        (part, seed, size, knowsSize) => {
          const { sentence } = sentenceOf(part, 4, new Random(seed));
          const x = randn([2, 4, ...size], { generator: new Random(seed + 1), dtype: 'float64' });
          let expected: ReturnType<typeof compute>;
          try {
            expected = compute(sentence, x);
          } catch (error) {
            // Branches whose shapes do not broadcast, windows that do not fit: no sentence at all.
            if (!(error instanceof RepconvError)) throw error;
            counts.impossible++;
            return;
          }
          const map = folded(sentence, 4, knowsSize ? size : undefined);
          if (isReason(map)) {
            expect(Object.keys(reasonCodes)).toContain(map.code);
            counts.left++;
            return;
          }
          counts.folded++;
          expect(difference(compute(sentenceOfMap(map), x), expected).relative).toBeLessThanOrEqual(foldTolerance);
        },
      ),
      { numRuns: 700 },
    );
    expect(counts.folded).toBeGreaterThan(25);
    expect(counts.left).toBeGreaterThan(25);
  });
});

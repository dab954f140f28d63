/** Laws of the algebra: sums and sequences of maps behave as those of functions do. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PaddingMode } from '../../lib/ops/window.js';
import { add, compose } from '../../lib/reparam/algebra.js';
import { plainArithmetic } from '../../lib/reparam/arithmetic.js';
import { type ConvMap, identityMap, scaleMap } from '../../lib/reparam/convMap.js';
import { type Frame, isPadded, tapCountOf } from '../../lib/reparam/frame.js';
import { isReason, type Reason } from '../../lib/reparam/reason.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';

const C = 6;
const small = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });

/** Numbers for as many axes as there may be; a law is tried over lines, images and volumes, and over no axis at all. */
const ranks = [0, 1, 2, 3];
const perAxis = (min: number, max: number): fc.Arbitrary<readonly number[]> =>
  fc.array(small(min, max), { minLength: 3, maxLength: 3 });

interface Choice {
  readonly seed: number;
  readonly kernel: readonly number[];
  readonly dilation: readonly number[];
  readonly before: readonly number[];
  readonly groups: number;
  readonly hasBias: boolean;
}

const choices: fc.Arbitrary<Choice> = fc.record({
  seed: fc.nat(),
  kernel: perAxis(1, 3),
  dilation: perAxis(1, 2),
  before: perAxis(0, 2),
  groups: fc.constantFrom(1, 2, 3, 6),
  hasBias: fc.boolean(),
});

describe.each(ranks)('over %i axes', (rank) => {
  /** A map of C channels; padded so that it keeps the image's size, or not at all. */
  function mapOf(choice: Choice, { padded = true, paddingMode = 'zeros' as PaddingMode } = {}): ConvMap {
    const { seed, groups, hasBias } = choice;
    const axes = Array.from({ length: rank }, (_, axis) => {
      const kernel = choice.kernel[axis];
      // Dilation says nothing about a single tap.
      const dilation = kernel === 1 ? 1 : choice.dilation[axis];
      const reach = dilation * (kernel - 1);
      const before = padded ? Math.min(reach, choice.before[axis]) : 0;
      return { kernel, stride: 1, dilation, before, after: padded ? reach - before : 0, outputPadding: 0 };
    });
    const generator = new Random(seed);
    const frame: Frame = {
      ...{ inChannels: C, outChannels: C, groups, axes, isTransposed: false },
      paddingMode: isPadded({ axes }) ? paddingMode : 'zeros',
    };
    return {
      ...frame,
      kernel: randn([C, C / groups, tapCountOf(frame)], { generator, dtype: 'float64' }),
      bias: hasBias ? randn([C], { generator, dtype: 'float64' }).data : new Float64Array(C),
    };
  }

  /** A scale and a shift of every channel. */
  function scale(seed: number): ConvMap {
    const generator = new Random(seed);
    const numbers = (): Float64Array => randn([C], { generator, dtype: 'float64' }).data;
    return sure(scaleMap(numbers(), numbers(), rank));
  }

  const sure = (map: ConvMap | Reason): ConvMap => {
    if (isReason(map)) throw new Error(String(map));
    return map;
  };

  /** The same frame, and numbers that are equal but for a few roundings. */
  function expectEqual(a: ConvMap, b: ConvMap): void {
    const { kernel: kernelA, bias: biasA, ...frameA } = a;
    const { kernel: kernelB, bias: biasB, ...frameB } = b;
    expect(frameA).toEqual(frameB);
    expect(difference(kernelA, kernelB).relative).toBeLessThanOrEqual(1e-14);
    const bias = (numbers: Float64Array): Tensor<'float64'> => new Tensor('float64', [numbers.length], numbers);
    expect(difference(bias(biasA), bias(biasB)).absolute).toBeLessThanOrEqual(
      1e-14 * Math.max(1, ...biasA.map(Math.abs), ...biasB.map(Math.abs)) * 10,
    );
  }

  function expectIdentical(a: ConvMap, b: ConvMap): void {
    const { kernel: kernelA, ...restA } = a;
    const { kernel: kernelB, ...restB } = b;
    expect(restA).toEqual(restB);
    expect(isIdentical(kernelA, kernelB)).toBe(true);
  }

  describe('adding', () => {
    it('does not depend on the order, to the bit', () => {
      fc.assert(
        fc.property(choices, choices, (a, b) =>
          expectIdentical(sure(add(mapOf(a), mapOf(b))), sure(add(mapOf(b), mapOf(a)))),
        ),
      );
    });

    it('does not depend on what is added first', () => {
      fc.assert(
        fc.property(choices, choices, choices, (a, b, c) => {
          const [x, y, z] = [a, b, c].map((choice) => mapOf(choice));
          expectEqual(sure(add(sure(add(x, y)), z)), sure(add(x, sure(add(y, z)))));
        }),
      );
    });

    it('of nothing changes nothing', () => {
      fc.assert(
        fc.property(choices, (choice) => {
          const map = mapOf(choice);
          const nothing = { ...map, kernel: new Tensor('float64', map.kernel.shape), bias: new Float64Array(C) };
          expectIdentical(sure(add(map, nothing)), map);
        }),
      );
    });

    it('of a larger frame of zeros pads the kernel and keeps its numbers', () => {
      fc.assert(
        fc.property(choices, choices, (a, b) => {
          const [map, other] = [mapOf(a), mapOf(b)];
          const zeros = { ...other, kernel: new Tensor('float64', other.kernel.shape), bias: new Float64Array(C) };
          const sum = sure(add(map, zeros));
          const numbers = (kernel: ConvMap['kernel']): number[] =>
            [...kernel.data].filter((value) => value !== 0).sort();
          expect(numbers(sum.kernel)).toEqual(numbers(map.kernel));
          expect(sum.bias).toEqual(map.bias);
        }),
      );
    });
  });

  describe('composing', () => {
    it('with the identity changes nothing, to the bit', () => {
      fc.assert(
        fc.property(
          choices,
          fc.constantFrom<PaddingMode>('zeros', 'reflect', 'replicate', 'circular'),
          (choice, paddingMode) => {
            const map = mapOf(choice, { paddingMode });
            expectIdentical(sure(compose(identityMap(C, rank), map)), map);
            expectIdentical(sure(compose(map, identityMap(C, rank))), map);
          },
        ),
      );
    });

    it('associates', () => {
      fc.assert(
        fc.property(choices, choices, choices, (a, b, c) => {
          const [x, y, z] = [mapOf(a), mapOf(b, { padded: false }), mapOf(c, { padded: false })];
          expectEqual(sure(compose(z, sure(compose(y, x)))), sure(compose(sure(compose(z, y)), x)));
        }),
      );
    });

    it('distributes over a sum: first added, then scaled, or the other way round', () => {
      fc.assert(
        fc.property(choices, choices, fc.nat(), (a, b, seed) => {
          const [x, y, t] = [mapOf(a), mapOf(b), scale(seed)];
          const linear = { ...t, bias: new Float64Array(C) };
          expectEqual(sure(compose(t, sure(add(x, y)))), sure(add(sure(compose(t, x)), sure(compose(linear, y)))));
          // A scale in front of unpadded maps of one frame, shift and all.
          const [u, v] = [
            mapOf(a, { padded: false }),
            mapOf({ ...b, kernel: a.kernel, dilation: a.dilation }, { padded: false }),
          ];
          expectEqual(sure(compose(sure(add(u, v)), t)), sure(add(sure(compose(u, t)), sure(compose(v, t)))));
        }),
      );
    });

    it('of two scales is the scale by both', () => {
      fc.assert(
        fc.property(choices, fc.nat(), fc.nat(), (choice, s, t) => {
          const map = mapOf(choice);
          expectEqual(
            sure(compose(sure(compose(scale(s), scale(t))), map)),
            sure(compose(scale(s), sure(compose(scale(t), map)))),
          );
        }),
      );
    });
  });

  describe('the arithmetic underneath', () => {
    it('may be the native or the plain one', () => {
      fc.assert(
        fc.property(choices, choices, (a, b) => {
          const [x, y, z] = [mapOf(a), mapOf(b), mapOf(b, { padded: false })];
          const plain = { arithmetic: plainArithmetic };
          expectIdentical(sure(add(x, y)), sure(add(x, y, plain)));
          expectEqual(sure(compose(z, x)), sure(compose(z, x, plain)));
        }),
      );
    });
  });
});

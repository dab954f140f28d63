/** Laws of the algebra: sums and sequences of maps behave as those of functions do. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Padding, PaddingMode, Pair } from '../../lib/ops/window.js';
import { add, compose } from '../../lib/reparam/algebra.js';
import { plainArithmetic } from '../../lib/reparam/arithmetic.js';
import { type ConvMap, identityMap, scaleMap } from '../../lib/reparam/convMap.js';
import { isReason, type Reason } from '../../lib/reparam/reason.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';

const C = 6;
const small = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const pairOf = (min: number, max: number): fc.Arbitrary<Pair> => fc.tuple(small(min, max), small(min, max));

interface Frame {
  readonly seed: number;
  readonly kernelSize: Pair;
  readonly dilation: Pair;
  readonly before: Pair;
  readonly groups: number;
  readonly hasBias: boolean;
}

const frames: fc.Arbitrary<Frame> = fc.record({
  seed: fc.nat(),
  kernelSize: pairOf(1, 3),
  dilation: pairOf(1, 2),
  before: pairOf(0, 2),
  groups: fc.constantFrom(1, 2, 3, 6),
  hasBias: fc.boolean(),
});

/** A map of C channels; padded so that it keeps the image's size, or not at all. */
function mapOf(frame: Frame, { padded = true, paddingMode = 'zeros' as PaddingMode } = {}): ConvMap {
  const { seed, kernelSize, groups, hasBias } = frame;
  // Of a single tap dilation says nothing.
  const dilation = ([0, 1] as const).map((axis) =>
    kernelSize[axis] === 1 ? 1 : frame.dilation[axis],
  ) as unknown as Pair;
  const generator = new Random(seed);
  const reach = ([0, 1] as const).map((axis) => dilation[axis] * (kernelSize[axis] - 1));
  const before = reach.map((r, axis) => Math.min(r, frame.before[axis]));
  const padding: Padding = padded ? [before[0], before[1], reach[0] - before[0], reach[1] - before[1]] : [0, 0, 0, 0];
  return {
    ...{ inChannels: C, outChannels: C, groups, kernelSize, dilation, padding, stride: [1, 1], outputPadding: null },
    kernel: randn([C, C / groups, kernelSize[0] * kernelSize[1]], { generator, dtype: 'float64' }),
    bias: hasBias ? randn([C], { generator, dtype: 'float64' }).data : new Float64Array(C),
    paddingMode: padding.some((p) => p !== 0) ? paddingMode : 'zeros',
  };
}

/** A scale and a shift of every channel. */
function scale(seed: number): ConvMap {
  const generator = new Random(seed);
  const numbers = (): Float64Array => randn([C], { generator, dtype: 'float64' }).data;
  return sure(scaleMap(numbers(), numbers()));
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
      fc.property(frames, frames, (a, b) =>
        expectIdentical(sure(add(mapOf(a), mapOf(b))), sure(add(mapOf(b), mapOf(a)))),
      ),
    );
  });

  it('does not depend on what is added first', () => {
    fc.assert(
      fc.property(frames, frames, frames, (a, b, c) => {
        const [x, y, z] = [a, b, c].map((frame) => mapOf(frame));
        expectEqual(sure(add(sure(add(x, y)), z)), sure(add(x, sure(add(y, z)))));
      }),
    );
  });

  it('of nothing changes nothing', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const map = mapOf(frame);
        const nothing = { ...map, kernel: new Tensor('float64', map.kernel.shape), bias: new Float64Array(C) };
        expectIdentical(sure(add(map, nothing)), map);
      }),
    );
  });

  it('of a larger frame of zeros pads the kernel and keeps its numbers', () => {
    fc.assert(
      fc.property(frames, frames, (a, b) => {
        const [map, other] = [mapOf(a), mapOf(b)];
        const zeros = { ...other, kernel: new Tensor('float64', other.kernel.shape), bias: new Float64Array(C) };
        const sum = sure(add(map, zeros));
        const numbers = (kernel: ConvMap['kernel']): number[] => [...kernel.data].filter((value) => value !== 0).sort();
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
        frames,
        fc.constantFrom<PaddingMode>('zeros', 'reflect', 'replicate', 'circular'),
        (frame, paddingMode) => {
          const map = mapOf(frame, { paddingMode });
          expectIdentical(sure(compose(identityMap(C), map)), map);
          expectIdentical(sure(compose(map, identityMap(C))), map);
        },
      ),
    );
  });

  it('associates', () => {
    fc.assert(
      fc.property(frames, frames, frames, (a, b, c) => {
        const [x, y, z] = [mapOf(a), mapOf(b, { padded: false }), mapOf(c, { padded: false })];
        expectEqual(sure(compose(z, sure(compose(y, x)))), sure(compose(sure(compose(z, y)), x)));
      }),
    );
  });

  it('distributes over a sum: first added, then scaled, or the other way round', () => {
    fc.assert(
      fc.property(frames, frames, fc.nat(), (a, b, seed) => {
        const [x, y, t] = [mapOf(a), mapOf(b), scale(seed)];
        const linear = { ...t, bias: new Float64Array(C) };
        expectEqual(sure(compose(t, sure(add(x, y)))), sure(add(sure(compose(t, x)), sure(compose(linear, y)))));
        // A scale in front of unpadded maps of one frame, shift and all.
        const [u, v] = [
          mapOf(a, { padded: false }),
          mapOf({ ...b, kernelSize: a.kernelSize, dilation: a.dilation }, { padded: false }),
        ];
        expectEqual(sure(compose(sure(add(u, v)), t)), sure(add(sure(compose(u, t)), sure(compose(v, t)))));
      }),
    );
  });

  it('of two scales is the scale by both', () => {
    fc.assert(
      fc.property(frames, fc.nat(), fc.nat(), (frame, s, t) => {
        const map = mapOf(frame);
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
      fc.property(frames, frames, (a, b) => {
        const [x, y, z] = [mapOf(a), mapOf(b), mapOf(b, { padded: false })];
        const plain = { arithmetic: plainArithmetic };
        expectIdentical(sure(add(x, y)), sure(add(x, y, plain)));
        expectEqual(sure(compose(z, x)), sure(compose(z, x, plain)));
      }),
    );
  });
});

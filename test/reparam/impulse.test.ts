/**
 * Impulses read sparsely against the reference: the answer to an impulse is what the reference computes for that image,
 * less what it computes for the zero image. For every operator that certificates know, every border, and channels kept
 * apart by groups.
 */
import { describe, expect, it } from 'vitest';
import { compareAnswersNatively, type Layout } from '../../lib/engine/answers.js';
import { referenceOps } from '../../lib/ops/reference.js';
import { type AffineSentence, type Recorded, recorded } from '../../lib/reparam/impulse.js';
import { boxesOf, type Interval, impulseLayouts, layoutAt, zeroLayout } from '../../lib/reparam/layouts.js';
import { answersTo, compareAnswersPlainly } from '../../lib/reparam/plainAnswers.js';
import { difference } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';

const C = 4;
const generator = new Random(7);
const weights = (...shape: number[]): Tensor<'float64'> => randn(shape, { generator, dtype: 'float64' });
const [dense, wide, grouped, depthwise, pointwise, transposed] = [
  weights(6, C, 3, 3),
  weights(C, 6, 1, 3),
  weights(6, C / 2, 3, 3),
  weights(C, 1, 3, 3),
  weights(C, C, 1, 1),
  weights(C, 3, 4, 4),
];
const [bias6, bias4, scale] = [weights(6), weights(C), weights(C, 1, 1)];
const norm = {
  weight: weights(C),
  bias: weights(C),
  runningMean: weights(C),
  runningVariance: weights(C).to('float64'),
};
norm.runningVariance.data.forEach((v, i) => {
  norm.runningVariance.data[i] = v * v + 0.5;
});

const sentences: Record<string, AffineSentence> = {
  'a convolution with stride and dilation': (f, x) =>
    f.conv2d(x, f.lift(dense), f.lift(bias6), { stride: [1, 2], padding: 2, dilation: [2, 1] }),
  'a convolution that reflects its border': (f, x) =>
    f.conv2d(x, f.lift(dense), f.lift(bias6), { padding: [1, 2, 1, 0], paddingMode: 'reflect' }),
  'a convolution in groups after a depthwise one': (f, x) =>
    f.conv2d(f.conv2d(x, f.lift(depthwise), f.lift(bias4), { padding: 1, groups: C }), f.lift(grouped), null, {
      padding: 1,
      groups: 2,
    }),
  'two convolutions, the first with a bias that the second pads around': (f, x) =>
    f.conv2d(f.conv2d(x, f.lift(dense), f.lift(bias6), { padding: 1 }), f.lift(wide), null, { padding: [0, 1] }),
  'a transposed convolution in groups': (f, x) =>
    f.convTranspose2d(x, f.lift(transposed), f.lift(bias6), { stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
  'average pooling that leaves padding out of its divisor': (f, x) =>
    f.averagePool2d(x, { kernelSize: 3, stride: [2, 1], padding: 1, countIncludePad: false }),
  'a border that wraps around': (f, x) => f.pad(x, { padding: [1, 2, 0, 3], mode: 'circular' }),
  'parallel branches of different reach and grouping': (f, x) => {
    const spatial = f.conv2d(x, f.lift(depthwise), null, { padding: 1, groups: C });
    const mixed = f.batchNorm(f.conv2d(x, f.lift(pointwise), f.lift(bias4)), {
      weight: f.lift(norm.weight),
      bias: f.lift(norm.bias),
      runningMean: f.lift(norm.runningMean),
      runningVariance: f.lift(norm.runningVariance),
    });
    return f.add(f.add(spatial, f.mul(f.lift(scale), x)), f.add(mixed, f.lift(scale)));
  },
};

describe.each(Object.entries(sentences))('%s', (_, sentence) => {
  const [H, W] = [6, 7];
  const shape = [1, C, H, W] as const;
  const onZero = sentence(referenceOps, new Tensor('float64', shape));
  const steps = recorded(sentence, sentence, shape);
  const [value] = steps.compared;

  it('answers the zero image as the reference does', () => {
    const answer = answersTo(new Float64Array(), steps, zeroLayout(steps), true)[value];
    expect(difference(imageOf(answer, boxAround(null), onZero.shape), onZero).relative).toBeLessThan(1e-14);
  });

  it('answers every impulse as the reference does', () => {
    let worst = 0;
    for (let y = 0; y < H; y++) {
      for (let x = 0; x < W; x++) {
        for (let c = 0; c < C; c++) {
          const answer = answersTo(impulse([c]), steps, layoutAt(steps, [y, x]), false)[value];
          const expected = answerOfReference([c], [y, x]);
          worst = Math.max(worst, difference(imageOf(answer, boxAround([y, x]), expected.shape), expected).absolute);
        }
      }
    }
    expect(worst).toBeLessThan(1e-13);
  });

  it('answers mixes of channels as the reference does', () => {
    const answer = answersTo(impulse([0, 2, 3]), steps, layoutAt(steps, [2, 6]), false)[value];
    const expected = answerOfReference([0, 2, 3], [2, 6]);
    expect(difference(imageOf(answer, boxAround([2, 6]), expected.shape), expected).absolute).toBeLessThan(1e-13);
  });

  it('takes one position for all that are answered by the same numbers, and for no others', () => {
    const { layouts, positions } = impulseLayouts(steps);
    expect(positions).toBe(H * W);
    const answersAt = (layout: Layout): string =>
      JSON.stringify([0, 1, 2, 3].map((c) => [...answersTo(impulse([c]), steps, layout, false)[value]]));
    const taken = layouts.map(answersAt);
    for (let y = 0; y < H; y++) {
      for (let x = 0; x < W; x++) expect(taken, `${y}, ${x}`).toContain(answersAt(layoutAt(steps, [y, x])));
    }
    const answered = taken.filter((answers) => answers !== '[[],[],[],[]]');
    expect(new Set(answered).size).toBe(answered.length);
  });

  function impulse(driven: readonly number[]): Float64Array {
    return new Float64Array(C).map((_, c) => (driven.includes(c) ? 1 : 0));
  }

  /** What the reference answers beyond its answer to the zero image. */
  function answerOfReference(driven: readonly number[], [y, x]: readonly number[]): Tensor<'float64'> {
    const image = new Tensor('float64', shape);
    for (const c of driven) image.data[(c * H + y) * W + x] = 1;
    const answer = sentence(referenceOps, image);
    answer.data.forEach((a, i, data) => {
      data[i] = a - onZero.data[i];
    });
    return answer;
  }

  function boxAround(position: readonly number[] | null): readonly Interval[] {
    return boxesOf(steps, position)[value];
  }
});

describe.each([[[5]], [[4, 5, 6]]])('a convolution over an image of %j pixels', (extents) => {
  const [channels, outputs, taps, stride, padding] = [3, 2, 3, 2, 1];
  const rank = extents.length;
  const positions = extents.map((extent) => Math.floor((extent + 2 * padding - taps) / stride) + 1);
  const weight = weights(outputs, channels, taps ** rank);
  const axes = extents.map((extent, axis) => ({
    taps,
    reached: Array.from({ length: extent }, (_, i) =>
      Array.from({ length: positions[axis] }, (_, at) => ({ at, tap: i + padding - at * stride })).filter(
        ({ tap }) => tap >= 0 && tap < taps,
      ),
    ),
  }));
  const step = { kind: 'contract', input: 0, weight, groups: 1, isTransposed: false } as const;
  const steps: Recorded = {
    ...{ channels: [channels, outputs], steps: [step], compared: [1, 1] },
    ...{ extents: [extents, positions], axes: [axes] },
  };

  it('answers every impulse with the taps that reach it, one axis and three alike', () => {
    for (const position of combinations(extents)) {
      const answer = answersTo(Float64Array.of(0, 1, 0), steps, layoutAt(steps, position), false)[1];
      const boxes = boxesOf(steps, position)[1];
      for (const [pixel, offsets] of combinations(boxes.map(({ count }) => count)).entries()) {
        // Σ over one axis after the other of the tap by which this output reads the position.
        const through = offsets.map((offset, axis) => position[axis] + padding - (boxes[axis].first + offset) * stride);
        const tap = through.reduce((sum, t) => sum * taps + t, 0);
        const isRead = through.every((t) => t >= 0 && t < taps);
        for (let o = 0; o < outputs; o++) {
          const expected = isRead ? weight.data[(o * channels + 1) * taps ** rank + tap] : 0;
          expect(answer[pixel * outputs + o]).toBe(expected);
        }
      }
    }
  });

  it('is compared natively as by plain loops', () => {
    const changed = { ...step, weight: weight.clone() };
    changed.weight.data[7] += 0.125;
    const both: Recorded = {
      ...{ channels: [channels, outputs, outputs], steps: [step, changed], compared: [1, 2] },
      ...{ extents: [extents, positions, positions], axes: [axes, axes] },
    };
    const samples = { kind: 'impulses', firstChannel: 0, count: channels } as const;
    const { layouts } = impulseLayouts(both);
    const found = compareAnswersNatively(both, layouts, samples);
    expect(found).toEqual(compareAnswersPlainly(both, layouts, samples));
    expect(found.distance).toBeCloseTo(0.125, 15);
  });
});

/** All lists of indices below the extents. */
function combinations(extents: readonly number[]): number[][] {
  return extents.reduce<number[][]>(
    (heads, extent) => heads.flatMap((head) => Array.from({ length: extent }, (_, i) => [...head, i])),
    [[]],
  );
}

/** The pixels of a box as the image that they lie in. */
function imageOf(
  answer: Float64Array,
  [rows, columns]: readonly Interval[],
  shape: readonly number[],
): Tensor<'float64'> {
  const image = new Tensor('float64', shape);
  const [, channels, H, W] = shape;
  for (let y = 0; y < rows.count; y++) {
    for (let x = 0; x < columns.count; x++) {
      for (let c = 0; c < channels; c++) {
        image.data[(c * H + rows.first + y) * W + columns.first + x] = answer[(y * columns.count + x) * channels + c];
      }
    }
  }
  return image;
}

/** How tests fold a sentence, and compare what it computes before and after with the reference, in float64. */
import { expect } from 'vitest';
import type { Conv2dAttributes } from '../../lib/ops/conv/conv2d.js';
import type { ConvTranspose2dAttributes } from '../../lib/ops/conv/convTranspose2d.js';
import { referenceOps } from '../../lib/ops/reference.js';
import { affineSum, mergedTerms } from '../../lib/reparam/affine.js';
import { plainArithmetic } from '../../lib/reparam/arithmetic.js';
import { type ConvMap, layerOptions, roundedParameters } from '../../lib/reparam/convMap.js';
import { type Frame, isPadded, kernelSizeOf, paddingOf } from '../../lib/reparam/frame.js';
import { isReason, Reason, type ReasonCode } from '../../lib/reparam/reason.js';
import { difference } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { shapeOf } from '../../lib/tensor/shape.js';
import { Tensor } from '../../lib/tensor/tensor.js';
import { type Part, type Sentence, sentenceOf } from './parts.js';

/** What fused may differ from unfused by, relative to the largest output: float64 and a few hundred additions. */
export const foldTolerance = 1e-13;

export type Size = readonly [number | string, number | string];

/**
 * The one map of a sentence, or why there is none. Folding knows the image's size only if the size is made of numbers.
 */
export function folded(sentence: Sentence, channels: number, size: Size = ['H', 'W']): ConvMap | Reason {
  const sum = affineSum(sentence, { dtype: 'float64', shape: shapeOf(['N', channels, ...size]) });
  const map = isReason(sum) ? sum : mergedTerms(sum);
  if (isReason(map)) return map;
  const parameters = roundedParameters(map, 'float64');
  return isReason(parameters) ? parameters : map;
}

/** The map as a sentence again: one convolution. */
export function sentenceOfMap(map: ConvMap): Sentence {
  // Not rounded: a kernel may be spoilt here, to see whether that is noticed.
  const stored = map.isTransposed ? plainArithmetic.swapChannels(map.kernel, map.groups) : map.kernel;
  const weight = stored.reshape([stored.shape[0], stored.shape[1], ...kernelSizeOf(map)]);
  const bias = new Tensor('float64', [map.outChannels], map.bias);
  const { kernelSize: _, ...options } = layerOptions(map);
  const { paddingMode } = map;
  const outputPadding = map.axes.map((axis) => axis.outputPadding);
  return (f, x) =>
    map.isTransposed
      ? f.convTranspose2d(x, f.lift(weight), f.lift(bias), {
          ...options,
          outputPadding,
        } as unknown as ConvTranspose2dAttributes)
      : f.conv2d(x, f.lift(weight), f.lift(bias), { ...options, paddingMode } as unknown as Conv2dAttributes);
}

export function compute(sentence: Sentence, x: Tensor<'float64'>): Tensor<'float64'> {
  return sentence(referenceOps, x);
}

export interface Folding {
  readonly channels?: number;
  /** Sizes to compare on; odd, even and not square. */
  readonly sizes?: readonly (readonly [number, number])[];
  /** Whether folding is told the size: then it may use it. */
  readonly knowsSize?: boolean;
  readonly seed?: number;
}

const usualSizes = [
  [9, 10],
  [12, 11],
] as const;

/** Folds the part, checks that the one convolution computes the same on images of all sizes, and gives its map. */
export function expectFolds(
  part: Part,
  { channels = 4, sizes = usualSizes, knowsSize = false, seed = 1 }: Folding = {},
): ConvMap {
  const { sentence } = sentenceOf(part, channels, new Random(seed));
  const maps = sizes.map((size) => {
    const map = folded(sentence, channels, knowsSize ? size : undefined);
    if (isReason(map)) throw new Error(`${JSON.stringify(part)} does not fold: ${map}`);
    const x = randn([2, channels, ...size], { generator: new Random(seed + 1), dtype: 'float64' });
    const { relative } = difference(compute(sentenceOfMap(map), x), compute(sentence, x));
    expect(relative, `${JSON.stringify(part)} on ${size.join('×')}`).toBeLessThanOrEqual(foldTolerance);
    return map;
  });
  return maps[0];
}

/** The part must not fold, for this reason; returns it. */
export function expectReason(
  part: Part,
  code: ReasonCode,
  { channels = 4, size }: { channels?: number; size?: Size } = {},
): Reason {
  const result = folded(sentenceOf(part, channels, new Random(1)).sentence, channels, size);
  expect(result).toBeInstanceOf(Reason);
  expect((result as Reason).code).toBe(code);
  return result as Reason;
}

/** The frame of a map in one line, for tests that say what comes out. */
export function frameOf(frame: Frame): string {
  const { axes, groups, paddingMode, isTransposed } = frame;
  const along = (role: 'stride' | 'dilation' | 'outputPadding', usual: number): readonly number[] =>
    axes.some((axis) => axis[role] !== usual) ? axes.map((axis) => axis[role]) : [];
  const list = [
    `${isTransposed ? 'transposed ' : ''}${kernelSizeOf(frame).join('×')}`,
    ...(along('stride', 1).length > 0 ? [`stride ${along('stride', 1).join('×')}`] : []),
    ...(isPadded(frame) ? [`padding ${paddingOf(frame).join(',')}`] : []),
    ...(along('dilation', 1).length > 0 ? [`dilation ${along('dilation', 1).join('×')}`] : []),
    ...(groups === 1 ? [] : [`groups ${groups}`]),
    ...(paddingMode === 'zeros' ? [] : [paddingMode]),
    ...(along('outputPadding', 0).length > 0 ? [`output padding ${along('outputPadding', 0).join('×')}`] : []),
  ];
  return list.join(' ');
}

/** How tests fold a sentence, and compare what it computes before and after with the reference, in float64. */
import { expect } from 'vitest';
import type { Conv2dAttributes } from '../../lib/ops/conv2d.js';
import type { ConvTranspose2dAttributes } from '../../lib/ops/convTranspose2d.js';
import { referenceOps } from '../../lib/ops/reference.js';
import { affineSum, mergedTerms } from '../../lib/reparam/affine.js';
import { type ConvMap, roundedParameters } from '../../lib/reparam/convMap.js';
import { isReason, Reason, type ReasonCode } from '../../lib/reparam/reason.js';
import { difference } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import type { Extent } from '../../lib/tensor/shape.js';
import type { Tensor } from '../../lib/tensor/tensor.js';
import { type Part, type Sentence, sentenceOf } from './parts.js';

/** What fused may differ from unfused by, relative to the largest output: float64 and a few hundred additions. */
export const foldTolerance = 1e-13;

export type Size = readonly [Extent, Extent];

/**
 * The one map of a sentence, or why there is none. Folding knows the image's size only if the size is made of numbers.
 */
export function folded(sentence: Sentence, channels: number, size: Size = ['H', 'W']): ConvMap | Reason {
  const sum = affineSum(sentence, { dtype: 'float64', shape: ['N', channels, ...size] });
  return isReason(sum) ? sum : mergedTerms(sum);
}

/** The map as a sentence again: one convolution. */
export function sentenceOfMap(map: ConvMap): Sentence {
  const { weight, bias } = roundedParameters(map, 'float64');
  const { stride, padding, dilation, groups, paddingMode, outputPadding } = map;
  return (f, x) =>
    outputPadding === null
      ? f.conv2d(x, f.lift(weight), f.lift(bias), {
          stride,
          padding,
          dilation,
          groups,
          paddingMode,
        } satisfies Conv2dAttributes)
      : f.convTranspose2d(x, f.lift(weight), f.lift(bias), {
          ...{ stride, padding, dilation, groups, outputPadding },
        } satisfies ConvTranspose2dAttributes);
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
export function frameOf({
  kernelSize,
  stride,
  padding,
  dilation,
  groups,
  paddingMode,
  outputPadding,
}: ConvMap): string {
  const list = [
    `${outputPadding === null ? '' : 'transposed '}${kernelSize.join('×')}`,
    ...(stride.some((s) => s !== 1) ? [`stride ${stride.join('×')}`] : []),
    ...(padding.some((p) => p !== 0) ? [`padding ${padding.join(',')}`] : []),
    ...(dilation.some((d) => d !== 1) ? [`dilation ${dilation.join('×')}`] : []),
    ...(groups === 1 ? [] : [`groups ${groups}`]),
    ...(paddingMode === 'zeros' ? [] : [paddingMode]),
    ...(outputPadding?.some((p) => p !== 0) ? [`output padding ${outputPadding.join('×')}`] : []),
  ];
  return list.join(' ');
}

/**
 * Convolutions, chosen for the edges of kernels: channel counts around vector widths, maps around tile sizes, every
 * kernel size, stride, dilation, grouping and border. None has more than 20 million multiply-accumulates.
 */
import type { Conv2dOptions } from '../../lib/ops/conv/conv2d.js';
import type { PaddingMode } from '../../lib/ops/window.js';
import type { OperatorCase } from './case.js';

export interface ConvCase {
  readonly name: string;
  /** [N, C, H, W] */
  readonly input: readonly [number, number, number, number];
  /** [O, C/G, K, K'] */
  readonly weight: readonly [number, number, number, number];
  readonly bias: boolean;
  readonly options: Conv2dOptions;
}

/** What a vector kernel may get wrong at the end: one, below, at and above 8, 16, 32 and 64. */
const channelCounts = [1, 2, 3, 5, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48, 64, 65];
const modes: readonly PaddingMode[] = ['reflect', 'replicate', 'circular'];

export const convCases: readonly ConvCase[] = [
  // Channels, each count once in and once out; widths and heights differ and vary.
  ...channelCounts.map((C, i) =>
    conv(`3×3 on ${C} channels`, [1, C, 5 + (i % 4), 7 + (i % 5)], channelCounts[(i * 5 + 3) % 16], 3, { padding: 1 }),
  ),
  ...channelCounts.map((C, i) =>
    conv(`1×1 on ${C} channels`, [1 + (i % 2), C, 3 + (i % 3), 4 + i], channelCounts[(i * 3 + 7) % 16], 1),
  ),

  // Widths: the ends of every tile from 1 to 34.
  ...Array.from({ length: 34 }, (_, i) =>
    conv(`3×3 on width ${i + 1}`, [1, 5, 1 + ((i * 7) % 11), i + 1], 9, 3, { padding: 1, stride: i % 5 === 4 ? 2 : 1 }),
  ),

  // Kernel sizes and strides.
  ...[1, 2, 3, 4, 5, 7].flatMap((K) =>
    [1, 2, 3].map((stride) =>
      conv(
        `${K}×${K} stride ${stride}`,
        [1, 6, 13, 17],
        10,
        K,
        { stride, padding: Math.floor(K / 2) },
        { bias: stride !== 2 },
      ),
    ),
  ),
  conv('1×3', [1, 16, 9, 13], 16, [1, 3], { padding: [0, 1] }),
  conv('3×1', [1, 16, 13, 9], 16, [3, 1], { padding: [1, 0] }),
  conv('5×3 stride 2×1', [2, 7, 13, 9], 12, [5, 3], { stride: [2, 1], padding: [2, 1] }),
  conv('2×5 stride 1×3', [1, 4, 8, 19], 6, [2, 5], { stride: [1, 3], padding: [1, 2] }),
  conv('1×7 and no border', [1, 8, 6, 15], 8, [1, 7]),
  conv('7×1 stride 3×1', [1, 8, 17, 5], 8, [7, 1], { stride: [3, 1], padding: [3, 0] }),

  // Dilation.
  conv('3×3 dilation 2', [1, 17, 13, 11], 8, 3, { dilation: 2, padding: 2 }),
  conv('3×3 dilation 3 and no border', [1, 4, 12, 15], 6, 3, { dilation: 3 }),
  conv('3×3 dilation 1×2', [1, 8, 9, 14], 8, 3, { dilation: [1, 2], padding: [1, 2] }),
  conv('3×3 dilation 2 stride 2', [2, 5, 15, 12], 7, 3, { dilation: 2, stride: 2, padding: 2 }),
  conv('2×4 dilation 3×2', [1, 3, 10, 13], 5, [2, 4], { dilation: [3, 2], padding: [1, 3] }),
  conv('1×1 dilation 4 is a plain 1×1', [1, 9, 5, 7], 4, 1, { dilation: 4 }),

  // Groups: of equal and unequal sizes, never only multiples of a vector.
  conv('2 groups of 24', [1, 48, 7, 9], 48, 3, { groups: 2, padding: 1 }),
  conv('3 groups of 5 to 7', [2, 15, 6, 5], 21, 3, { groups: 3, padding: 1 }),
  conv('4 groups of 17', [1, 68, 5, 6], 68, 3, { groups: 4, padding: 1 }),
  conv('5 groups of 1 to 3', [1, 5, 9, 7], 15, 3, { groups: 5, padding: 1 }),
  conv('8 groups of 8 to 4', [1, 64, 6, 7], 32, 1, { groups: 8 }),
  conv('16 groups of 2', [1, 32, 8, 11], 32, 3, { groups: 16, padding: 1, stride: 2 }),
  conv('2 groups of 33 to 16', [1, 66, 5, 5], 32, 1, { groups: 2 }, { bias: false }),
  conv('3 groups of 31, 5×5', [1, 93, 6, 7], 33, 5, { groups: 3, padding: 2 }),
  conv('2 groups dilated', [1, 14, 9, 9], 10, 3, { groups: 2, padding: 2, dilation: 2 }),

  // Depthwise, and with a multiplier.
  ...channelCounts.map((C, i) =>
    conv(`depthwise on ${C} channels`, [1 + (i % 2), C, 6 + (i % 3), 5 + i], C, 3, {
      groups: C,
      padding: 1,
      stride: 1 + (i % 2),
    }),
  ),
  conv('depthwise 5×5', [1, 24, 13, 11], 24, 5, { groups: 24, padding: 2 }),
  conv('depthwise 7×7', [1, 33, 9, 15], 33, 7, { groups: 33, padding: 3 }),
  conv('depthwise 7×7 stride 2', [1, 16, 15, 18], 16, 7, { groups: 16, padding: 3, stride: 2 }),
  conv('depthwise 13×13', [1, 8, 16, 19], 8, 13, { groups: 8, padding: 6 }),
  conv('depthwise 2×2 stride 2', [1, 17, 9, 8], 17, 2, { groups: 17, stride: 2 }),
  conv('depthwise 3×3 dilation 2', [1, 31, 11, 9], 31, 3, { groups: 31, padding: 2, dilation: 2 }),
  conv('depthwise 3×3 dilation 2 stride 2', [2, 33, 15, 14], 33, 3, { groups: 33, padding: 2, dilation: 2, stride: 2 }),
  conv('depthwise 3×3 stride 2×1', [1, 24, 11, 9], 24, 3, { groups: 24, padding: 1, stride: [2, 1] }),
  conv('depthwise 3×3 on 145 channels', [2, 145, 7, 9], 145, 3, { groups: 145, padding: 1 }),
  conv('depthwise 3×3 stride 2 on 145 channels', [1, 145, 13, 10], 145, 3, {
    groups: 145,
    padding: [0, 1, 2, 0],
    stride: 2,
  }),
  ...Array.from({ length: 9 }, (_, i) =>
    conv(
      `depthwise 3×3 on ${i + 1} rows`,
      [1, 17, i + 1, 13 - i],
      17,
      3,
      { groups: 17, padding: 1 },
      { bias: i % 2 === 0 },
    ),
  ),
  conv('depthwise 3×3 stride 3', [2, 5, 10, 14], 5, 3, { groups: 5, stride: 3 }, { bias: false }),
  conv('depthwise 1×1 is a scale', [1, 33, 4, 7], 33, 1, { groups: 33 }),
  conv('depthwise times 2', [1, 16, 9, 6], 32, 3, { groups: 16, padding: 1 }),
  conv('depthwise times 3', [1, 7, 6, 9], 21, 3, { groups: 7, padding: 1, stride: 2 }),

  // Borders.
  conv('no border', [1, 17, 9, 12], 16, 3),
  conv('no border, output of one pixel', [2, 16, 3, 3], 17, 3),
  conv('window as large as the padded image', [1, 5, 1, 2], 4, 3, { padding: [1, 1, 1, 0] }),
  conv('one pixel in a border', [3, 16, 1, 1], 16, 3, { padding: 1 }),
  conv('border wider than the kernel', [1, 4, 3, 5], 8, 3, { padding: [4, 5] }),
  conv('1×1 with a border', [1, 8, 4, 6], 5, 1, { padding: 2 }),
  conv('1×1 with a border and stride 2', [1, 8, 7, 6], 9, 1, { padding: 1, stride: 2 }),
  conv('same for 2×2', [1, 16, 7, 9], 16, 2, { padding: [0, 0, 1, 1] }),
  conv('same for 4×4', [1, 16, 9, 7], 16, 4, { padding: [1, 1, 2, 2] }),
  conv('asymmetric', [1, 8, 7, 9], 12, 3, { padding: [1, 0, 2, 3] }),
  conv('asymmetric stride 2, as TensorFlow pads', [1, 3, 16, 12], 24, 3, { padding: [0, 0, 1, 1], stride: 2 }),
  conv('asymmetric depthwise', [1, 24, 8, 10], 24, 3, { groups: 24, padding: [0, 0, 1, 1], stride: 2 }),
  conv('only above', [1, 4, 5, 8], 4, 3, { padding: [2, 0, 0, 0] }),
  conv('only on the right', [1, 4, 5, 8], 4, 3, { padding: [0, 0, 0, 2] }),
  ...modes.flatMap((paddingMode) => [
    conv(`${paddingMode}`, [1, 16, 9, 11], 16, 3, { padding: 1, paddingMode }),
    conv(`${paddingMode} stride 2`, [2, 5, 9, 8], 8, 3, { padding: 1, stride: 2, paddingMode }),
    conv(`${paddingMode} dilation 2`, [1, 8, 8, 13], 7, 3, { padding: 2, dilation: 2, paddingMode }),
    conv(`${paddingMode} groups 3`, [1, 15, 6, 7], 9, 3, { padding: 1, groups: 3, paddingMode }),
    conv(`${paddingMode} depthwise 5×5`, [1, 17, 7, 9], 17, 5, { padding: 2, groups: 17, paddingMode }),
    conv(`${paddingMode} asymmetric`, [1, 3, 6, 7], 5, [3, 4], { padding: [2, 1, 0, 3], paddingMode }, { bias: false }),
    conv(`${paddingMode} as far as it goes`, [1, 3, 4, 5], 4, 3, { padding: [3, 4], paddingMode }),
  ]),

  // Batches, long reductions, large results; layers as networks have them.
  conv('batch of 5', [5, 8, 6, 7], 16, 3, { padding: 1 }),
  conv('batch of 3, 1×1', [3, 24, 5, 7], 17, 1, {}, { bias: false }),
  conv('empty batch', [0, 8, 6, 7], 16, 3, { padding: 1 }),
  conv('sums of 2304', [1, 256, 6, 7], 16, 3, { padding: 1 }),
  conv('sums of 1625, 5×5', [1, 65, 7, 6], 33, 5, { padding: 2 }),
  conv('sums of 1023, 1×1', [1, 1023, 3, 5], 31, 1),
  conv('257 channels out', [1, 9, 6, 5], 257, 3, { padding: 1 }),
  conv('one channel in and out', [1, 1, 34, 33], 1, 3, { padding: 1 }),
  conv('a long row', [1, 3, 1, 515], 8, [1, 3], { padding: [0, 1] }),
  conv('a long column', [1, 3, 515, 1], 8, [3, 1], { padding: [1, 0] }),
  conv('stem of RepVGG-A0', [1, 3, 64, 48], 48, 3, { stride: 2, padding: 1 }),
  conv('stage 2 of RepVGG-A0', [1, 48, 24, 28], 48, 3, { padding: 1 }),
  conv('stage 4 of RepVGG-A0', [1, 192, 7, 7], 192, 3, { padding: 1 }),
  conv('depthwise of MobileOne-s0', [1, 64, 28, 28], 64, 3, { groups: 64, padding: 1 }),
  conv('pointwise of MobileOne-s0', [1, 64, 28, 28], 128, 1),
  conv('stem 7×7 of ResNet', [1, 3, 56, 44], 64, 7, { stride: 2, padding: 3 }, { bias: false }),
];

/** The same as a case of the operator, for tests that walk over all of them. */
export function operatorCaseOf({ name, input, weight, bias, options }: ConvCase): OperatorCase {
  return { name: `conv2d: ${name}`, operator: 'conv2d', inputs: [input, weight, bias ? [weight[0]] : null], options };
}

function conv(
  name: string,
  input: ConvCase['input'],
  outputChannels: number,
  kernel: number | readonly [number, number],
  options: Conv2dOptions = {},
  { bias = true } = {},
): ConvCase {
  const [K, L] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
  return { name, input, weight: [outputChannels, input[1] / (options.groups ?? 1), K, L], bias, options };
}

/**
 * Convolutions at random: extents where kernels have their edges more often than elsewhere, and everything else in
 * between.
 */
import type { Random } from '../../lib/tensor/random.js';
import type { ConvCase } from '../cases/convCases.js';

/** What one case may cost, so that its reference in plain TypeScript takes milliseconds. */
const mostProducts = 250_000;

/** The next convolution of the generator; padding of zeros (other modes are a pad before the convolution). */
export function randomConv(random: Random): ConvCase {
  for (;;) {
    const drawn = draw(random);
    if (drawn !== null) return drawn;
  }
}

function draw(random: Random): ConvCase | null {
  const chance = (share: number): boolean => random.uniform() < share;
  const one = <T>(choices: readonly T[]): T => choices[random.integer(0, choices.length - 1)];
  /** Around the widths of vectors and panels, or anything. */
  const channels = (): number =>
    chance(0.5) ? one([1, 3, 8, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65]) : random.integer(1, 70);
  const isDepthwise = chance(0.2);
  const groups = isDepthwise ? channels() : chance(0.7) ? 1 : random.integer(2, 6);
  const perGroup = isDepthwise ? 1 : groups === 1 ? channels() : random.integer(1, 20);
  const outputs =
    groups *
    (isDepthwise ? (chance(0.8) ? 1 : random.integer(2, 3)) : groups === 1 ? channels() : random.integer(1, 20));
  const isPointwise = chance(0.2);
  const kernel = (): number => (isPointwise ? 1 : one([1, 2, 3, 3, 3, 3, 4, 5, 7]));
  const [K, L] = chance(0.8) ? Array<number>(2).fill(kernel()) : [kernel(), kernel()];
  const stride = one<number | [number, number]>(
    isPointwise && chance(0.7) ? [1] : [1, 1, 1, 2, 3, [1, 2], [2, 1], [3, 2]],
  );
  const dilation = one<number | [number, number]>([1, 1, 1, 1, 2, 3, [1, 2], [2, 1]]);
  const side = (): number => (isPointwise && chance(0.7) ? 0 : random.integer(0, 4));
  const padding: [number, number, number, number] = chance(0.5)
    ? [Math.floor(K / 2), Math.floor(L / 2), Math.floor(K / 2), Math.floor(L / 2)]
    : [side(), side(), side(), side()];
  const input = [random.integer(1, 4), groups * perGroup, random.integer(1, 34), random.integer(1, 34)] as const;
  const [dy, dx] =
    [dilation].flat().length === 2 ? (dilation as [number, number]) : [dilation as number, dilation as number];
  const rows = input[2] + padding[0] + padding[2] - dy * (K - 1);
  const columns = input[3] + padding[1] + padding[3] - dx * (L - 1);
  if (rows < 1 || columns < 1) return null;
  const [sy, sx] = [stride].flat().length === 2 ? (stride as [number, number]) : [stride as number, stride as number];
  if (input[0] * outputs * Math.ceil(rows / sy) * Math.ceil(columns / sx) * K * L * perGroup > mostProducts)
    return null;
  return {
    name: 'random',
    input,
    weight: [outputs, perGroup, K, L],
    bias: chance(0.7),
    options: { stride, padding, dilation, groups },
  };
}

export interface Algorithm {
  readonly conv: string;
  readonly precision: '' | 'bfloat16' | 'bfloat16x3';
  /** Whether small whole numbers come out to the bit. */
  readonly isExact: boolean;
  /** Rounds tile by tile, not element by element. */
  readonly isWinograd: boolean;
}

/** The algorithms in float32 that fit a convolution. */
export function algorithmsFor({ input, weight, options }: ConvCase): Algorithm[] {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const is = (value: number | readonly number[], expected: number): boolean =>
    [value].flat().every((x) => x === expected);
  const isPointwise = weight[2] * weight[3] === 1 && is(stride, 1) && is(padding, 0);
  const isDepthwise = weight[1] === 1 && weight[0] === groups && input[1] >= 16;
  const is3x3 = weight[2] === 3 && weight[3] === 3 && is(stride, 1) && is(dilation, 1);
  const isWinograd = is3x3 && input[1] >= 16 && (groups === 1 || (weight[0] / groups) % 16 === 0);
  const direct = (conv: string): Algorithm => ({ conv, precision: '', isExact: true, isWinograd: false });
  return [
    ...['direct', 'im2col'].map(direct),
    ...(isPointwise ? [direct('pointwise')] : []),
    ...(isDepthwise ? [direct('depthwise')] : []),
    ...(isWinograd
      ? ['winograd2', 'winograd4'].map((conv) => ({ ...direct(conv), isExact: conv === 'winograd2', isWinograd: true }))
      : []),
  ];
}

/** Those of lower precisions that fit it, on processors with kernels for them. */
export function bfloat16AlgorithmsFor({ weight, options: { groups = 1 } }: ConvCase): Algorithm[] {
  if (weight[1] < 32 || (groups !== 1 && weight[1] % 2 !== 0)) return [];
  return (['bfloat16', 'bfloat16x3'] as const).map((precision) => ({
    conv: precision,
    precision,
    isExact: true,
    isWinograd: false,
  }));
}

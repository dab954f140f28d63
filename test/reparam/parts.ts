/**
 * Sentences as data: what branches consist of, written so that a test can list it, a generator can draw it and a
 * failure can print it.
 *
 *     sum(conv(3, { padding: 1 }), conv(1), [])     3×3 + 1×1 + identity
 *
 * A list is a sequence, the empty one the identity.
 */

import type { Conv2dOptions } from '../../lib/ops/conv/conv2d.js';
import type { ConvTranspose2dOptions } from '../../lib/ops/conv/convTranspose2d.js';
import type { PadOptions } from '../../lib/ops/move/pad.js';
import type { AveragePool2dOptions } from '../../lib/ops/pool/averagePool2d.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import type { Pair } from '../../lib/ops/window.js';
import { type Random, rand, randn } from '../../lib/tensor/random.js';
import { full, type Tensor } from '../../lib/tensor/tensor.js';

/** A sentence of one input. */
export type Sentence = <X>(f: Ops<X>, x: X) => X;

export interface ConvPart {
  readonly kind: 'conv';
  readonly kernel: Pair;
  /** Output channels; default: those of the input. */
  readonly out?: number;
  readonly bias: boolean;
  readonly options: Conv2dOptions;
}

export interface TransposedPart {
  readonly kind: 'transposed';
  readonly kernel: Pair;
  readonly out?: number;
  readonly bias: boolean;
  readonly options: ConvTranspose2dOptions;
}

export interface NormPart {
  readonly kind: 'batchNorm';
  readonly weight: boolean;
  readonly bias: boolean;
  readonly eps: number;
  /** σ² lies between this and twice this. */
  readonly variance: number;
}

export type Part =
  | ConvPart
  | TransposedPart
  | NormPart
  /** x·c or x + c, with one number or one per channel, the constant on either side. */
  | { readonly kind: 'mul' | 'add'; readonly shape: 'scalar' | 'channel'; readonly constantFirst?: boolean }
  | { readonly kind: 'pool'; readonly options: AveragePool2dOptions }
  | { readonly kind: 'pad'; readonly options: PadOptions }
  | { readonly kind: 'sum'; readonly branches: readonly Part[] }
  | readonly Part[];

type KernelLike = number | Pair;

export function conv(
  kernel: KernelLike,
  { bias = true, out, ...options }: Conv2dOptions & { bias?: boolean; out?: number } = {},
): ConvPart {
  return { kind: 'conv', kernel: bothOf(kernel), bias, options, ...(out === undefined ? {} : { out }) };
}

export function transposed(
  kernel: KernelLike,
  { bias = true, out, ...options }: ConvTranspose2dOptions & { bias?: boolean; out?: number } = {},
): TransposedPart {
  return { kind: 'transposed', kernel: bothOf(kernel), bias, options, ...(out === undefined ? {} : { out }) };
}

export function norm({
  weight = true,
  bias = true,
  eps = 1e-5,
  variance = 0.5,
}: Partial<Omit<NormPart, 'kind'>> = {}): NormPart {
  return { kind: 'batchNorm', weight, bias, eps, variance };
}

export function pool(options: AveragePool2dOptions): Part {
  return { kind: 'pool', options };
}

export function pad(options: PadOptions): Part {
  return { kind: 'pad', options };
}

export function sum(...branches: readonly Part[]): Part {
  return { kind: 'sum', branches };
}

/** The sentence of a part with seeded float64 parameters, and how many channels it gives. */
export function sentenceOf(
  part: Part,
  inChannels: number,
  generator: Random,
): { sentence: Sentence; outChannels: number } {
  const normal = (...shape: number[]): Tensor<'float64'> => randn(shape, { generator, dtype: 'float64' });
  const keeping = (sentence: Sentence): { sentence: Sentence; outChannels: number } => ({
    sentence,
    outChannels: inChannels,
  });
  if (isSequence(part)) {
    const sentences: Sentence[] = [];
    let channels = inChannels;
    for (const element of part) {
      const { sentence, outChannels } = sentenceOf(element, channels, generator);
      sentences.push(sentence);
      channels = outChannels;
    }
    return { sentence: (f, x) => sentences.reduce((value, sentence) => sentence(f, value), x), outChannels: channels };
  }
  switch (part.kind) {
    case 'conv': {
      const { out = inChannels, kernel, options } = part;
      const weight = normal(out, inChannels / (options.groups ?? 1), ...kernel);
      const bias = part.bias ? normal(out) : null;
      return { sentence: (f, x) => f.conv2d(x, f.lift(weight), bias && f.lift(bias), options), outChannels: out };
    }
    case 'transposed': {
      const { out = inChannels, kernel, options } = part;
      const weight = normal(inChannels, out / (options.groups ?? 1), ...kernel);
      const bias = part.bias ? normal(out) : null;
      return {
        sentence: (f, x) => f.convTranspose2d(x, f.lift(weight), bias && f.lift(bias), options),
        outChannels: out,
      };
    }
    case 'batchNorm': {
      const { variance, eps } = part;
      const [weight, bias] = [part.weight ? normal(inChannels) : null, part.bias ? normal(inChannels) : null];
      const mean = normal(inChannels);
      const runningVariance = rand([inChannels], { low: variance, high: 2 * variance, generator, dtype: 'float64' });
      return keeping((f, x) => {
        const parameters = { runningMean: f.lift(mean), runningVariance: f.lift(runningVariance) };
        return f.batchNorm(x, { weight: weight && f.lift(weight), bias: bias && f.lift(bias), ...parameters }, { eps });
      });
    }
    case 'mul':
    case 'add': {
      const constant = part.shape === 'scalar' ? full([1], generator.normal(), 'float64') : normal(inChannels, 1, 1);
      const word = part.kind;
      return keeping((f, x) => (part.constantFirst ? f[word](f.lift(constant), x) : f[word](x, f.lift(constant))));
    }
    case 'pool':
      return keeping((f, x) => f.averagePool2d(x, part.options));
    case 'pad':
      return keeping((f, x) => f.pad(x, part.options));
    case 'sum': {
      const branches = part.branches.map((branch) => sentenceOf(branch, inChannels, generator));
      const [first, ...rest] = branches.map(({ sentence }) => sentence);
      return {
        sentence: (f, x) => rest.reduce((total, branch) => f.add(total, branch(f, x)), first(f, x)),
        outChannels: branches[0].outChannels,
      };
    }
  }
}

function isSequence(part: Part): part is readonly Part[] {
  return Array.isArray(part);
}

function bothOf(kernel: KernelLike): Pair {
  return typeof kernel === 'number' ? [kernel, kernel] : kernel;
}

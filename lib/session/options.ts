/** What `compile` and `run` may be told, and the check that they were told nothing else. */
import { flag, hasMethod, oneOf, refused, text, wholeNumber } from '../checks.js';
import { maxThreads } from '../debug.js';
import type { InputSpec } from '../graph/record.js';
import { optionsOf } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import type { AbortSignalLike } from './abort.js';

/** What {@link CompileOptions.precision} may be. */
export const precisions = ['float32', 'bfloat16x3', 'bfloat16', 'fastest'] as const;

/** Options of {@link compile}: what the session is made for. */
export interface CompileOptions {
  /**
   * Inputs by name: `{ images: ['N', 3, 224, 224] }`; a letter stands for an extent that each run brings along, the
   * first one for the batch.
   */
  readonly inputs: InputSpec;
  /** Names of the outputs; default: those the model gives, or `output`. */
  readonly outputs?: readonly string[];
  /**
   * What convolutions may be computed in (of several groups: with an even number of channels in each, at least 32), and
   * what `bfloat16` computes linear layers in; everything else is float32. What only such convolutions read is stored
   * as they would round it, which changes no bit.
   *
   * | precision    | products                                            | relative error (rms, RepVGG-A0) |
   * |--------------|-----------------------------------------------------|---------------------------------|
   * | `float32`    | float32; the default                                | below 5e-6                      |
   * | `bfloat16x3` | each number as the sum of two bfloat16, 16 bits      | below 5e-5                      |
   * | `bfloat16`   | rounded to bfloat16, 8 bits, summed in float32       | below 2e-2                      |
   * | `fastest`    | `bfloat16` where the processor has it, else `float32` |                                 |
   *
   * Per convolution the estimate chooses the fastest algorithm that is at least as exact, so one may stay float32;
   * {@link Session.describe} names each,
   * {@link Session.settings} the precision. In both bfloat16 precisions numbers below 2⁻¹²⁶ count as zero, and an
   * infinite input may give NaN. They need AMX (Intel, Linux) or AVX512_BF16 (AMD).
   */
  readonly precision?: (typeof precisions)[number];
  /**
   * Threads that one run may use; default: as many as this process may (affinity, container quota), or
   * `REPCONV_THREADS`.
   */
  readonly threads?: number;
  /**
   * The largest batch that runs will bring: algorithms are chosen for it, so that an image's result never depends on
   * its company. Default 8.
   */
  readonly maxBatch?: number;
  /**
   * Inputs that come as decoded images, by name; the model's input stays [N, C, H, W] in `inputs`, runs bring bytes [N,
   * H, W, C].
   */
  readonly preprocess?: PreprocessSpec;
  /**
   * Runs that may wait or compute at a time; one more is refused with ERR_BUSY. Default 1024: enough for any burst that
   * is meant, and an end for one that is not, since each holds a copy of its inputs and outputs. Services set it to
   * what they can answer in time.
   */
  readonly maxQueue?: number;
  /** Whether batch norms are folded into the convolutions before them; default true. Benches turn it off. */
  readonly foldBatchNorm?: boolean;
  /** The most the kernels may use: `scalar`, `avx2`, `avx512`. Default: what the processor has, or `REPCONV_ISA`. */
  readonly isa?: string;
  /** A convolution algorithm to use wherever it fits. Default: the estimate's choice, or `REPCONV_CONV`. */
  readonly conv?: string;
}

/** How one input is made from what runs bring. */
export interface PreprocessOptions {
  /** What runs bring: bytes [N, H, W, C], as image decoders give them, for the model's input [N, C, H, W]. */
  readonly from: 'uint8-nhwc';
  /**
   * Per channel, in units of the range 0 … 1, as torchvision's Normalize takes them: a byte x becomes (x / 255 − mean)
   * / std. Default 0.
   */
  readonly mean?: readonly number[];
  /** Per channel, in the same units; not 0. Default 1. */
  readonly std?: readonly number[];
}

/** Inputs by name that are made from something else. */
export type PreprocessSpec = Readonly<Record<string, PreprocessOptions>>;

/** Options of {@link Session.runSync}. */
export interface RunSyncOptions {
  /**
   * Tensors to write outputs into, by name; a model of one output also takes its tensor bare. float32, of the output's
   * shape, and sharing memory neither with an input nor with each other. Outputs that are not named come as fresh
   * tensors.
   */
  readonly out?: Tensor | Readonly<Record<string, Tensor>>;
}

/**
 * Options of {@link Session.run}. The tensors of `out` are written when the run has ended well, and not at all
 * otherwise; until then they may be read.
 */
export interface RunOptions extends RunSyncOptions {
  /**
   * Ends the run: at once if it waits, after the layer it is in if it computes. The promise rejects with what the
   * signal gives as reason, an AbortError.
   */
  readonly signal?: AbortSignalLike;
}

const compileDefaults = {
  inputs: undefined,
  outputs: undefined,
  precision: 'float32',
  threads: undefined,
  maxBatch: 8,
  preprocess: undefined,
  maxQueue: 1024,
  foldBatchNorm: true,
  isa: undefined,
  conv: undefined,
} as const;

/** What was given, completed; inputs, outputs and preprocess are looked at where they are read. @throws ERR_INPUT */
export function checkedCompileOptions(given: CompileOptions): ReturnType<typeof completedCompileOptions> {
  const options = completedCompileOptions(given);
  oneOf(options.precision, precisions, 'compile: precision');
  if (options.threads !== undefined) wholeNumber(options.threads, 'compile: threads', 1, maxThreads);
  wholeNumber(options.maxBatch, 'compile: maxBatch', 1, 65536);
  wholeNumber(options.maxQueue, 'compile: maxQueue', 1, 65536);
  flag(options.foldBatchNorm, 'compile: foldBatchNorm');
  if (options.isa !== undefined) text(options.isa, 'compile: isa');
  if (options.conv !== undefined) text(options.conv, 'compile: conv');
  return options;
}

function completedCompileOptions(given: CompileOptions) {
  return optionsOf(given, compileDefaults, 'compile');
}

/** @throws ERR_INPUT */
export function checkedRunOptions(given: RunOptions): {
  readonly signal: AbortSignalLike | undefined;
  readonly out: RunOptions['out'];
} {
  const options = optionsOf(given, { signal: undefined, out: undefined }, 'run');
  if (options.signal !== undefined && !isSignal(options.signal))
    throw refused('run: signal', 'an AbortSignal', options.signal);
  return options;
}

/** @throws ERR_INPUT */
export function checkedRunSyncOptions(given: RunSyncOptions): { readonly out: RunSyncOptions['out'] } {
  return optionsOf(given, { out: undefined }, 'runSync');
}

/** Whether it can be asked and waited for: those of other libraries and realms can too. */
function isSignal(value: unknown): boolean {
  return hasMethod(value, 'throwIfAborted') && hasMethod(value, 'addEventListener');
}

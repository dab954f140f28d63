/**
 * The environment variables, read here and nowhere else, and passed down as data.
 *
 * | variable          | meaning                                                                          |
 * |-------------------|----------------------------------------------------------------------------------|
 * | `REPCONV_ISA`     | `scalar`, `avx2` or `avx512`: the most the kernels may use                         |
 * | `REPCONV_CONV`    | a convolution algorithm to force wherever it fits (`direct`, `winograd4`, …)       |
 * | `REPCONV_THREADS` | threads of a session that does not say, at most {@link maxThreads}               |
 * | `REPCONV_DEBUG`   | to stderr: 1 choices and times, 2 graphs too, 3 the memory plan too              |
 * | `NO_COLOR`, `FORCE_COLOR`, `TERM` | whether the command line uses colours                              |
 */
import { printable, RepconvError } from './errors.js';

/**
 * The instruction sets there are kernels for; a processor that has one has those before it (native/core/cpu_info.h).
 */
export const isas: readonly string[] = ['scalar', 'avx2', 'avx512'];

/** The most threads a run may use, wherever somebody says how many: the largest team of native/core/thread_pool.h. */
export const maxThreads = 64;

export interface DebugSettings {
  /** One of {@link isas}, or empty. */
  readonly isa: string;
  readonly conv: string;
  readonly threads: number;
  readonly level: number;
}

/** Reads the variables anew, so that a test may change them between calls. */
export function debugSettings(environment: NodeJS.ProcessEnv = process.env): DebugSettings {
  return {
    isa: isaNamed(environment.REPCONV_ISA ?? ''),
    conv: environment.REPCONV_CONV ?? '',
    threads: wholeNumber(environment, 'REPCONV_THREADS', maxThreads),
    level: wholeNumber(environment, 'REPCONV_DEBUG', 3),
  };
}

/** Writes a line to stderr when the level asks for it. */
export function debugLog(level: number, text: () => string): void {
  if (debugSettings().level >= level) process.stderr.write(`repconv: ${text()}\n`);
}

/** What the conventions of terminals say about colours; undefined where they leave it to whether the stream is one. */
export function colorWish({ NO_COLOR, FORCE_COLOR, TERM }: NodeJS.ProcessEnv = process.env): boolean | undefined {
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '') return FORCE_COLOR !== '0';
  return TERM === 'dumb' ? false : undefined;
}

function isaNamed(text: string): string {
  if (text !== '' && !isas.includes(text))
    throw new RepconvError(
      'ERR_INPUT',
      `REPCONV_ISA: expected one of ${isas.join(', ')}, got "${printable(text, 40)}"`,
    );
  return text;
}

function wholeNumber(environment: NodeJS.ProcessEnv, name: string, max: number): number {
  const text = environment[name];
  if (text === undefined || text === '') return 0;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RepconvError(
      'ERR_INPUT',
      `${name}: expected a whole number from 0 to ${max}, got "${printable(text, 40)}"`,
    );
  }
  return value;
}

/**
 * How times are taken: contenders take turns in rounds, so that whatever else the machine does meets all of them, and
 * each round begins with another. Of each turn the first run is not counted: it brings the contender's weights back
 * into the caches. Ratios are formed within a round and only then summed up, so that what slows a whole round down
 * leaves them alone.
 */
import { setTimeout as rest } from 'node:timers/promises';
import { type Progress, pause } from './progress.js';

export interface TurnOptions {
  /** Time for all rounds. */
  readonly seconds: number;
  /** So many rounds instead; 0: as many as `seconds` allow. */
  readonly rounds: number;
  readonly runsPerTurn: number;
  /** Nothing runs for so long after each turn; 0: goes on at once. */
  readonly restMs: number;
}

/** Times of one contender. */
export interface Times {
  readonly medianMs: number;
  readonly p95Ms: number;
  /** Between the quartiles, over the median. */
  readonly spread: number;
  /** Counted runs, in the order they were made. */
  readonly samplesMs: readonly number[];
}

/** With fewer, no median of ratios is worth its name. */
const fewestRounds = 5;

/** Runs the contenders in turns; gives, for each of them, the milliseconds of the counted runs of each round. */
export async function takeTurns(
  contenders: readonly (() => unknown)[],
  options: TurnOptions,
  progress: Progress,
): Promise<number[][][]> {
  const { seconds, rounds, runsPerTurn, restMs } = options;
  const turns: number[][][] = contenders.map(() => []);
  const start = performance.now();
  for (let round = 0; ; round++) {
    const elapsed = (performance.now() - start) / 1000;
    const done = rounds > 0 ? round / rounds : Math.min(round / fewestRounds, elapsed / seconds);
    progress.measured(Math.min(1, done));
    if (done >= 1) return turns;
    for (let i = 0; i < contenders.length; i++) {
      const whose = (round + i) % contenders.length;
      turns[whose].push(await turn(contenders[whose], runsPerTurn));
      await (restMs > 0 ? rest(restMs) : pause());
    }
  }
}

async function turn(run: () => unknown, countedRuns: number): Promise<number[]> {
  await timed(run);
  const samples: number[] = [];
  for (let i = 0; i < countedRuns; i++) samples.push(await timed(run));
  return samples;
}

/** Milliseconds of one run, until its promise is settled where it gives one. */
export async function timed(run: () => unknown): Promise<number> {
  const start = performance.now();
  const result = run();
  // What is done when it returns is not made to wait for the queue of promises.
  if (result instanceof Promise) await result;
  return performance.now() - start;
}

/** The times of all turns of one contender together. */
export function timesOf(turns: readonly (readonly number[])[]): Times {
  const samplesMs = turns.flat();
  const medianMs = quantile(samplesMs, 0.5);
  return {
    medianMs,
    p95Ms: quantile(samplesMs, 0.95),
    spread: (quantile(samplesMs, 0.75) - quantile(samplesMs, 0.25)) / medianMs,
    samplesMs,
  };
}

/** For each round, how many times as long the one took as the other, by the medians of their turns. */
export function ratiosOf(one: readonly (readonly number[])[], other: readonly (readonly number[])[]): number[] {
  return one.map((ofOne, round) => quantile(ofOne, 0.5) / quantile(other[round], 0.5));
}

/** Linear interpolation between the sorted samples, as R's and NumPy's default. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  return sorted[below] + (at - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
}

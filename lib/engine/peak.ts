/**
 * How fast this processor could be, and how near to that a piece of work came.
 *
 * The peak is that of float32 multiply-adds in registers, measured on the spot, on one thread; the best of all
 * measurements in this process counts, since others can only have been disturbed. Work is counted as that of a direct
 * convolution, two operations per multiply-accumulate: Winograd's algorithms do with fewer multiplications, and
 * bfloat16 has faster ones, so both can exceed it.
 */
import { nativeAddon } from './addon.js';

const best = new Map<string, number>();

/** Measures, in about a tenth of a second, and gives the best so far: GFLOP/s on one thread. */
export function measuredPeak(isa: string): number {
  return bestOf(isa, nativeAddon().peak(isa));
}

/** The best so far, measured on the pool if nothing was yet. */
export async function knownPeak(isa: string): Promise<number> {
  return best.get(isa) ?? bestOf(isa, await nativeAddon().peakAsync(isa));
}

/** {@link knownPeak}, measured on the calling thread. */
export function knownPeakSync(isa: string): number {
  return best.get(isa) ?? measuredPeak(isa);
}

function bestOf(isa: string, operationsPerSecond: number): number {
  const peak = Math.max(best.get(isa) ?? 0, operationsPerSecond / 1e9);
  best.set(isa, peak);
  return peak;
}

export interface WorkRates {
  /** Billions of operations a second, two for each multiply-accumulate; 0 where there are none. */
  readonly gigaflopsPerSecond: number;
  /**
   * That over the peak of all threads that computed: float32 multiply-adds in registers. Winograd's algorithms and
   * bfloat16 can exceed 1.
   */
  readonly shareOfPeak: number;
}

/** @param peak GFLOP/s of all threads that computed */
export function workRates(macs: number, milliseconds: number, peak: number): WorkRates {
  const gigaflopsPerSecond = macs === 0 || milliseconds === 0 ? 0 : (2 * macs) / (1e6 * milliseconds);
  return { gigaflopsPerSecond, shareOfPeak: gigaflopsPerSecond / peak };
}

/** What measured times say about the machine they were measured on. */
import { caseName, groupsOf } from './cases.js';
import type { Environment } from './environment.js';
import type { CaseResult } from './measure.js';
import type { Times } from './turns.js';

/** Quartiles further apart than this, relative to the median, are no quiet machine's. */
export const noisySpread = 0.1;

/**
 * A sentence for each case whose times are no quiet machine's.
 * @param timesOf of all contenders of a case
 */
export function noiseWarnings<R extends CaseResult>(
  results: readonly R[],
  timesOf: (result: R) => readonly Times[],
  { load, threads }: Environment,
): string[] {
  const busy = load > threads / 2 ? ` (load ${load} at the start)` : '';
  const hasPrecisions = groupsOf(results).length > new Set(results.map(({ network }) => network)).size;
  return results.flatMap((result) => {
    const noisiest = timesOf(result).reduce((a, b) => (b.spread > a.spread ? b : a));
    if (noisiest.spread <= noisySpread) return [];
    const of = [
      result.network,
      ...(hasPrecisions ? [result.precision] : []),
      ...(results.length > 1 ? [caseName(result)] : []),
    ].join(', ');
    const { spread, p95Ms, medianMs } = noisiest;
    return [
      `${of}: quartiles ${Math.round(100 * spread)} % of the median apart, p95 ${(p95Ms / medianMs).toFixed(1)} times it: not a quiet machine${busy}`,
    ];
  });
}

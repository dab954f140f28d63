/** What sessions compute in, as the command line names it. */
import { type CompileOptions, precisions } from '../session/options.js';
import type { Session } from '../session/session.js';

export { precisions };
export type PrecisionName = (typeof precisions)[number];
export type SettledPrecision = Exclude<PrecisionName, 'fastest'>;

/** As `compile` takes it, which refuses what it does not have (ERR_UNSUPPORTED). */
export function precisionOption(name: PrecisionName): Pick<CompileOptions, 'precision'> {
  return { precision: name };
}

/** What a session computes in: what was asked for, or what `fastest` came to. */
export function settledPrecision({ settings }: Session): SettledPrecision {
  return settings.precision;
}

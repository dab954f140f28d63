/**
 * That two computations of one network gave the same, before anybody compares their times. How far rounding may set
 * them apart depends on the precision:
 *
 * | precision    | bound                                                             |
 * |--------------|-------------------------------------------------------------------|
 * | `float32`    | 2e-5: largest difference over largest output                      |
 * | `bfloat16x3` | 5e-5: root mean square of the differences over that of the outputs |
 * | `bfloat16`   | 2e-2: the same                                                    |
 *
 * The bounds of bfloat16 are for images of 224×224 pixels. Networks end with an average over their last maps, which
 * smaller images leave less to average: 64×64 pixels give MobileOne-s0 1.6e-2, where 224×224 give 7.5e-3, and 32×32
 * more than the bound.
 */

import type { Session } from '../session/session.js';
import { difference } from '../tensor/compare.js';
import type { Tensor } from '../tensor/tensor.js';
import { CommandFailure } from './failure.js';
import { differenceText } from './output.js';

interface Bound {
  readonly limit: number;
  readonly kind: 'largest' | 'rms';
}

export interface Equality extends Bound {
  /** At most `limit`. */
  readonly difference: number;
}

type Precision = Session['settings']['precision'];

const bounds: Readonly<Record<Precision, Bound>> = {
  float32: { limit: 2e-5, kind: 'largest' },
  bfloat16x3: { limit: 5e-5, kind: 'rms' },
  bfloat16: { limit: 2e-2, kind: 'rms' },
};

/**
 * @param what which computation, for the message
 * @throws CommandFailure where `output` is further from `expected` than rounding explains
 */
export function checkEqual(what: string, output: Tensor, expected: Tensor, precision: Precision): Equality {
  const { limit, kind } = bounds[precision];
  const found = kind === 'largest' ? difference(output, expected).relative : rmsDifference(output, expected);
  if (!(found <= limit))
    throw new CommandFailure(
      `${what}: outputs differ by ${found.toExponential(1)}, more than ${limit} (${kind}); not measured`,
    );
  return { difference: found, limit, kind };
}

/** What an equality's number is. */
const kinds = {
  largest: 'largest difference over largest output',
  rms: 'root mean squares of differences over outputs',
};

/** The one that is nearest to its limit, of computations with one limit. */
export function worstOf(equalities: readonly Equality[]): Equality {
  return equalities.reduce((a, b) => (b.difference > a.difference ? b : a));
}

/** A sentence on computations that were found equal. */
export function equalityText(equalities: readonly Equality[]): string {
  const { difference: worst, limit, kind } = worstOf(equalities);
  return `Outputs differ by at most ${differenceText(worst)} (${kinds[kind]}); the limit is ${limit.toExponential(0)}.`;
}

/** √(Σ(a − b)² / Σb²) */
function rmsDifference({ data: a }: Tensor, { data: b }: Tensor): number {
  if (a.length !== b.length) return Infinity;
  let [distance, scale] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    distance += (a[i] - b[i]) ** 2;
    scale += b[i] ** 2;
  }
  return distance === 0 ? 0 : Math.sqrt(distance / scale);
}

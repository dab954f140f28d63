/** What was decided about each step of a plan, and why, in words for people. */
import type { NativeSession, NativeStep } from '../engine/addon.js';

/** What was decided about one step. */
export interface StepDescription extends Omit<NativeStep, 'isForced'> {
  /**
   * Why this algorithm, in words: `winograd4, estimated 2.1 times as fast as direct`. Empty where there was nothing to
   * choose.
   */
  readonly why: string;
}

/** The steps of a plan, in their order. */
export function describedSteps(native: NativeSession, plan: number): StepDescription[] {
  return native.describe(plan).map(({ isForced, ...step }) => ({ ...step, why: reason(step, isForced) }));
}

function reason({ algorithm, costs }: Pick<NativeStep, 'algorithm' | 'costs'>, isForced: boolean): string {
  if (isForced) return `${algorithm}, as was asked for`;
  if (!Object.hasOwn(costs, algorithm)) return '';
  const others = Object.keys(costs).filter((name) => name !== algorithm);
  if (others.length === 0) return `${algorithm}, the only one that fits`;
  // What all others are to improve on; where it is the best itself, the next best tells how much it wins by.
  const other = others.includes('direct') ? 'direct' : others.reduce((a, b) => (costs[a] <= costs[b] ? a : b));
  const ratio = Number((costs[other] / costs[algorithm]).toPrecision(2));
  return `${algorithm}, estimated ${ratio > 1 ? `${ratio} times ` : ''}as fast as ${other}`;
}

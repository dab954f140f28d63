/**
 * How many threads one run may use: what the caller says, else what the environment says, else what the operating
 * system allows.
 */
import { debugSettings, maxThreads } from '../debug.js';
import { type NativeAddon, nativeAddon } from './addon.js';

/** Processors by the affinity mask, by the control group's quota (rounded up; 0: none), and the smaller of the two. */
export type ThreadBudget = Pick<ReturnType<NativeAddon['info']>, 'affinity' | 'quota' | 'threads'>;

/** The number, and which of those who have a say decided it. @param budget what the operating system allows */
export function chosenThreads(
  option?: number,
  budget: () => ThreadBudget = () => nativeAddon().info(),
): { readonly threads: number; readonly because: string } {
  if (option !== undefined) return { threads: option, because: 'the option threads' };
  const { threads } = debugSettings();
  if (threads > 0) return { threads, because: 'REPCONV_THREADS' };
  const { affinity, quota, threads: allowed } = budget();
  if (allowed > maxThreads)
    return { threads: maxThreads, because: `the limit of ${maxThreads} threads; this process may use ${allowed}` };
  const processors = `${affinity} processor${affinity === 1 ? '' : 's'}`;
  const because =
    allowed < affinity
      ? `the cgroup quota, rounded up to ${quota} of ${processors}`
      : `the affinity of this process: ${processors}`;
  return { threads: allowed, because };
}

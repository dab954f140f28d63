// Is anybody else at work here? The load average remembers minutes that are over; this looks at what the processors do
// now.
import { cpus } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';

/** The share of all processors' time that others may use: above it two threads do not have two processors. */
export const quietShare = 0.05;

/**
 * Begins to watch; the function it returns tells which share of all processors' time other processes have used since.
 */
export function watchOthers() {
  const before = processorTimes();
  const own = process.cpuUsage();
  return () => {
    const after = processorTimes();
    const { user, system } = process.cpuUsage(own);
    const others = after.busyMs - before.busyMs - (user + system) / 1000;
    return Math.max(0, others / Math.max(1, after.totalMs - before.totalMs));
  };
}

/**
 * Waits until others have used less than `quietShare` for five seconds, or for as long as it may.
 * @returns how long it waited, and what others used in the last five seconds
 */
export async function waitUntilQuiet(mostSeconds, tell) {
  const start = performance.now();
  for (;;) {
    const others = watchOthers();
    await pause(5000);
    const share = others();
    const waitedSeconds = (performance.now() - start) / 1000;
    if (share <= quietShare || waitedSeconds >= mostSeconds) return { waitedSeconds, share };
    tell(
      `other processes use ${(100 * share).toFixed(0)} % of the processors: waiting until they use less than ${100 * quietShare} %`,
    );
  }
}

function processorTimes() {
  let [busyMs, idleMs] = [0, 0];
  for (const { times } of cpus()) {
    busyMs += times.user + times.nice + times.sys + times.irq;
    idleMs += times.idle;
  }
  return { busyMs, totalMs: busyMs + idleMs };
}

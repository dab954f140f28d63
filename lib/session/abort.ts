/**
 * Waiting for the abort of a signal that many runs share: one listener for all of them, since Node warns of a leak from
 * the eleventh on.
 */

interface Watch {
  readonly acts: Set<() => void>;
  readonly listener: () => void;
}

const watches = new WeakMap<AbortSignal, Watch>();

/** Calls `act` when the signal aborts, until the returned function is called. */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const { acts, listener } = watches.get(signal) ?? watch(signal);
  acts.add(act);
  return () => {
    acts.delete(act);
    if (acts.size > 0 || watches.get(signal)?.acts !== acts) return;
    signal.removeEventListener('abort', listener);
    watches.delete(signal);
  };
}

function watch(signal: AbortSignal): Watch {
  const acts = new Set<() => void>();
  const listener = (): void => {
    for (const act of acts) act();
  };
  signal.addEventListener('abort', listener, { once: true });
  const made = { acts, listener };
  watches.set(signal, made);
  return made;
}

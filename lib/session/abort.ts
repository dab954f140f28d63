/**
 * Waiting that a signal ends. Many runs may share one: there is one listener for all of them, since Node warns of a
 * leak from the eleventh on.
 */

/**
 * An `AbortSignal`, as far as it is looked at. Named by what it can, so that a project in TypeScript needs neither the
 * types of Node nor those of browsers to be told what a run takes.
 */
export interface AbortSignalLike {
  /** Whether it has aborted. */
  readonly aborted: boolean;
  /** Why: what a run that it ends rejects with. */
  readonly reason: unknown;
  /** Throws the reason if it has aborted. */
  throwIfAborted(): void;
  /** Calls `listener` when it aborts. */
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  /** Takes a listener away. */
  removeEventListener(type: 'abort', listener: () => void): void;
}

interface Watch {
  readonly acts: Set<() => void>;
  readonly listener: () => void;
}

const watches = new WeakMap<AbortSignalLike, Watch>();

/** Calls `act` when the signal aborts, until the returned function is called. */
export function onAbort(signal: AbortSignalLike, act: () => void): () => void {
  const { acts, listener } = watches.get(signal) ?? watch(signal);
  acts.add(act);
  return () => {
    acts.delete(act);
    if (acts.size > 0 || watches.get(signal)?.acts !== acts) return;
    signal.removeEventListener('abort', listener);
    watches.delete(signal);
  };
}

function watch(signal: AbortSignalLike): Watch {
  const acts = new Set<() => void>();
  const listener = (): void => {
    for (const act of acts) act();
  };
  signal.addEventListener('abort', listener, { once: true });
  const made = { acts, listener };
  watches.set(signal, made);
  return made;
}

/** Waits for what others may wait for too: the signal ends the waiting alone. */
export async function unlessAborted(promise: Promise<void>, signal: AbortSignalLike | undefined): Promise<void> {
  if (signal === undefined) return promise;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = onAbort(signal, () => reject(signal.reason));
  });
  try {
    await Promise.race([promise, aborted]);
    signal.throwIfAborted();
  } finally {
    stop?.();
  }
}

/**
 * Long work, written once and run in two ways: on the calling thread ({@link runSteps}), or without keeping it
 * ({@link runStepsAsync}).
 *
 * The work is a generator. It yields a step, which is what it wants done, and is resumed with the answer, or with the
 * error where it stands, so that `try` and `finally` mean what they say. Whoever runs it knows how steps are done.
 */

/** Work that asks for steps of kind `S` and ends with a `T`. */
export type Steps<S, T> = Generator<S, T, unknown>;

/** Runs the work now, and waits for each step. */
export function runSteps<S, T>(steps: Steps<S, T>, perform: (step: S) => unknown): T {
  let next = steps.next();
  while (!next.done) {
    let result: unknown;
    try {
      result = perform(next.value);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(result);
  }
  return next.value;
}

/** Runs the work up to its first step at once, and the rest without keeping the thread. */
export async function runStepsAsync<S, T>(steps: Steps<S, T>, perform: (step: S) => Promise<unknown>): Promise<T> {
  let next = steps.next();
  while (!next.done) {
    let result: unknown;
    try {
      result = await perform(next.value);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(result);
  }
  return next.value;
}

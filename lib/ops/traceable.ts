/**
 * What can be read: anything that states its computation in the vocabulary. Modules are; so is any object a user
 * writes.
 */
import { RepconvError } from '../errors.js';
import type { AnyTensor } from '../tensor/tensor.js';
import type { Ops } from './vocabulary.js';

/** Anything that says what it computes: modules do, and so may any object. */
export interface Traceable {
  /**
   * What it computes, in the words of `f`: takes values, and returns one or a record of them. It must not branch on
   * extents.
   */
  compute<X>(f: Ops<X>, ...inputs: X[]): X | Record<string, X>;
  /** The tensors that `compute` lifts, by their names (state-dict keys), so that what is recorded can name them. */
  namedTensors?(): Iterable<readonly [string, AnyTensor]>;
}

/**
 * What `read` gives, which calls the model's `compute`: modules call those of the modules in them, as deep as somebody
 * built the tree, and JavaScript's stack ends somewhere.
 * @param operation who reads, for the message
 * @throws ERR_LIMIT, naming the depth, where it ends too soon
 */
export function withinStack<T>(model: Traceable, operation: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!isStackOverflow(cause)) throw cause;
    let deepest = 0;
    for (const [key] of model.namedTensors?.() ?? []) deepest = Math.max(deepest, String(key).split('.').length - 1);
    throw new RepconvError(
      'ERR_LIMIT',
      `${operation}: calls of compute nest deeper than the stack of JavaScript (the deepest parameter lies ${deepest} modules down): ` +
        'nest fewer modules in each other, or start Node with a larger --stack-size',
      { cause },
    );
  }
}

/** Whether the stack ended, by name and text of the error: functions of another realm throw its errors. */
export function isStackOverflow(error: unknown): boolean {
  const { name, message } = (error ?? {}) as Partial<Error>;
  return name === 'RangeError' && message === 'Maximum call stack size exceeded';
}

/**
 * The listening reading: values say nothing, operators do nothing, and what a sentence gives is the tensors it lifts
 * and the operators it applies.
 *
 * It needs no shapes and computes nothing, so it tells of any module, in training mode too, which numbers it would
 * compute with: those of its own, or those of another.
 */
import type { Operator } from '../ops/operator.js';
import { isStackOverflow, type Traceable, withinStack } from '../ops/traceable.js';
import { type Reading, vocabulary } from '../ops/vocabulary.js';
import type { AnyTensor } from '../tensor/tensor.js';

/** What a sentence was heard to say. */
export interface Heard {
  /** The tensors that it lifts or commits to. */
  readonly tensors: ReadonlySet<AnyTensor>;
  readonly operators: readonly Operator[];
}

/** What a sentence says, or the error with which it ends. */
export type Outcome = Heard | { readonly error: unknown };

/** A module, as far as listening knows it. */
export interface Audible extends Traceable {
  namedTensors(): Iterable<readonly [string, AnyTensor]>;
  namedParameters(): Iterable<readonly [string, AnyTensor]>;
  namedChildren(): Iterable<readonly [string, Audible]>;
}

/** Reads a sentence; throws what it throws. @param hear is told of each tensor at once */
export function heardFrom(sentence: Traceable, hear: (tensor: AnyTensor) => void = () => {}): Heard {
  const tensors = new Set<AnyTensor>();
  const operators: Operator[] = [];
  const note = (tensor: AnyTensor): void => {
    tensors.add(tensor);
    hear(tensor);
  };
  const reading: Reading<object> = {
    lift(tensor) {
      note(tensor);
      return {};
    },
    apply(operator) {
      operators.push(operator);
      // As many results as an operator can have.
      return [{}, {}, {}];
    },
    commit: note,
  };
  // The first parameter is the vocabulary. A sentence that lists none of its inputs takes one, or any number.
  const inputs = Array.from({ length: Math.max(1, sentence.compute.length - 1) }, () => ({}));
  sentence.compute(vocabulary(reading), ...inputs);
  return { tensors, operators };
}

/**
 * Reads a sentence.
 * @param operation who asks
 * @throws ERR_LIMIT where it nests deeper than the stack
 */
export function listen(sentence: Traceable, operation: string): Outcome {
  return withinStack(sentence, operation, () => {
    try {
      return heardFrom(sentence);
    } catch (error) {
      if (isStackOverflow(error)) throw error;
      return { error };
    }
  });
}

/**
 * Reads a module, and what is below it wherever that is not heard already: where the module cannot be read by itself (a
 * list of modules), and where it does without some of the parameters there.
 * @param isRead leaves modules out, with what is below them
 * @throws ERR_LIMIT
 */
export function listenBelow<M extends Audible>(
  root: M,
  operation: string,
  isRead: (module: M) => boolean = () => true,
): ReadonlyMap<M, Outcome> {
  const outcomes = new Map<M, Outcome>();
  const waiting: M[] = [root];
  for (let module = waiting.pop(); module !== undefined; module = waiting.pop()) {
    if (outcomes.has(module) || !isRead(module)) continue;
    const outcome = listen(module, operation);
    outcomes.set(module, outcome);
    const isHeard = ([, tensor]: readonly [string, AnyTensor]): boolean =>
      'tensors' in outcome && outcome.tensors.has(tensor);
    for (const [, child] of module.namedChildren())
      if (!('tensors' in outcome) || ![...child.namedParameters()].every(isHeard)) waiting.push(child as M);
  }
  return outcomes;
}

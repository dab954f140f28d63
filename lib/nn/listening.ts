/**
 * The listening reading: values say nothing, operators do nothing, and what a sentence gives is the tensors it lifts.
 *
 * It needs no shapes and computes nothing, so it tells of any module, in training mode too, which numbers it would
 * compute with: those of its own, or those of another.
 */
import type { Traceable } from '../ops/traceable.js';
import { type Reading, vocabulary } from '../ops/vocabulary.js';
import type { AnyTensor } from '../tensor/tensor.js';

/**
 * The tensors that a sentence lifts or commits to, in order; throws what the sentence throws.
 * @param hear is told of each at once
 */
export function heardFrom(sentence: Traceable, hear: (tensor: AnyTensor) => void = () => {}): ReadonlySet<AnyTensor> {
  const heard = new Set<AnyTensor>();
  const note = (tensor: AnyTensor): void => {
    heard.add(tensor);
    hear(tensor);
  };
  const reading: Reading<object> = {
    lift(tensor) {
      note(tensor);
      return {};
    },
    // As many results as an operator can have.
    apply: () => [{}, {}, {}],
    commit: note,
  };
  // The first parameter is the vocabulary. A sentence that lists none of its inputs takes one, or any number.
  const inputs = Array.from({ length: Math.max(1, sentence.compute.length - 1) }, () => ({}));
  sentence.compute(vocabulary(reading), ...inputs);
  return heard;
}

/** What {@link heardFrom} gives, or the error with which the sentence ends. */
export function listen(sentence: Traceable): { readonly heard: ReadonlySet<AnyTensor> } | { readonly error: unknown } {
  try {
    return { heard: heardFrom(sentence) };
  } catch (error) {
    return { error };
  }
}

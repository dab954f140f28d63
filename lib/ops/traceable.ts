/**
 * What can be read: anything that states its computation in the vocabulary. Modules are; so is any object a user
 * writes.
 */
import type { AnyTensor } from '../tensor/tensor.js';
import type { Ops } from './vocabulary.js';

export interface Traceable {
  /** The sentence: takes and returns one value, or a record of them. It must not branch on extents. */
  compute<X>(f: Ops<X>, ...inputs: X[]): X | Record<string, X>;
  /** Names of the tensors that the sentence lifts (state-dict keys), so that what is recorded can name them. */
  namedTensors?(): Iterable<readonly [string, AnyTensor]>;
}

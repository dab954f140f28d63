/**
 * The reference reading: every word in plain TypeScript and float64, nothing rounded in between. The oracle of all
 * tests.
 */
import { isTensor, type Tensor } from '../tensor/tensor.js';
import { type Ops, vocabulary } from './vocabulary.js';

/** Words over float64 tensors. Lifting converts; shapes are checked by the same rules as everywhere. */
export const referenceOps: Ops<Tensor<'float64'>> = vocabulary<Tensor<'float64'>>({
  isValue: (value): value is Tensor<'float64'> => isTensor(value) && value.dtype === 'float64',
  lift: (tensor) => tensor.to('float64'),
  apply(operator, inputs, attributes) {
    operator.infer(inputs, attributes);
    return operator.reference(inputs, attributes);
  },
});

/** How new layers are filled: PyTorch's defaults, from the process' generator (`manualSeed`). */
import { defaultGenerator, rand } from '../tensor/random.js';
import { type Tensor, zeros } from '../tensor/tensor.js';

/** False while {@link withoutDrawing} runs. */
let isDrawing = true;

/**
 * Uniform in ±1/√fanIn, for weights (Kaiming with a = √5) and biases alike. He et al. 2015; LeCun et al. 1998, section
 * 4.6.
 */
export function uniformByFanIn(shape: readonly number[], fanIn: number): Tensor {
  if (!isDrawing) return zeros(shape);
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  return rand(shape, { low: -bound, high: bound, generator: defaultGenerator() });
}

/**
 * Makes layers whose numbers come from elsewhere: zeros, at no cost, and the generator is left where it was. `make`
 * must not wait.
 */
export function withoutDrawing<T>(make: () => T): T {
  const before = isDrawing;
  isDrawing = false;
  try {
    return make();
  } finally {
    isDrawing = before;
  }
}

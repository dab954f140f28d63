/**
 * How new layers are filled: PyTorch's distributions, drawn when the numbers are first read. A network that is made to
 * be loaded draws nothing (RepVGG-B3 has 123 million weights).
 *
 * Each parameter has a stream of its own, forked from the process' generator (`manualSeed`) when the layer is made: the
 * numbers do not depend on what is read first, or at all.
 */
import { defaultGenerator, Random } from '../tensor/random.js';
import { Tensor, WhenRead, type Writer } from '../tensor/tensor.js';

/** False while {@link withoutDrawing} runs. */
let isDrawing = true;

/**
 * Uniform in ±1/√fanIn, for weights (Kaiming with a = √5) and biases alike. He et al. 2015; LeCun et al. 1998, section
 * 4.6.
 */
export function uniformByFanIn(shape: readonly number[], fanIn: number): Tensor {
  if (!isDrawing) return new Tensor('float32', shape, zerosWhenRead);
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  const generator = defaultGenerator();
  const seed = generator.uniform() + generator.uniform() / 2 ** 32;
  const begin = (): Writer<'float32'> => {
    const stream = new Random(seed);
    return {
      write(stretch) {
        for (let i = 0; i < stretch.length; i++) stretch[i] = bound * (2 * stream.uniform() - 1);
      },
    };
  };
  return new Tensor('float32', shape, new WhenRead(begin));
}

const zerosWhenRead = new WhenRead<'float32'>(() => ({ write: (stretch) => stretch.fill(0) }));

/**
 * Makes layers whose numbers come from elsewhere: the generator is left where it was. `make` must not wait.
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

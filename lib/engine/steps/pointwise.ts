/**
 * What works element by element: activations, by themselves or on another step's way to memory, and sums and products.
 */

import { binaryOperators } from '../../ops/pointwise/binary.js';
import { unaryOperators } from '../../ops/pointwise/unary.js';
import { sameShape } from '../../tensor/shape.js';
import { activationOf, nativeActivation, type UnaryName } from './activation.js';
import { overPlain } from './layouts.js';
import { type BuilderValue, fitsImage, type Step } from './step.js';

/** Takes the layout that it finds. */
function unaryStep(name: UnaryName): Step {
  return {
    emit(writer, { inputs, outputs, attributes, label }) {
      const layout = writer.isNhwc(inputs[0]) ? 'nhwc' : 'plain';
      const [read, written] = [writer.read(inputs[0], layout), writer.write(outputs[0], layout)];
      writer.step('activation', label, [read], [written], { ...nativeActivation(name, attributes) });
    },
    asActivation: (attributes: object) => nativeActivation(name, attributes),
  };
}

/**
 * Images of one shape, or an image and one number per channel, stay nhwc (and become so for an activation); everything
 * else broadcasts plain.
 */
function binaryStep(operation: string): Step {
  return {
    emit(writer, { inputs, outputs, label, epilogue }) {
      const [a, b] = inputs as [BuilderValue, BuilderValue];
      const [result] = outputs;
      const [big, small] = sameShape(a.type.shape, result.type.shape) ? [a, b] : [b, a];
      const isWanted = writer.isNhwc(a) || writer.isNhwc(b) || epilogue?.activation !== undefined;
      const isPossible = sameShape(big.type.shape, result.type.shape) && fitsImage(small.type, result.type);
      const layout = isWanted && isPossible ? 'nhwc' : 'plain';
      const operands = layout === 'nhwc' ? [big, small] : [a, b];
      const reads = operands.map((operand) => writer.read(operand, layout));
      writer.step(operation, label, reads, [writer.write(result, layout)], { ...activationOf(epilogue) });
    },
    takesActivation: ({ inputs, output }) => inputs.every((input) => input !== null && fitsImage(input, output)),
  };
}

export const pointwiseSteps = {
  ...(Object.fromEntries((Object.keys(unaryOperators) as UnaryName[]).map((name) => [name, unaryStep(name)])) as {
    [N in UnaryName]: Step;
  }),
  ...(Object.fromEntries(Object.keys(binaryOperators).map((name) => [name, binaryStep(name)])) as {
    [N in keyof typeof binaryOperators]: Step;
  }),
  prelu: { emit: overPlain('prelu') },
} satisfies Record<string, Step>;

/** What pools images, and what moves numbers without changing them. */
import { alongAxis, numbersOf, overImages } from './layouts.js';
import type { Step } from './step.js';

function poolStep(kind: 'max' | 'average', isAdaptive: boolean): Step {
  return {
    emit(writer, { inputs, outputs, attributes, label }) {
      const all = { ...(isAdaptive ? {} : numbersOf(attributes)), kind, adaptive: Number(isAdaptive) };
      writer.step('pool', label, [writer.read(inputs[0], 'nhwc')], [writer.write(outputs[0], 'nhwc')], all);
    },
  };
}

const reshapeStep: Step = {
  emit(writer, { inputs, outputs, label }) {
    writer.step('reshape', label, [writer.read(inputs[0], 'plain')], [writer.write(outputs[0], 'plain')]);
  },
};

export const imageSteps = {
  adaptiveAveragePool2d: poolStep('average', true),
  adaptiveMaxPool2d: poolStep('max', true),
  averagePool2d: poolStep('average', false),
  globalAveragePool2d: poolStep('average', true),
  globalMaxPool2d: poolStep('max', true),
  maxPool2d: poolStep('max', false),

  concat: { emit: alongAxis('concat') },
  flatten: reshapeStep,
  pad: { emit: overImages('pad') },
  reshape: reshapeStep,
  softmax: { emit: alongAxis('softmax') },
} satisfies Record<string, Step>;

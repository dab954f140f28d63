/** Steps by the layouts that they read and write; most rows are one of these. */
import type { ProgramStep } from '../program.js';
import { activationOf } from './activation.js';
import type { Application, StepWriter } from './step.js';

type Emit = (writer: StepWriter, application: Application) => void;

/** Over images: the first input and the output nhwc, parameters plain, the residual nhwc behind them. */
export function overImages(operation: string): Emit {
  return (writer, { inputs, outputs, attributes, label, epilogue }) => {
    const [image, ...parameters] = inputs;
    const reads = [
      writer.read(image, 'nhwc'),
      ...parameters.map((parameter) => writer.read(parameter, 'plain')),
      writer.read(epilogue?.residual, 'nhwc'),
    ];
    writer.step(operation, label, reads, [writer.write(outputs[0], 'nhwc')], {
      ...numbersOf(attributes),
      ...activationOf(epilogue),
    });
  };
}

/** Over plain values. */
export function overPlain(operation: string): Emit {
  return (writer, { inputs, outputs, attributes, label, epilogue }) => {
    const reads = inputs.map((input) => writer.read(input, 'plain'));
    const writes = outputs.map((output) => writer.write(output, 'plain'));
    writer.step(operation, label, reads, writes, { ...numbersOf(attributes), ...activationOf(epilogue) });
  };
}

/** Over plain values, along an axis, which native code counts from the front. */
export function alongAxis(operation: string): Emit {
  const emit = overPlain(operation);
  return (writer, application) => {
    const { axis } = application.attributes as { axis: number };
    const rank = application.inputs[0]?.type.shape.length ?? 0;
    emit(writer, { ...application, attributes: { axis: axis < 0 ? axis + rank : axis } });
  };
}

/** Attributes as native code takes them: flags as 0 and 1. */
export function numbersOf(attributes: object): ProgramStep['attributes'] {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, typeof value === 'boolean' ? Number(value) : value]),
  );
}

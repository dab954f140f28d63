/**
 * Builds programs: turns operators into native steps, each value in the layout its readers need.
 *
 * Images are nhwc around everything that slides a window over them, and plain where nothing does; element-by-element
 * steps take what they find. A value that is wanted in the other layout gets a conversion step, once.
 */
import { RepconvError } from '../errors.js';
import type { Operator, TensorType } from '../ops/operator.js';
import { isConcrete, type Shape, sameShape } from '../tensor/shape.js';
import type { AnyTensor, Tensor } from '../tensor/tensor.js';
import type { Layout, Program, ProgramStep, ProgramValue } from './program.js';

/** What the builder needs to know of a value; values of a graph are such. */
export interface BuilderValue {
  readonly type: TensorType;
  /** Set for a constant, of any format that has numbers: it is rounded to float32. */
  readonly constant?: AnyTensor | undefined;
  /** Whether nobody else has the constant's memory. */
  readonly isPrivate?: boolean | undefined;
  /**
   * Set for an input of bytes: the image [N, C, H, W] that becomes of them. Their own shape is its, with channels last.
   */
  readonly image?: BuilderValue | undefined;
}

/** What becomes of a byte x of channel c: (x / 255 − mean[c]) / std[c], rounded to float32 after each operation. */
export interface Normalization {
  readonly mean: Tensor;
  readonly std: Tensor;
}

/** What is done to a step's result on its way to memory. */
export interface Epilogue {
  /** Added to the result first. */
  readonly residual: BuilderValue | undefined;
  readonly activation: { operator: Operator; attributes: object } | undefined;
}

/** One operator application to lower. */
export interface Application {
  readonly operator: Operator;
  readonly inputs: readonly (BuilderValue | null)[];
  readonly outputs: readonly BuilderValue[];
  readonly attributes: object;
  readonly label: string;
  readonly epilogue?: Epilogue;
}

const noValue = -1;

export class ProgramBuilder {
  readonly #values: ProgramValue[] = [];
  /** The value each program value stands for: plans take their shapes from there. */
  readonly #origins: BuilderValue[] = [];
  readonly #steps: ProgramStep[] = [];
  readonly #inputs: number[] = [];
  readonly #outputs: number[] = [];
  readonly #places = new Map<BuilderValue, Partial<Record<Layout, number>>>();

  /** Declares an input of the program. */
  input(value: BuilderValue): void {
    this.#inputs.push(this.write(value, 'plain'));
  }

  /** Declares an input of bytes [N, H, W, C], of which the image `value` is made. */
  byteInput(value: BuilderValue, { mean, std }: Normalization, label: string): void {
    const bytes = this.#declare(
      { type: { dtype: 'uint8', shape: channelsLast(value.type.shape) }, image: value },
      'plain',
    );
    this.#inputs.push(bytes);
    const parameters = [mean, std].map((constant) => this.read({ type: constant, constant }, 'plain'));
    this.step('normalizeBytes', label, [bytes, ...parameters], [this.write(value, 'nhwc')]);
  }

  /** Declares an output: memory of its own, whatever else the value is. */
  output(value: BuilderValue): void {
    const made = this.read(value, 'plain');
    const isStepResult = !this.#inputs.includes(made) && value.constant === undefined && !this.#outputs.includes(made);
    if (isStepResult) {
      this.#outputs.push(made);
      return;
    }
    const copy = this.#declare(value, 'plain');
    this.step('reshape', '', [made], [copy]);
    this.#outputs.push(copy);
  }

  /** Lowers one operator. @throws ERR_UNSUPPORTED for one that native code does not have */
  apply(application: Application): void {
    const emit = emitters[application.operator.name];
    if (emit === undefined)
      throw new RepconvError('ERR_UNSUPPORTED', `${application.operator.name}: has no native implementation`);
    emit(this, application);
  }

  /** The program value for reading `value` in `layout`; −1 for an absent optional input. */
  read(value: BuilderValue | null | undefined, layout: Layout): number {
    if (value == null) return noValue;
    const places = this.#places.get(value) ?? {};
    const found = places[layout];
    if (found !== undefined) return found;
    if (value.constant !== undefined && layout === 'plain') return this.#constant(value, value.constant);
    const from = this.read(value, layout === 'nhwc' ? 'plain' : 'nhwc');
    const to = this.write(value, layout);
    this.step(layout === 'nhwc' ? 'toNhwc' : 'toPlain', '', [from], [to]);
    return to;
  }

  /** A program value for a result that is written in `layout`. */
  write(value: BuilderValue, layout: Layout): number {
    const index = this.#declare(value, layout);
    this.#places.set(value, { ...this.#places.get(value), [layout]: index });
    return index;
  }

  /** Whether `value` already exists as nhwc. */
  isNhwc(value: BuilderValue | null | undefined): boolean {
    return value != null && this.#places.get(value)?.nhwc !== undefined;
  }

  step(
    operation: string,
    label: string,
    inputs: readonly number[],
    outputs: readonly number[],
    attributes: ProgramStep['attributes'] = {},
  ): void {
    this.#steps.push({ operation, label, inputs, outputs, attributes });
  }

  /** The program so far, and the value each of its values stands for. */
  build(): { program: Program; origins: readonly BuilderValue[] } {
    return {
      program: { values: this.#values, steps: this.#steps, inputs: this.#inputs, outputs: this.#outputs },
      origins: this.#origins,
    };
  }

  #declare(value: BuilderValue, layout: Layout): number {
    // Arithmetic is in float32, whatever format a model's numbers are kept in; bytes stay bytes.
    this.#values.push({ dtype: value.image === undefined ? 'float32' : 'uint8', layout });
    this.#origins.push(value);
    return this.#values.length - 1;
  }

  #constant(value: BuilderValue, tensor: AnyTensor): number {
    const { shape, data } = tensor.dtype === 'float32' ? (tensor as Tensor) : tensor.to('float32');
    const index = this.write(value, 'plain');
    const isPrivate = value.isPrivate === true || tensor.dtype !== 'float32';
    this.#values[index] = { ...this.#values[index], shape, data, isPrivate };
    return index;
  }
}

type Emitter = (builder: ProgramBuilder, application: Application) => void;

/** Which operators can take an epilogue (a sum and an activation) with their result. */
export const epilogueOperators: { readonly [name: string]: { residual: boolean } } = {
  conv2d: { residual: true },
  batchNorm: { residual: true },
  convTranspose2d: { residual: false },
  linear: { residual: false },
  add: { residual: false },
  mul: { residual: false },
};

/** Native names of the activations that an epilogue can be, with what they need of the attributes. */
const activations: { readonly [operator: string]: (attributes: never) => { activation: string; alpha?: number } } = {
  relu: () => ({ activation: 'relu' }),
  relu6: () => ({ activation: 'relu6' }),
  leakyRelu: ({ negativeSlope }: { negativeSlope: number }) => ({ activation: 'leakyRelu', alpha: negativeSlope }),
  sigmoid: () => ({ activation: 'sigmoid' }),
  silu: () => ({ activation: 'silu' }),
  hardSigmoid: () => ({ activation: 'hardSigmoid' }),
  hardSwish: () => ({ activation: 'hardSwish' }),
  gelu: ({ approximate }: { approximate: string }) => ({ activation: approximate === 'tanh' ? 'geluTanh' : 'gelu' }),
  tanh: () => ({ activation: 'tanh' }),
};

/** Whether an operator can be the activation of an epilogue. */
export function isActivation(operator: Operator): boolean {
  return Object.hasOwn(activations, operator.name);
}

function epilogueAttributes(
  epilogue: Epilogue | undefined,
): ReturnType<(typeof activations)[string]> | Record<never, never> {
  return epilogue?.activation === undefined
    ? {}
    : activations[epilogue.activation.operator.name](epilogue.activation.attributes as never);
}

/** Steps over images: the first input and the output nhwc, parameters plain, the residual nhwc behind them. */
const overImages =
  (operation: string): Emitter =>
  (builder, { inputs, outputs, attributes, label, epilogue }) => {
    const [image, ...parameters] = inputs;
    const reads = [
      builder.read(image, 'nhwc'),
      ...parameters.map((parameter) => builder.read(parameter, 'plain')),
      builder.read(epilogue?.residual, 'nhwc'),
    ];
    builder.step(operation, label, reads, [builder.write(outputs[0], 'nhwc')], {
      ...numbersOf(attributes),
      ...epilogueAttributes(epilogue),
    });
  };

/** Steps over plain values. */
const overPlain =
  (operation: string): Emitter =>
  (builder, { inputs, outputs, attributes, label, epilogue }) => {
    const reads = inputs.map((input) => builder.read(input, 'plain'));
    const writes = outputs.map((output) => builder.write(output, 'plain'));
    builder.step(operation, label, reads, writes, { ...numbersOf(attributes), ...epilogueAttributes(epilogue) });
  };

const activation: Emitter = (builder, { operator, inputs, outputs, attributes, label }) => {
  const layout = builder.isNhwc(inputs[0]) ? 'nhwc' : 'plain';
  builder.step(
    'activation',
    label,
    [builder.read(inputs[0], layout)],
    [builder.write(outputs[0], layout)],
    activations[operator.name](attributes as never),
  );
};

/**
 * Images of one shape, or an image and one value per channel, stay nhwc (and become so for an activation); everything
 * else broadcasts plain.
 */
const binary: Emitter = (builder, { operator, inputs, outputs, label, epilogue }) => {
  const [a, b] = inputs as [BuilderValue, BuilderValue];
  const result = outputs[0];
  const [big, small] = sameShape(a.type.shape, result.type.shape) ? [a, b] : [b, a];
  const isWanted = builder.isNhwc(a) || builder.isNhwc(b) || epilogue?.activation !== undefined;
  const isPossible =
    result.type.shape.length === 4 &&
    sameShape(big.type.shape, result.type.shape) &&
    (sameShape(small.type.shape, result.type.shape) || isPerChannel(small, result));
  if (isWanted && isPossible) {
    const reads = [builder.read(big, 'nhwc'), builder.read(small, 'nhwc')];
    builder.step(operator.name, label, reads, [builder.write(result, 'nhwc')], { ...epilogueAttributes(epilogue) });
    return;
  }
  builder.step(
    operator.name,
    label,
    [builder.read(a, 'plain'), builder.read(b, 'plain')],
    [builder.write(result, 'plain')],
  );
};

/** Whether `small` is [N or 1, C, 1, 1] beside the image `big`. */
export function isPerChannel(small: BuilderValue, big: BuilderValue): boolean {
  const [s, b] = [small.type.shape, big.type.shape];
  return s.length === 4 && b.length === 4 && (s[0] === 1 || s[0] === b[0]) && s[1] === b[1] && s[2] === 1 && s[3] === 1;
}

const batchNorm: Emitter = (builder, application) => {
  const input = application.inputs[0] as BuilderValue;
  const isImage = input.type.shape.length === 4 && (builder.isNhwc(input) || application.epilogue !== undefined);
  (isImage ? overImages('batchNorm') : overPlain('batchNorm'))(builder, application);
};

const pool =
  (kind: 'max' | 'average', isAdaptive: boolean): Emitter =>
  (builder, { inputs, outputs, attributes, label }) => {
    const all = { ...(isAdaptive ? {} : numbersOf(attributes)), kind, adaptive: Number(isAdaptive) };
    builder.step('pool', label, [builder.read(inputs[0], 'nhwc')], [builder.write(outputs[0], 'nhwc')], all);
  };

const reshape: Emitter = (builder, { inputs, outputs, label }) => {
  builder.step('reshape', label, [builder.read(inputs[0], 'plain')], [builder.write(outputs[0], 'plain')]);
};

/** Axes counted from the front. */
const alongAxis =
  (operation: string): Emitter =>
  (builder, application) => {
    const { axis } = application.attributes as { axis: number };
    const rank = (application.inputs[0] as BuilderValue).type.shape.length;
    overPlain(operation)(builder, { ...application, attributes: { axis: axis < 0 ? axis + rank : axis } });
  };

const emitters: { readonly [operator: string]: Emitter } = {
  ...Object.fromEntries(Object.keys(activations).map((name) => [name, activation])),
  adaptiveAveragePool2d: pool('average', true),
  adaptiveMaxPool2d: pool('max', true),
  add: binary,
  averagePool2d: pool('average', false),
  batchNorm,
  batchNormTraining: overPlain('batchNormTraining'),
  concat: alongAxis('concat'),
  conv2d: (builder, application) => {
    const { paddingMode, ...attributes } = application.attributes as { paddingMode: string };
    if (paddingMode !== 'zeros')
      throw new RepconvError('ERR_NATIVE', `conv2d: ${paddingMode} padding is a pad before the convolution`);
    overImages('conv2d')(builder, { ...application, attributes });
  },
  convTranspose2d: overImages('convTranspose2d'),
  flatten: reshape,
  globalAveragePool2d: pool('average', true),
  globalMaxPool2d: pool('max', true),
  linear: overPlain('linear'),
  maxPool2d: pool('max', false),
  mul: binary,
  pad: overImages('pad'),
  prelu: overPlain('prelu'),
  reshape,
  softmax: alongAxis('softmax'),
};

/** Attributes as native code takes them: flags as 0 and 1. */
function numbersOf(attributes: object): ProgramStep['attributes'] {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, typeof value === 'boolean' ? Number(value) : value]),
  );
}

/** Shapes of all values of a program, in their order, for a plan. @throws ERR_SHAPE when one is not known */
export function concreteShapes(
  origins: readonly BuilderValue[],
  shapeOf: (value: BuilderValue) => TensorType['shape'],
): number[][] {
  return origins.map((origin) => {
    const shape = origin.image === undefined ? shapeOf(origin) : channelsLast(shapeOf(origin.image));
    if (!isConcrete(shape)) throw new RepconvError('ERR_SHAPE', `program: shape [${shape.join(',')}] is not known`);
    return [...shape];
  });
}

/** [N, C, H, W] → [N, H, W, C] */
export function channelsLast([N, C, H, W]: Shape): Shape {
  return [N, H, W, C];
}

/**
 * Builds programs: operators become native steps as their rows in `steps/` say, each value in the layout its readers
 * need.
 *
 * Images are nhwc around everything that slides a window over them, and plain where nothing does; element-by-element
 * steps take what they find. A value that is wanted in the other layout gets a conversion step, once.
 */
import { RepconvError } from '../errors.js';
import type { TensorType } from '../ops/operator.js';
import { isConcrete } from '../tensor/shape.js';
import type { AnyTensor, Tensor } from '../tensor/tensor.js';
import type { Layout, Program, ProgramStep, ProgramValue } from './program.js';
import { type Application, type BuilderValue, channelsLast, type StepWriter } from './steps/step.js';
import { stepOf } from './steps/steps.js';

/** What becomes of a byte x of channel c: (x / 255 − mean[c]) / std[c], rounded to float32 after each operation. */
export interface Normalization {
  readonly mean: Tensor;
  readonly std: Tensor;
}

const noValue = -1;

export class ProgramBuilder implements StepWriter {
  readonly #values: ProgramValue[] = [];
  /** The value each program value stands for: plans take their shapes from there. */
  readonly #origins: BuilderValue[] = [];
  readonly #steps: ProgramStep[] = [];
  readonly #inputs: number[] = [];
  readonly #outputs: number[] = [];
  readonly #places = new Map<BuilderValue, Places>();

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
    stepOf(application.operator).emit(this, application);
  }

  /** The program value for reading `value` in `layout`; −1 for an absent optional input. */
  read(value: BuilderValue | null | undefined, layout: Layout): number {
    if (value == null) return noValue;
    const found = (this.#places.get(value) ?? nowhere)[layout];
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
    this.#places.set(value, { ...(this.#places.get(value) ?? nowhere), [layout]: index });
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

/** The program values that hold a value, by layout. */
type Places = Readonly<Record<Layout, number | undefined>>;
const nowhere: Places = { plain: undefined, nhwc: undefined };

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

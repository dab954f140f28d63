/**
 * What an operator is: a name, what it reads, how its options are completed, a rule for the types of its results, what
 * it costs, and a plain reference in float64.
 *
 * An operator is a value, not a class: native code, recorder, affine reading and ONNX export look it up by identity or
 * name and add their own meaning beside it. The reference is the oracle of every test, so it is written to be read, not
 * to be fast.
 */
import { wholeNumber } from '../checks.js';
import { RepconvError } from '../errors.js';
import { optionsOf } from '../options.js';
import type { DType } from '../tensor/dtype.js';
import type { Extent } from '../tensor/extent.js';
import { maxRank, type Shape, showShape } from '../tensor/shape.js';
import type { Tensor } from '../tensor/tensor.js';

/** The type of a value in a graph: number format and shape, extents possibly symbolic. */
export interface TensorType {
  /** Number format. */
  readonly dtype: DType;
  /** Extents, outermost first; letters for those that are known later. */
  readonly shape: Shape;
}

/** Types of the inputs; `null` where an optional input is absent. */
export type InputTypes = readonly (TensorType | null)[];
/** Inputs of a reference; `null` where an optional input is absent. */
export type ReferenceInputs = readonly (Tensor<'float64'> | null)[];

/** The attributes of an operator that has none. */
export type NoAttributes = Record<never, never>;

/** One input of an operator, by its name in messages. */
export interface OperatorInput {
  readonly name: string;
  readonly isOptional?: true;
  /** Whether it belongs to a layer, and no run changes it: a session packs it once. */
  readonly isParameter?: true;
  /** Whether any number of values may stand here. */
  readonly isList?: true;
}

/**
 * Whether two extents that are written differently may be taken as equal from here on; whoever says so sees to it that
 * they are, once they are numbers.
 */
export type Assume = (a: Extent, b: Extent) => boolean;

/** One meaning, with complete attributes of type `A`, made of options `O` as a person writes them. */
// biome-ignore lint/suspicious/noExplicitAny: a table of operators holds operators of all attribute types
export interface Operator<A extends object = any, O = any> {
  /** Its name: a word of `Ops`, or what `Ops.apply` takes. */
  readonly name: string;
  /** What it reads, in order. @internal */
  readonly inputs: readonly OperatorInput[];
  /** Checks options and completes them. @throws ERR_INPUT @internal */
  complete(options?: O): A;
  /**
   * Types of the results. Extents that have to be equal and are not written so are refused, unless `assume` takes them.
   * @throws ERR_SHAPE, ERR_INPUT naming operator, expected and received
   * @internal
   */
  infer(inputs: InputTypes, attributes: A, assume?: Assume): TensorType[];
  /** The results in float64. The inputs have passed `infer`. @internal */
  reference(inputs: ReferenceInputs, attributes: A): Tensor<'float64'>[];
  /**
   * Multiply-accumulates, as the papers count them: those of convolutions and linear layers. NaN where extents are not
   * known.
   * @internal
   */
  macs?(inputs: InputTypes, outputs: readonly TensorType[]): number;
}

/** {@link Operator.complete} of an operator that takes no options. @throws ERR_INPUT */
export function withoutOptions(operation: string): (options?: NoAttributes) => NoAttributes {
  return (options) => optionsOf(options, {}, operation);
}

/** Whether an input of the operator is a parameter. */
export function isParameter(operator: Operator, index: number): boolean {
  return operator.inputs[index]?.isParameter === true;
}

/** How many elements a value has; NaN where an extent is not known. */
export function elementsOf({ shape }: TensorType): number {
  return shape.reduce<number>((count, extent) => count * (typeof extent === 'number' ? extent : Number.NaN), 1);
}

/** An input that must be there. @throws ERR_INPUT */
export function required(inputs: InputTypes, index: number, operation: string, role: string): TensorType {
  const input = inputs[index];
  if (input == null) throw new RepconvError('ERR_INPUT', `${operation}: ${role} is missing`);
  return input;
}

/** An input that must be there and have `rank` axes. @throws ERR_INPUT, ERR_SHAPE */
export function requiredRank(
  inputs: InputTypes,
  index: number,
  rank: number,
  operation: string,
  role: string,
): TensorType {
  const input = required(inputs, index, operation, role);
  if (input.shape.length !== rank)
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: ${role} expects ${rank} axes, got ${input.shape.length} (${showShape(input.shape)})`,
    );
  return input;
}

/** A per-channel input: absent, or of shape [channels]. @throws ERR_SHAPE */
export function checkPerChannel(
  inputs: InputTypes,
  index: number,
  channels: Extent,
  operation: string,
  role: string,
): void {
  const input = inputs[index];
  if (input == null) return;
  if (input.shape.length !== 1 || input.shape[0] !== channels) {
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: ${role} expects shape [${channels}], got ${showShape(input.shape)}`,
    );
  }
}

/** An extent that must be known when the graph is built. @throws ERR_SHAPE */
export function concreteExtent(type: TensorType, axis: number, operation: string, role: string): number {
  const extent = type.shape[axis];
  if (typeof extent !== 'number')
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: ${role} needs a known extent on axis ${axis}, got ${showShape(type.shape)}`,
    );
  return extent;
}

/** An image of no height or width has nothing to slide a window over; an empty batch is fine. @throws ERR_SHAPE */
export function checkHasPixels(input: TensorType, operation: string): void {
  if (input.shape[2] === 0 || input.shape[3] === 0)
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: input expects at least one pixel, got ${showShape(input.shape)}`,
    );
}

/** What may be an axis, before it is known of how many. @throws ERR_INPUT */
export function axisNumber(axis: unknown, what: string): number {
  return wholeNumber(axis, what, -maxRank, maxRank - 1);
}

/** An axis counted from the front or, when negative, from the back. @throws ERR_INPUT */
export function checkedAxis(axis: number, rank: number, operation: string, lastAllowed: number = rank - 1): number {
  const counted = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || counted < 0 || counted > lastAllowed) {
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: axis expects a whole number from ${-rank} to ${lastAllowed}, got ${axis} (${rank} axes)`,
    );
  }
  return counted;
}

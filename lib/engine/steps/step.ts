/**
 * What a row of `engine/steps/` is: how one operator becomes a native step, in which layouts it reads and writes, and
 * what may be done to its result on the way to memory.
 */
import type { Operator, TensorType } from '../../ops/operator.js';
import { type Shape, sameShape } from '../../tensor/shape.js';
import type { AnyTensor } from '../../tensor/tensor.js';
import type { Layout, ProgramStep } from '../program.js';

/** What steps need to know of a value; values of a graph are such. */
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

/** The program under construction, as rows see it. */
export interface StepWriter {
  /** The program value for reading `value` in `layout`; −1 for an absent one. */
  read(value: BuilderValue | null | undefined, layout: Layout): number;
  /** A program value for a result that is written in `layout`. */
  write(value: BuilderValue, layout: Layout): number;
  /** Whether `value` already exists as nhwc. */
  isNhwc(value: BuilderValue | null | undefined): boolean;
  step(
    operation: string,
    label: string,
    inputs: readonly number[],
    outputs: readonly number[],
    attributes?: ProgramStep['attributes'],
  ): void;
}

/** Types of what an application reads and makes. */
export interface ApplicationTypes {
  readonly inputs: readonly (TensorType | null)[];
  readonly output: TensorType;
}

/** How native code knows an activation. */
export interface Activation {
  readonly activation: string;
  readonly alpha?: number;
}

/** One operator as a native step. */
export interface Step {
  emit(writer: StepWriter, application: Application): void;
  /** Whether a value of the result's shape may be added to it on the way to memory; absent: never. */
  takesResidual?(types: ApplicationTypes): boolean;
  /** Whether an activation may be applied to it there; absent: never. */
  takesActivation?(types: ApplicationTypes): boolean;
  /** What it is where it is itself the activation of another step; absent where it cannot be. */
  asActivation?(attributes: never): Activation;
}

/** Images keep their layout, and have epilogues that plain values, which broadcast freely, have not. */
export function isImage({ shape }: TensorType): boolean {
  return shape.length === 4;
}

/** Whether `small` is [N or 1, C, 1, 1] beside the image `big`. */
function isPerChannel({ shape: small }: TensorType, { shape: big }: TensorType): boolean {
  return (
    small.length === 4 &&
    big.length === 4 &&
    (small[0] === 1 || small[0] === big[0]) &&
    small[1] === big[1] &&
    small[2] === 1 &&
    small[3] === 1
  );
}

/** Whether two values can be combined image by image: of one shape, or one number per channel beside an image. */
export function fitsImage(small: TensorType, big: TensorType): boolean {
  return isImage(big) && (sameShape(small.shape, big.shape) || isPerChannel(small, big));
}

/** [N, C, H, W] → [N, H, W, C] */
export function channelsLast([N, C, H, W]: Shape): Shape {
  return [N, H, W, C];
}

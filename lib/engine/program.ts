/**
 * A program: the one thing that crosses to native code. Plain data: values with dtype and layout, constants, and steps
 * in order.
 *
 * Native code (native/addon/program_reader.cc) checks it once, chooses an algorithm for each step, packs the constants,
 * and then runs it any number of times.
 */
/**
 * `plain`: dense row-major. `nhwc`: an image stored pixel by pixel, with a border of zeros where its readers want one
 * (native/ops/types.h).
 */
export type Layout = 'plain' | 'nhwc';

export interface ProgramValue {
  /** `uint8`: decoded images, as an input. */
  readonly dtype: 'float32' | 'float64' | 'uint8';
  readonly layout: Layout;
  /** The shape of a constant; those of other values come with each plan. */
  readonly shape?: readonly number[];
  /** Makes the value a constant. */
  readonly data?: Float32Array | Float64Array;
  /** Whether nobody but the program has the constant's memory: native code may read it later without a copy. */
  readonly isPrivate?: boolean;
}

export interface ProgramStep {
  /** Name in native/ops/registry.cc. */
  readonly operation: string;
  /** For people: which layer of the model. */
  readonly label: string;
  /** Indices of values; −1 where an optional input is absent. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly attributes: Readonly<Record<string, number | string | readonly number[] | Int32Array>>;
}

export interface Program {
  readonly values: readonly ProgramValue[];
  readonly steps: readonly ProgramStep[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

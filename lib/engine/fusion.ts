/** The arithmetic of folding on the native side: programs of one step over kernels (native/ops/fusion.cc). */
import { Tensor } from '../tensor/tensor.js';
import { nativeAddon } from './addon.js';
import { nativeOptions } from './eager.js';
import type { Program, ProgramStep } from './program.js';

/** Formats in which kernels lie in memory; computing is in float64. */
export type KernelDType = 'float64' | 'float32';

/** What is to be computed. */
export interface KernelStep<D extends KernelDType> {
  readonly operation: 'scaleChannels' | 'placeTaps' | 'contractChannels' | 'isFinite';
  /** All are constants of the program; null where one is absent. */
  readonly inputs: readonly (Tensor<KernelDType> | null)[];
  /** The shape of the result. */
  readonly shape: readonly number[];
  readonly dtype: D;
  readonly attributes: ProgramStep['attributes'];
  /** Numbers it passes over, or multiply-adds. */
  readonly work: number;
}

/** One step, computed here and now. */
export function foldKernels<D extends KernelDType>({
  operation,
  inputs,
  shape,
  dtype,
  attributes,
  work,
}: KernelStep<D>): Tensor<D> {
  const result = new Tensor(dtype, shape);
  const present = inputs.filter((input) => input !== null);
  const program: Program = {
    values: [
      ...present.map(
        (input) => ({ dtype: input.dtype, layout: 'plain', shape: input.shape, data: input.data }) as const,
      ),
      { dtype, layout: 'plain' },
    ],
    steps: [
      {
        operation,
        label: operation,
        inputs: inputs.map((input) => (input === null ? -1 : present.indexOf(input))),
        outputs: [present.length],
        attributes,
      },
    ],
    inputs: [],
    outputs: [present.length],
  };
  const options = nativeOptions(work < alone ? { threads: 1 } : {});
  nativeAddon().execute(program, [...present.map((input) => input.shape), shape], [], [result.data], options);
  return result;
}

/**
 * Work that one thread does alone. Waking another takes 30 µs, in which one thread scales 100 000 numbers; what is as
 * fast as memory gains little even above a million (EPYC, Zen 5, two cores).
 */
const alone = 2 ** 20;

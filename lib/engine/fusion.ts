/** The arithmetic of folding on the native side: programs of one step over float64 kernels (native/ops/fusion.cc). */
import { Tensor } from '../tensor/tensor.js';
import { callNative } from './addon.js';
import { nativeOptions } from './eager.js';
import type { Program, ProgramStep } from './program.js';

/** One step over float64 tensors. All inputs are constants of the program; null where one is absent. */
export function foldKernels(
  operation: 'scaleChannels' | 'placeTaps' | 'contractChannels',
  inputs: readonly (Tensor<'float64'> | null)[],
  shape: readonly number[],
  attributes: ProgramStep['attributes'],
): Tensor<'float64'> {
  const result = new Tensor('float64', shape);
  const present = inputs.filter((input) => input !== null);
  const program: Program = {
    values: [
      ...present.map((input) => ({ dtype: 'float64', layout: 'plain', shape: input.shape, data: input.data }) as const),
      { dtype: 'float64', layout: 'plain' },
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
  callNative((addon) => addon.execute(program, [...present.map((input) => input.shape), shape], [], [result.data], nativeOptions()));
  return result;
}

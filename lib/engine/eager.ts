/**
 * The native reading: every word computes at once, as a program of one operator that is run and thrown away.
 *
 * Weights are packed by each call (a user may write into `tensor.data` at any time); whoever runs a network often
 * compiles it.
 */
import { debugSettings } from '../debug.js';
import { RepconvError } from '../errors.js';
import { conv2d } from '../ops/conv/conv2d.js';
import { pad } from '../ops/move/pad.js';
import { isParameter, type Operator } from '../ops/operator.js';
import { type Ops, type Reading, vocabulary } from '../ops/vocabulary.js';
import { sameShape, showShape } from '../tensor/shape.js';
import { type AnyTensor, checkIntact, isTensor, setNumbers, Tensor } from '../tensor/tensor.js';
import { type NativeOptions, nativeAddon } from './addon.js';
import { concreteShapes, ProgramBuilder } from './programBuilder.js';
import type { BuilderValue } from './steps/step.js';

/** The words over float32 tensors, computed by the addon. Options left empty follow the environment variables. */
export function nativeOps(options: Partial<NativeOptions> = {}): Ops<Tensor> {
  return vocabulary(nativeReading(options));
}

/** The reading behind {@link nativeOps}. */
export function nativeReading(options: Partial<NativeOptions> = {}): Reading<Tensor> {
  return {
    isValue: (value): value is Tensor => isTensor(value),
    lift: (tensor) => (tensor.dtype === 'float32' ? (tensor as Tensor) : tensor.to('float32')),
    commit: copyInto,
    apply: (operator, inputs, attributes) => applyNative(operator, inputs, attributes, nativeOptions(options)),
  };
}

/** Options with what the environment variables say where the caller says nothing. */
export function nativeOptions(options: Partial<Omit<NativeOptions, 'poolThreads'>> = {}): NativeOptions {
  const { isa, conv, threads } = debugSettings();
  return { isa, conv, threads, poolThreads: threads, precision: '', ...options };
}

function applyNative(
  operator: Operator,
  inputs: readonly (Tensor | null)[],
  attributes: object,
  options: NativeOptions,
): Tensor[] {
  for (const input of inputs) if (input !== null) checkReadable(input, operator);
  const types = operator.infer(inputs, attributes);
  if (operator === conv2d) {
    const { padding, paddingMode, ...rest } = attributes as { padding: readonly number[]; paddingMode: string };
    if (paddingMode !== 'zeros') {
      const [padded] = applyNative(pad, [inputs[0]], { padding, mode: paddingMode, value: 0 }, options);
      return applyNative(
        conv2d,
        [padded, ...inputs.slice(1)],
        { ...rest, padding: [0, 0, 0, 0], paddingMode: 'zeros' },
        options,
      );
    }
  }
  const builder = new ProgramBuilder();
  // Parameters are constants of the one-step program.
  const isVarying = (index: number): boolean => !isParameter(operator, index);
  const values = inputs.map(
    (input, index): BuilderValue | null => input && { type: input, constant: isVarying(index) ? undefined : input },
  );
  const varying = inputs.flatMap((input, index) =>
    input !== null && isVarying(index) ? [{ input, value: values[index] as BuilderValue }] : [],
  );
  const outputs = types.map((type): BuilderValue => ({ type }));
  for (const { value } of varying) builder.input(value);
  builder.apply({ operator, inputs: values, outputs, attributes, label: operator.name });
  for (const output of outputs) builder.output(output);
  const { program, origins } = builder.build();
  const shapes = concreteShapes(origins, (value) => value.type.shape);
  const results = types.map((type) => new Tensor('float32', type.shape as number[]));
  nativeAddon().execute(
    program,
    shapes,
    varying.map(({ input }) => input.data),
    results.map((result) => result.data),
    options,
  );
  return results;
}

/** Guard of every native call: float32, in memory that is still there. @throws ERR_INPUT, ERR_UNSUPPORTED */
function checkReadable(tensor: AnyTensor, operator: { name: string }): void {
  if (tensor.dtype !== 'float32') {
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${operator.name}: computes in float32, got ${tensor.dtype}; convert with .to('float32'), or use referenceForward`,
    );
  }
  checkIntact(tensor, () => `${operator.name}: ${showShape(tensor.shape)}`);
}

function copyInto(buffer: AnyTensor, value: Tensor): void {
  if (!sameShape(buffer.shape, value.shape))
    throw new RepconvError(
      'ERR_SHAPE',
      `commit: value expects the shape of its buffer, ${showShape(buffer.shape)}, got ${showShape(value.shape)}`,
    );
  setNumbers(buffer, value.to(buffer.dtype).data);
}

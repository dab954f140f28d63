/**
 * batchNorm (evaluation): y = (x − μ) / √(σ² + ε) · γ + β per channel, with running statistics. Ioffe and Szegedy 2015,
 * section 3.1.
 *
 * input [N, C, …], weight γ and bias β [C] or none (1 and 0), running mean μ and variance σ² [C].
 */
import { finiteNumber } from '../../checks.js';
import { RepconvError } from '../../errors.js';
import { optionsOf } from '../../options.js';
import { sizeOf } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { checkPerChannel, type InputTypes, type Operator, required, type TensorType } from '../operator.js';

export interface BatchNormAttributes {
  readonly eps: number;
}

function batchNormAttributes(options: { eps?: number } = {}): BatchNormAttributes {
  const { eps } = optionsOf(options, { eps: 1e-5 }, 'batchNorm');
  return { eps: finiteNumber(eps, 'batchNorm: eps', 0) };
}

export const batchNorm: Operator<BatchNormAttributes> = {
  name: 'batchNorm',
  inputs: [
    { name: 'input' },
    { name: 'weight', isParameter: true, isOptional: true },
    { name: 'bias', isParameter: true, isOptional: true },
    { name: 'running mean', isParameter: true },
    { name: 'running variance', isParameter: true },
  ],
  complete: batchNormAttributes,

  infer(inputs) {
    const input = checkBatchNormInputs(inputs, 'batchNorm');
    required(inputs, 3, 'batchNorm', 'running mean');
    required(inputs, 4, 'batchNorm', 'running variance');
    return [input];
  },

  reference(inputs, { eps }) {
    type T = Tensor<'float64'>;
    const [input, weight, bias, mean, variance] = inputs as [T, T | null, T | null, T, T];
    return [normalized(input, mean.data, variance.data, eps, weight, bias)];
  },
};

/**
 * The formula itself. The mean is taken off first, not folded into a constant, which would cancel digits where |μ| ≫ σ.
 */
export function normalized(
  input: Tensor<'float64'>,
  mean: Float64Array,
  variance: Float64Array,
  eps: number,
  weight: Tensor<'float64'> | null,
  bias: Tensor<'float64'> | null,
): Tensor<'float64'> {
  const scale = variance.map((v, c) => (weight ? weight.data[c] : 1) / Math.sqrt(v + eps));
  return mapChannels(input, (x, c) => (x - mean[c]) * scale[c] + (bias ? bias.data[c] : 0));
}

/** Every element through a function that knows its channel. */
export function mapChannels(input: Tensor<'float64'>, apply: (x: number, c: number) => number): Tensor<'float64'> {
  const [channels, perChannel] = [input.shape[1], sizeOf(input.shape.slice(2))];
  return new Tensor(
    'float64',
    input.shape,
    input.data.map((x, i) => apply(x, Math.floor(i / perChannel) % channels)),
  );
}

/** The rules both forms share: at least [N, C], and [C] everywhere else. */
export function checkBatchNormInputs(inputs: InputTypes, operation: string): TensorType {
  const input = required(inputs, 0, operation, 'input');
  if (input.shape.length < 2)
    throw new RepconvError('ERR_SHAPE', `${operation}: input expects at least 2 axes, got ${input.shape.length}`);
  for (const [index, role] of ['', 'weight', 'bias', 'running mean', 'running variance'].entries()) {
    if (index > 0) checkPerChannel(inputs, index, input.shape[1], operation, role);
  }
  return input;
}

/**
 * batchNorm (evaluation): y = (x − μ) / √(σ² + ε) · γ + β per channel, with running statistics. Ioffe and Szegedy 2015, section 3.1.
 *
 * input [N, C, …], weight γ and bias β [C] or none (1 and 0), running mean μ and variance σ² [C].
 */
import { RepconvError } from '../errors.js';
import { sizeOf } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { checkPerChannel, type InputTypes, type Operator, required } from './operator.js';

export interface BatchNormAttributes {
  readonly eps: number;
}

export function batchNormAttributes({ eps = 1e-5 }: { eps?: number } = {}): BatchNormAttributes {
  if (!(eps >= 0 && Number.isFinite(eps)))
    throw new RepconvError('ERR_INPUT', `batchNorm: eps expects a finite number of at least 0, got ${eps}`);
  return { eps };
}

export const batchNorm: Operator<BatchNormAttributes> = {
  name: 'batchNorm',

  infer(inputs) {
    const input = checkBatchNormInputs(inputs, 'batchNorm');
    required(inputs, 3, 'batchNorm', 'running mean');
    required(inputs, 4, 'batchNorm', 'running variance');
    return [input];
  },

  reference([input, weight, bias, mean, variance], { eps }) {
    const scale = mean?.data.map(
      (_, c) => (weight ? weight.data[c] : 1) / Math.sqrt((variance as Tensor<'float64'>).data[c] + eps),
    ) as Float64Array;
    const shift = scale.map((t, c) => (bias ? bias.data[c] : 0) - (mean as Tensor<'float64'>).data[c] * t);
    return [scaledChannels(input as Tensor<'float64'>, scale, shift)];
  },
};

/** x·scale[c] + shift[c]. */
export function scaledChannels(input: Tensor<'float64'>, scale: Float64Array, shift: Float64Array): Tensor<'float64'> {
  const perChannel = sizeOf(input.shape.slice(2));
  return new Tensor(
    'float64',
    input.shape,
    input.data.map((x, i) => {
      const c = Math.floor(i / perChannel) % scale.length;
      return x * scale[c] + shift[c];
    }),
  );
}

/** The rules both forms share: at least [N, C], and [C] everywhere else. */
export function checkBatchNormInputs(inputs: InputTypes, operation: string): { dtype: 'float32'; shape: readonly (number | string)[] } {
  const input = required(inputs, 0, operation, 'input');
  if (input.shape.length < 2) throw new RepconvError('ERR_SHAPE', `${operation}: input expects at least 2 axes, got ${input.shape.length}`);
  for (const [index, role] of ['', 'weight', 'bias', 'running mean', 'running variance'].entries()) {
    if (index > 0) checkPerChannel(inputs, index, input.shape[1], operation, role);
  }
  return input as { dtype: 'float32'; shape: readonly (number | string)[] };
}

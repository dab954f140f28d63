/**
 * batchNormTraining: normalizes by the batch's own mean and (biased) variance, and returns the running statistics as they are afterwards.
 *
 *     running ← (1 − momentum) · running + momentum · batch        with the unbiased variance n/(n − 1) · σ²
 *
 * A pure operator: whoever calls it decides what becomes of the new statistics. Outputs: y, running mean, running variance (the latter two zero-sized
 * where none are tracked). An empty batch leaves the statistics alone.
 */
import { RepconvError } from '../errors.js';
import { isConcrete, showShape, sizeOf } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { batchNormAttributes, checkBatchNormInputs, scaledChannels } from './batchNorm.js';
import type { Operator } from './operator.js';

export interface BatchNormTrainingAttributes {
  readonly eps: number;
  /** Weight of this batch in the running statistics; PyTorch's `momentum`, or 1 / (batches seen) where that is None. */
  readonly momentum: number;
}

export function batchNormTrainingAttributes({
  eps = 1e-5,
  momentum = 0.1,
}: {
  eps?: number;
  momentum?: number;
} = {}): BatchNormTrainingAttributes {
  if (!Number.isFinite(momentum))
    throw new RepconvError('ERR_INPUT', `batchNormTraining: momentum expects a finite number, got ${momentum}`);
  return { ...batchNormAttributes({ eps }), momentum };
}

export const batchNormTraining: Operator<BatchNormTrainingAttributes> = {
  name: 'batchNormTraining',

  infer(inputs) {
    const input = checkBatchNormInputs(inputs, 'batchNormTraining');
    const { shape } = input;
    if (isConcrete(shape) && sizeOf(shape) === shape[1]) {
      throw new RepconvError('ERR_SHAPE', `batchNormTraining: expects more than one value per channel, got input ${showShape(shape)}`);
    }
    const statistics = { dtype: input.dtype, shape: [inputs[3] ? shape[1] : 0] };
    return [input, statistics, statistics];
  },

  reference([input, weight, bias, runningMean, runningVariance], { eps, momentum }) {
    const x = input as Tensor<'float64'>;
    const [N, C] = x.shape;
    const perChannel = sizeOf(x.shape.slice(2));
    const count = N * perChannel;
    const mean = channelSums(x, (value) => value).map((sum) => sum / count);
    const variance = channelSums(x, (value, c) => (value - mean[c]) ** 2).map((sum) => sum / count);
    const scale = variance.map((v, c) => (weight ? weight.data[c] : 1) / Math.sqrt(v + eps));
    const shift = scale.map((t, c) => (bias ? bias.data[c] : 0) - mean[c] * t);
    const updated = (running: Tensor<'float64'> | null, batch: Float64Array): Tensor<'float64'> =>
      new Tensor(
        'float64',
        [running ? C : 0],
        running ? running.data.map((r, c) => (count === 0 ? r : (1 - momentum) * r + momentum * batch[c])) : undefined,
      );
    return [
      scaledChannels(x, scale, shift),
      updated(runningMean, mean),
      updated(
        runningVariance,
        variance.map((v) => (v * count) / (count - 1)),
      ),
    ];
  },
};

function channelSums(x: Tensor<'float64'>, term: (value: number, c: number) => number): Float64Array {
  const perChannel = sizeOf(x.shape.slice(2));
  const sums = new Float64Array(x.shape[1]);
  x.data.forEach((value, i) => {
    const c = Math.floor(i / perChannel) % sums.length;
    sums[c] += term(value, c);
  });
  return sums;
}

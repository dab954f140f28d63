/**
 * batchNormTraining: normalizes by the batch's own mean and (biased) variance, and returns the running statistics as
 * they are afterwards.
 *
 *     running ← (1 − momentum) · running + momentum · batch        with the unbiased variance n/(n − 1) · σ²
 *
 * A pure operator: whoever calls it decides what becomes of the new statistics. Outputs: y, running mean, running
 * variance (the latter two zero-sized where none are tracked). An empty batch leaves the statistics alone.
 */
import { finiteNumber } from '../../checks.js';
import { RepconvError } from '../../errors.js';
import { optionsOf } from '../../options.js';
import { showShape, sizeOf } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { type Operator, required } from '../operator.js';
import { checkBatchNormInputs, mapChannels, normalized } from './batchNorm.js';

export interface BatchNormTrainingAttributes {
  readonly eps: number;
  /** Weight of this batch in the running statistics; PyTorch's `momentum`, or 1 / (batches seen) where that is None. */
  readonly momentum: number;
}

function batchNormTrainingAttributes(options: { eps?: number; momentum?: number } = {}): BatchNormTrainingAttributes {
  const { eps, momentum } = optionsOf(options, { eps: 1e-5, momentum: 0.1 }, 'batchNormTraining');
  return {
    eps: finiteNumber(eps, 'batchNormTraining: eps', 0),
    momentum: finiteNumber(momentum, 'batchNormTraining: momentum'),
  };
}

export const batchNormTraining: Operator<BatchNormTrainingAttributes> = {
  name: 'batchNormTraining',
  inputs: [
    { name: 'input' },
    { name: 'weight', isOptional: true },
    { name: 'bias', isOptional: true },
    { name: 'running mean', isOptional: true },
    { name: 'running variance', isOptional: true },
  ],
  complete: batchNormTrainingAttributes,

  infer(inputs) {
    const input = checkBatchNormInputs(inputs, 'batchNormTraining');
    const { shape } = input;
    if (inputs[3] || inputs[4]) {
      required(inputs, 3, 'batchNormTraining', 'running mean');
      required(inputs, 4, 'batchNormTraining', 'running variance');
    }
    if (shape[0] === 1 && shape.slice(2).every((extent) => extent === 1)) {
      throw new RepconvError(
        'ERR_SHAPE',
        `batchNormTraining: expects more than one value per channel, got input ${showShape(shape)}`,
      );
    }
    const statistics = { dtype: input.dtype, shape: [inputs[3] ? shape[1] : 0] };
    return [input, statistics, statistics];
  },

  reference(inputs, { eps, momentum }) {
    type T = Tensor<'float64'>;
    const [input, weight, bias, runningMean, runningVariance] = inputs as [T, T | null, T | null, T | null, T | null];
    const count = input.shape[0] * sizeOf(input.shape.slice(2));
    // The mean in two steps: a float64 far from zero holds it to a digit that small deviations would show, what is left
    // after the first is exact.
    const rough = channelMeans(input, count);
    const x = mapChannels(input, (value, c) => value - rough[c]);
    const rest = channelMeans(x, count);
    const variance = channelMeans(
      mapChannels(x, (value, c) => (value - rest[c]) ** 2),
      count,
    );
    const updated = (running: T | null, batch: (c: number) => number): T =>
      new Tensor(
        'float64',
        [running ? running.size : 0],
        running?.data.map((r, c) => (count === 0 ? r : (1 - momentum) * r + momentum * batch(c))),
      );
    return [
      normalized(x, rest, variance, eps, weight, bias),
      updated(runningMean, (c) => rough[c] + rest[c]),
      updated(runningVariance, (c) => (variance[c] * count) / (count - 1)),
    ];
  },
};

function channelMeans(x: Tensor<'float64'>, count: number): Float64Array {
  const perChannel = sizeOf(x.shape.slice(2));
  const sums = new Float64Array(x.shape[1]);
  x.data.forEach((value, i) => {
    sums[Math.floor(i / perChannel) % sums.length] += value;
  });
  return sums.map((sum) => sum / count);
}

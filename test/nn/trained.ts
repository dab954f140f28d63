/**
 * Modules as if they had been trained: no number of a fresh layer is left, above all no fresh statistics, which hide
 * most faults of folding.
 */
import { BatchNorm2d, Conv2d, ConvTranspose2d, Linear, type Module, PReLU } from '../../lib/index.js';
import { Random, rand, randn } from '../../lib/tensor/random.js';
import type { AnyTensor } from '../../lib/tensor/tensor.js';

/**
 * Fills all parameters and statistics from `seed`, and sets evaluation mode. Scales have either sign, means are off 0,
 * variances off 1.
 */
export function trained<M extends Module>(model: M, seed = 1): M {
  const generator = new Random(seed);
  const normal = (tensor: AnyTensor | null, deviation: number, mean = 0): void => {
    if (tensor !== null)
      put(tensor, randn(tensor.shape, { generator, dtype: 'float64' }).data, (z) => mean + deviation * z);
  };
  for (const [, module] of model.namedModules()) {
    if (module instanceof Conv2d || module instanceof ConvTranspose2d || module instanceof Linear) {
      normal(module.weight, (module.weight.shape[0] / module.weight.size) ** 0.5);
      normal(module.bias, 0.5);
    }
    if (module instanceof PReLU) normal(module.stateDict().get('weight') as AnyTensor, 0.3);
    if (module instanceof BatchNorm2d) {
      normal(module.weight, 0.4, 0.8);
      normal(module.bias, 0.5);
      normal(module.runningMean, 0.5);
      const variance = module.runningVariance;
      if (variance !== null)
        put(variance, rand(variance.shape, { low: 0.2, high: 2.2, generator, dtype: 'float64' }).data);
    }
  }
  return model.eval();
}

/**
 * Statistics of a deep network from data, a momentum's way each time, so that its numbers neither vanish nor overflow.
 */
export function settled<M extends Module>(model: M, shape: readonly number[], seed = 1, batches = 4): M {
  const generator = new Random(seed);
  const norms = [...model.namedModules()].flatMap(([, module]) => (module instanceof BatchNorm2d ? [module] : []));
  for (const norm of norms) norm.momentum = 0.5;
  trained(model, seed).train();
  for (let i = 0; i < batches; i++) model.forward(randn(shape, { generator }));
  for (const norm of norms) norm.momentum = 0.1;
  return model.eval();
}

function put(tensor: AnyTensor, values: Float64Array, change = (value: number): number => value): void {
  (tensor.data as Float64Array).set(values.map(change));
}

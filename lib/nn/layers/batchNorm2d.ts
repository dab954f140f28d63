import { finiteNumber, flag } from '../../checks.js';
import type { Ops } from '../../ops/vocabulary.js';
import { optionsOf } from '../../options.js';
import { type AnyTensor, ones, Tensor, zeros } from '../../tensor/tensor.js';
import { Module } from '../module.js';
import { pythonBool, pythonFloat } from '../python.js';
import { channels } from './conv2d.js';

/** PyTorch's options of the layer, in our spelling and with its defaults. */
export interface BatchNorm2dOptions {
  /** Added to the variance; default 1e-5. */
  eps?: number;
  /** Weight of each batch in the running statistics, default 0.1; null averages over all batches seen. */
  momentum?: number | null;
  /** Whether there are a scale and a shift per channel; default true. */
  affine?: boolean;
  /** Default true; without `affine` there is none. */
  bias?: boolean;
  /** Default true. */
  trackRunningStats?: boolean;
}

const defaults = { eps: 1e-5, momentum: 0.1, affine: true, bias: true, trackRunningStats: true } as const;

/**
 * Batch norm over [N, C, H, W]. Keys: `weight` and `bias` (if affine), `running_mean`, `running_var`,
 * `num_batches_tracked` (if statistics are tracked). In training mode, and without statistics always, it normalizes by
 * the batch's own.
 */
export class BatchNorm2d extends Module {
  readonly numFeatures: number;
  eps: number;
  momentum: number | null;
  readonly affine: boolean;
  readonly trackRunningStats: boolean;

  /** @throws ERR_INPUT */
  constructor(numFeatures: number, options: BatchNorm2dOptions = {}) {
    super();
    const { eps, momentum, affine, bias, trackRunningStats } = optionsOf(options, defaults, 'BatchNorm2d');
    this.numFeatures = channels(numFeatures, 'BatchNorm2d', 'numFeatures');
    this.eps = finiteNumber(eps, 'BatchNorm2d: eps', 0);
    this.momentum = momentum === null ? null : finiteNumber(momentum, 'BatchNorm2d: momentum');
    this.affine = flag(affine, 'BatchNorm2d: affine');
    this.trackRunningStats = flag(trackRunningStats, 'BatchNorm2d: trackRunningStats');
    flag(bias, 'BatchNorm2d: bias');
    if (affine) {
      this.parameter('weight', ones([numFeatures]));
      if (bias) this.parameter('bias', zeros([numFeatures]));
    }
    if (trackRunningStats) {
      this.buffer('running_mean', zeros([numFeatures]));
      this.buffer('running_var', ones([numFeatures]));
      this.buffer('num_batches_tracked', zeros([], 'int64'));
    }
  }

  get weight(): AnyTensor | null {
    return this.tensor('weight');
  }

  get bias(): AnyTensor | null {
    return this.tensor('bias');
  }

  get runningMean(): AnyTensor | null {
    return this.tensor('running_mean');
  }

  get runningVariance(): AnyTensor | null {
    return this.tensor('running_var');
  }

  /** Batches that the running statistics have seen; null without statistics. */
  get numBatchesTracked(): Tensor<'int64'> | null {
    return this.tensor('num_batches_tracked') as Tensor<'int64'> | null;
  }

  override compute<X>(f: Ops<X>, x: X): X {
    const lift = (tensor: AnyTensor | null): X | null => tensor && f.lift(tensor);
    const [weight, bias, runningMean, runningVariance] = [
      this.weight,
      this.bias,
      this.runningMean,
      this.runningVariance,
    ];
    if (!this.training && runningMean !== null && runningVariance !== null) {
      const parameters = {
        weight: lift(weight),
        bias: lift(bias),
        runningMean: f.lift(runningMean),
        runningVariance: f.lift(runningVariance),
      };
      return f.batchNorm(x, parameters, { eps: this.eps });
    }
    // Without tracking, the batch's statistics are used in evaluation too, and nothing is remembered.
    const seen = Number(this.numBatchesTracked?.data[0] ?? 0n) + 1;
    const parameters = {
      weight: lift(weight),
      bias: lift(bias),
      runningMean: lift(runningMean),
      runningVariance: lift(runningVariance),
    };
    const result = f.batchNormTraining(x, parameters, { eps: this.eps, momentum: this.momentum ?? 1 / seen });
    if (runningMean !== null && runningVariance !== null && this.numBatchesTracked !== null) {
      f.commit(runningMean, result.runningMean);
      f.commit(runningVariance, result.runningVariance);
      f.commit(this.numBatchesTracked, f.lift(new Tensor('float32', [], Float32Array.of(seen))));
    }
    return result.output;
  }

  protected override extraRepr(): string {
    const momentum = this.momentum === null ? 'None' : pythonFloat(this.momentum);
    return [
      `${this.numFeatures}, eps=${pythonFloat(this.eps)}, momentum=${momentum}, affine=${pythonBool(this.affine)}`,
      `bias=${pythonBool(this.bias !== null)}, track_running_stats=${pythonBool(this.trackRunningStats)}`,
    ].join(', ');
  }
}

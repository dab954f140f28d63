import { finiteNumber, flag } from '../../checks.js';
import type { Ops } from '../../ops/vocabulary.js';
import { optionsOf } from '../../options.js';
import { type AnyTensor, ones, Tensor, zeros } from '../../tensor/tensor.js';
import { Module } from '../module.js';
import { pythonBool, pythonFloat } from '../python.js';
import { channels } from './conv2d.js';

/** Options of {@link BatchNorm2d}, with PyTorch's defaults. */
export interface BatchNorm2dOptions {
  /** Added to the variance; default 1e-5. */
  eps?: number;
  /** Weight of each batch in the running statistics, default 0.1; null averages over all batches seen. */
  momentum?: number | null;
  /** Whether there are a scale and a shift per channel; default true. */
  affine?: boolean;
  /** Whether there is a shift beside the scale; default true. Without `affine` there is none. */
  bias?: boolean;
  /** Whether running statistics are kept, for evaluation mode; default true. */
  trackRunningStats?: boolean;
}

const defaults = { eps: 1e-5, momentum: 0.1, affine: true, bias: true, trackRunningStats: true } as const;

/**
 * Batch norm: (x − mean) / √(variance + eps) · weight + bias for each channel, [N, C, H, W] → [N, C, H, W]. In training
 * mode, and without running statistics always, mean and variance are the batch's own. Keys, each [C]: `weight` and
 * `bias` (if affine), `running_mean` and `running_var` (if statistics are tracked), beside `num_batches_tracked`. Ioffe
 * and Szegedy 2015 (arXiv:1502.03167).
 *
 * @example
 * ```ts
 * import { BatchNorm2d, randn } from 'repconv';
 *
 * const norm = new BatchNorm2d(4);
 * norm.forward(randn([8, 4, 6, 6])); // in training mode: running statistics change
 * console.log(norm.numBatchesTracked?.data[0]); // 1n
 * norm.eval();
 * console.log(norm.forward(randn([1, 4, 6, 6])).shape); // [ 1, 4, 6, 6 ]
 * ```
 */
export class BatchNorm2d extends Module {
  /** Channels. */
  readonly numFeatures: number;
  /** What is added to the variance. May be set. */
  eps: number;
  /** Weight of each batch in the running statistics; null averages over all batches seen. May be set. */
  momentum: number | null;
  /** Whether there are a scale and a shift per channel. */
  readonly affine: boolean;
  /** Whether running statistics are kept. */
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

  /** γ [C], the scale of each channel; null without `affine`. */
  get weight(): AnyTensor | null {
    return this.tensor('weight');
  }

  /** β [C], the shift of each channel; null where there is none. */
  get bias(): AnyTensor | null {
    return this.tensor('bias');
  }

  /** μ [C], key `running_mean`; null without statistics. */
  get runningMean(): AnyTensor | null {
    return this.tensor('running_mean');
  }

  /** σ² [C], key `running_var`; null without statistics. */
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

/**
 * What every re-parameterizable block is: branches that can be folded, then something that cannot.
 *
 *     training form   y = finish(branches(x))          deployed form   y = finish(reparam(x))
 *
 * A block states `branches`, once. Its equivalent kernel is that sentence read affinely; its certificate compares that
 * sentence with the convolution that replaces it. No block has folding code of its own.
 */
import { isInstance, refused, text } from '../../checks.js';
import { RepconvError } from '../../errors.js';
import type { Conv2dAttributes } from '../../ops/conv/conv2d.js';
import { withinStack } from '../../ops/traceable.js';
import type { Ops } from '../../ops/vocabulary.js';
import type { Pair } from '../../ops/window.js';
import { type AffineSum, affineSum, mergedTerms } from '../../reparam/affine.js';
import { type Computation, computeSync } from '../../reparam/arithmetic.js';
import { type Certificate, type CertificateOptions, certify } from '../../reparam/certificate.js';
import { type ConvMap, layerOptions, type RoundedParameters, rounding } from '../../reparam/convMap.js';
import type { FrameAxis } from '../../reparam/frame.js';
import type { AffineSentence } from '../../reparam/impulse.js';
import { isReason, Reason } from '../../reparam/reason.js';
import { runSteps, type Steps } from '../../steps.js';
import type { FloatDType } from '../../tensor/dtype.js';
import { shapeOf } from '../../tensor/shape.js';
import { setNumbers, type Tensor } from '../../tensor/tensor.js';
import { seenFrom } from '../copy.js';
import { withoutDrawing } from '../init.js';
import { Conv2d, channels } from '../layers/conv2d.js';
import { ConvTranspose2d } from '../layers/convTranspose2d.js';
import { Module } from '../module.js';
import { remembered } from '../remembered.js';

/** A block's branches as one map, and the map of each. */
export interface FoldedBlock {
  readonly map: ConvMap;
  readonly terms: AffineSum['terms'];
}

/** The numbers of the one convolution that equals a block's branches. */
export interface KernelAndBias {
  /** [O, C / groups, K, L] */
  readonly kernel: Tensor<FloatDType>;
  /** [O] */
  readonly bias: Tensor<FloatDType>;
}

/** What takes the place of the branches. */
export type DeployedConv = Conv2d | ConvTranspose2d;

/** The convolution that may take the place of the branches, and how that was found out. */
export interface Deployment extends FoldedBlock {
  readonly conv: DeployedConv;
  readonly certificate: Certificate;
}

/** Why no convolution may: there is none, or rounded to its format it does not compute the same. */
export interface Obstacle {
  readonly reason: Reason;
  readonly certificate?: Certificate;
}

export interface DeploymentOptions {
  /** Multiply-accumulates to spend on the certificate. */
  readonly budget?: number | undefined;
  /** The number format of the convolution; default: that of the branches' weights. */
  readonly dtype?: FloatDType | undefined;
}

/** What judging a block has to wait for. */
export type JudgingStep = Computation | Comparison;

/** A question of it: a block's sentence compared with that of the convolution, see {@link certify}. */
export interface Comparison {
  readonly name: 'compare';
  readonly before: AffineSentence;
  readonly after: AffineSentence;
  readonly options: CertificateOptions;
}

/** Does a step, and waits for it. */
export function judgeSync(step: JudgingStep): unknown {
  return step.name === 'compute' ? computeSync(step) : certify(step.before, step.after, step.options);
}

/**
 * A block that can become one convolution. Extend it with `branches`, `finish` and `removeBranches`; folding, the
 * certificate, `switchToDeploy` and a place in `repconv`'s report follow from these.
 *
 * @example
 * ```ts
 * import { Conv2d, type Ops, ReparamBlock, repconv } from 'repconv';
 *
 * class Cross extends ReparamBlock {
 *   private tall: Conv2d | null;
 *   private wide: Conv2d | null;
 *
 *   constructor(channels: number) {
 *     super(channels, 'fused'); // the key of the convolution to come
 *     this.tall = this.child('tall', new Conv2d(channels, channels, [3, 1], { padding: [1, 0] }));
 *     this.wide = this.child('wide', new Conv2d(channels, channels, [1, 3], { padding: [0, 1] }));
 *   }
 *   protected branches<X>(f: Ops<X>, x: X): X {
 *     return f.add(this.tall!.compute(f, x), this.wide!.compute(f, x));
 *   }
 *   protected finish<X>(f: Ops<X>, x: X): X {
 *     return f.relu(x);
 *   }
 *   protected removeBranches(): void {
 *     this.removeChild('tall');
 *     this.removeChild('wide');
 *     this.tall = this.wide = null;
 *   }
 * }
 * const [block] = repconv(new Cross(8)).report.blocks;
 * console.log(`${block.branches} → ${block.into}`); // 3×1 + 1×3 → 3×3
 * ```
 */
export abstract class ReparamBlock extends Module {
  /** The deployed convolution; null in training form. */
  private reparam: DeployedConv | null = null;

  constructor(
    /** Channels of the input. */
    readonly inChannels: number,
    /** Key of the deployed convolution. */
    private readonly reparamKey: string,
  ) {
    super();
    channels(inChannels, this.typeName, 'inChannels');
    text(reparamKey, `${this.typeName}: reparamKey`);
  }

  /** What the branches compute, added up, in training form: this is what folds. */
  protected abstract branches<X>(f: Ops<X>, x: X): X;

  /** What follows the branches in both forms: attention, the activation. */
  protected abstract finish<X>(f: Ops<X>, x: X): X;

  /** Takes the children of the branches away, and forgets them: nothing may keep their weights in memory. */
  protected abstract removeBranches(): void;

  /** Whether the block is deployed: one convolution in place of its branches. */
  get deploy(): boolean {
    return this.reparam !== null;
  }

  /** The convolution in place of the branches; null in training form. */
  get deployed(): DeployedConv | null {
    return this.reparam;
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return this.finish(f, this.linear(f, x));
  }

  /** What stands before {@link finish}, in the form that the block has. @internal */
  linear<X>(f: Ops<X>, x: X): X {
    return this.reparam === null ? this.branches(f, x) : this.reparam.compute(f, x);
  }

  /** {@link linear}, for a reading that begins here. @throws ERR_LIMIT */
  private read<X>(f: Ops<X>, x: X): X {
    return withinStack(this, this.typeName, () => this.linear(f, x));
  }

  /** The branches as one convolution, in float64, or why they are none. @internal */
  fold(): FoldedBlock | Reason {
    const type = { dtype: 'float32', shape: shapeOf(['N', this.inChannels, 'H', 'W']) } as const;
    const sum = affineSum((f, x) => this.read(f, x), type);
    if (isReason(sum)) return sum;
    const map = mergedTerms(sum);
    return isReason(map) ? map : { map, terms: sum.terms };
  }

  /**
   * `kernel` [O, C / groups, K, L] and `bias` [O] of the one convolution that equals the branches, rounded once to the
   * format of the weights. Ding et al. 2021 (arXiv:2101.03697), section 3.3.
   * @throws ERR_TRAIN_MODE in training mode, ERR_UNSUPPORTED with the reason where there is no such convolution
   */
  getEquivalentKernelBias(): KernelAndBias {
    const { weight, bias } = this.deploymentOrThrow('getEquivalentKernelBias').conv;
    return { kernel: weight as Tensor<FloatDType>, bias: bias as Tensor<FloatDType> };
  }

  /**
   * Puts the one convolution in place of the branches. A second call does nothing. The block is changed only if all
   * went well.
   * @throws ERR_TRAIN_MODE in training mode, ERR_UNSUPPORTED with the reason where the branches have no common
   * convolution
   */
  switchToDeploy(): void {
    if (!this.deploy) this.replaceBranches(this.deploymentOrThrow('switchToDeploy').conv);
  }

  /**
   * The one judgement about a block, whoever asks: the convolution that may take the place of the branches, or what is
   * in the way. Nothing is changed. @internal
   */
  *deployment({
    budget,
    dtype = this.weightDType(),
  }: DeploymentOptions = {}): Steps<JudgingStep, Deployment | Obstacle> {
    const folded = this.fold();
    if (isReason(folded)) return { reason: folded };
    const parameters = yield* rounding(folded.map, dtype);
    if (isReason(parameters)) return { reason: parameters };
    const conv = this.convolutionOf(folded.map, parameters);
    const certificate = (yield this.comparisonWith(conv, folded.map, budget)) as Certificate;
    // Each weight is rounded once, so nothing differs by more than a few units of its format; anything else (float16
    // that overflows) is not the same network.
    if (certificate.relative <= 64 * roundingUnit[dtype]) return { ...folded, conv, certificate };
    return { reason: new Reason('NOT_EQUAL', `${certificate.relative} relative in ${dtype}`), certificate };
  }

  /** Puts `conv` in place of the branches. The block is as it was if that fails. @internal */
  replaceBranches(conv: DeployedConv): void {
    if (!isInstance(conv, Conv2d) && !isInstance(conv, ConvTranspose2d))
      throw refused(`${this.typeName}.replaceBranches:`, 'a Conv2d or ConvTranspose2d', conv);
    const state = remembered(seenFrom(this).keys());
    try {
      this.removeBranches();
      this.setReparam(conv);
    } catch (error) {
      state.restore();
      throw error;
    }
  }

  /** What `act` gives while the block computes with `conv`, though its branches are still there. @internal */
  deployedMeanwhile<T>(conv: DeployedConv, act: () => T): T {
    const before = this.reparam;
    this.reparam = conv;
    try {
      return act();
    } finally {
      this.reparam = before;
    }
  }

  /** For constructors: makes the block a deployed one from the start. */
  protected setReparam(conv: DeployedConv): void {
    this.reparam = this.child(this.reparamKey, conv);
  }

  private deploymentOrThrow(operation: string): Deployment {
    const outcome = runSteps(this.deployment(), judgeSync);
    if ('conv' in outcome) return outcome;
    const { reason } = outcome;
    if (reason.code === 'TRAIN_MODE')
      throw new RepconvError(
        'ERR_TRAIN_MODE',
        `${this.typeName}.${operation}: expects evaluation mode, call eval() first (${reason})`,
      );
    throw new RepconvError('ERR_UNSUPPORTED', `${this.typeName}.${operation}: ${reason}`);
  }

  /** The layer that computes `map` with these numbers, which become its own. */
  private convolutionOf(map: ConvMap, { weight, bias }: RoundedParameters<FloatDType>): DeployedConv {
    const { kernelSize, ...options } = layerOptions(map) as LayerOptions2d;
    const { inChannels, outChannels, axes, paddingMode } = map;
    const outputPadding = axes.map((axis) => axis.outputPadding) as unknown as Pair;
    const conv = withoutDrawing(() =>
      map.isTransposed
        ? new ConvTranspose2d(inChannels, outChannels, kernelSize, { ...options, outputPadding })
        : new Conv2d(inChannels, outChannels, kernelSize, { ...options, paddingMode }),
    );
    conv.to(weight.dtype).train(this.training);
    setNumbers(conv.weight as Tensor<FloatDType>, weight.data);
    setNumbers(conv.bias as Tensor<FloatDType>, bias.data);
    return conv;
  }

  /** The question whether `conv` answers every impulse as the branches do. */
  private comparisonWith(conv: DeployedConv, map: ConvMap, budget: number | undefined): Comparison {
    const [rows, columns] = map.axes;
    const reachAlong = ({ dilation, kernel }: FrameAxis): number => dilation * (kernel - 1) + 1;
    return {
      name: 'compare',
      before: (f, x) => this.read(f, x),
      after: (f, x) => conv.compute(f, x),
      options: {
        channels: map.inChannels,
        reach: [reachAlong(rows), reachAlong(columns)],
        stride: [rows.stride, columns.stride],
        ...(budget === undefined ? {} : { budget }),
      },
    };
  }

  /** Format of the first kernel among the branches' parameters; float32 where they have none (pooling, identity). */
  private weightDType(): FloatDType {
    const tensors = [...this.namedParameters()].map(([, tensor]) => tensor);
    return ((tensors.find((tensor) => tensor.shape.length === 4) ?? tensors[0])?.dtype ?? 'float32') as FloatDType;
  }
}

/** Options of a layer over images. */
type LayerOptions2d = Required<Pick<Conv2dAttributes, 'stride' | 'padding' | 'dilation' | 'groups'>> & {
  readonly kernelSize: Pair;
};

/** How far rounding to a format moves a number of size 1. */
const roundingUnit: Readonly<Record<FloatDType, number>> = {
  float64: 2 ** -53,
  float32: 2 ** -24,
  float16: 2 ** -11,
  bfloat16: 2 ** -8,
};

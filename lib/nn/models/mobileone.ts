/**
 * MobileOne s0 … s4. Vasu et al. 2023 (arXiv:2206.04040), table 2; names and keys of the authors' implementation.
 *
 * Every layer is a depthwise 3×3 block and a pointwise 1×1 block; four stages, each beginning with stride 2, behind a
 * stem.
 */
import { flag, oneOf } from '../../checks.js';
import type { Ops } from '../../ops/vocabulary.js';
import { optionsOf } from '../../options.js';
import { MobileOneBlock } from '../blocks/mobileOneBlock.js';
import { Sequential } from '../layers/containers.js';
import { Linear } from '../layers/linear.js';
import { AdaptiveAvgPool2d } from '../layers/pooling.js';
import { Module } from '../module.js';
import { networkDefaults, stageWidths } from './stages.js';

/** What tells one network of the family from another. */
export interface MobileOneConfig {
  /** Multipliers of the stages' 64, 128, 256, 512 channels. */
  readonly width: readonly [number, number, number, number];
  /** k×k branches of every block but the stem. */
  readonly branches: number;
  /** Whether blocks have squeeze-and-excite before their activation, in the last stages. */
  readonly useSe: boolean;
}

/** The published family, by name. Vasu et al. 2023 (arXiv:2206.04040), table 2. */
export const mobileOneConfigs = {
  'mobileone-s0': { width: [0.75, 1, 1, 2], branches: 4, useSe: false },
  'mobileone-s1': { width: [1.5, 1.5, 2, 2.5], branches: 1, useSe: false },
  'mobileone-s2': { width: [1.5, 2, 2.5, 4], branches: 1, useSe: false },
  'mobileone-s3': { width: [2, 2.5, 3, 4], branches: 1, useSe: false },
  'mobileone-s4': { width: [3, 3.5, 3.5, 4], branches: 1, useSe: true },
} as const satisfies Record<string, MobileOneConfig>;

const layersPerStage = [2, 8, 10, 1] as const;

const names = Object.keys(mobileOneConfigs) as (keyof typeof mobileOneConfigs)[];

/** Options of {@link MobileOne}. */
export interface MobileOneOptions {
  /** Outputs of the classifier; default 1000. */
  numClasses?: number;
  /** What the batch norms add to the variance; default 1e-5. */
  eps?: number;
  /** Makes the deployed form, for fused weights; default false. */
  deploy?: boolean;
}

/**
 * A network of the family, in training form or deployed: images [N, 3, H, W] → logits [N, classes].
 * {@link createMobileOne} makes one by its name; this takes any depths and widths. Keys and names of modules are those
 * of the authors' implementation. Vasu et al. 2023 (arXiv:2206.04040), table 2.
 */
export class MobileOne extends Module {
  private readonly stages: readonly Module[];
  private readonly gap: AdaptiveAvgPool2d;
  private readonly linear: Linear;

  /** @throws ERR_INPUT */
  constructor(config: MobileOneConfig, options: MobileOneOptions = {}) {
    super();
    const parts = optionsOf(config, { width: undefined, branches: 1, useSe: false }, 'MobileOne', 'config');
    const width = stageWidths(parts.width, 'MobileOne: config.width');
    const useSe = flag(parts.useSe, 'MobileOne: config.useSe');
    const { numClasses, eps, deploy } = optionsOf(options, networkDefaults, 'MobileOne');
    const shared = { eps, deploy };
    let inChannels = Math.min(64, Math.floor(64 * width[0]));
    const stages: Module[] = [
      this.child('stage0', new MobileOneBlock(3, inChannels, 3, { ...shared, stride: 2, padding: 1 })),
    ];
    for (const [stage, layers] of layersPerStage.entries()) {
      const outChannels = Math.floor(64 * 2 ** stage * width[stage]);
      // Attention: all of the last stage and the second half of the one before.
      const seLayers = useSe ? (stage === 2 ? Math.floor(layers / 2) : stage === 3 ? layers : 0) : 0;
      const blocks: MobileOneBlock[] = [];
      for (let i = 0; i < layers; i++) {
        const blockOptions = { ...shared, branches: parts.branches, useSe: i >= layers - seLayers };
        blocks.push(
          new MobileOneBlock(inChannels, inChannels, 3, {
            ...blockOptions,
            stride: i === 0 ? 2 : 1,
            padding: 1,
            groups: inChannels,
          }),
        );
        blocks.push(new MobileOneBlock(inChannels, outChannels, 1, blockOptions));
        inChannels = outChannels;
      }
      stages.push(this.child(`stage${stage + 1}`, new Sequential(...blocks)));
    }
    this.stages = stages;
    this.gap = this.child('gap', new AdaptiveAvgPool2d(1));
    this.linear = this.child('linear', new Linear(inChannels, numClasses));
  }

  override compute<X>(f: Ops<X>, x: X): X {
    const features = this.stages.reduce((value, stage) => stage.compute(f, value), x);
    return this.linear.compute(f, f.flatten(this.gap.compute(f, features)));
  }
}

/**
 * A network by its published name, with random weights: images [N, 3, H, W] → logits [N, classes].
 * @throws ERR_INPUT for an unknown name, and for options that none could be
 * @example
 * ```ts
 * import { createMobileOne, randn, repconv } from 'repconv';
 *
 * const network = createMobileOne('mobileone-s0', { numClasses: 10 }).eval();
 * const { model, report } = repconv(network);
 * console.log(report.fused); // 43
 * console.log(model.forward(randn([1, 3, 64, 64])).shape); // [ 1, 10 ]
 * ```
 */
export function createMobileOne(name: keyof typeof mobileOneConfigs, options: MobileOneOptions = {}): MobileOne {
  return new MobileOne(mobileOneConfigs[oneOf(name, names, 'createMobileOne: name')], options);
}

/**
 * RepVGG A0 … B3g4 and D2se. Ding et al. 2021 (arXiv:2101.03697), table 2; names and keys of the authors'
 * implementation.
 *
 * Five stages, the first block of each with stride 2; then the mean of each channel and a linear layer.
 */
import { oneOf } from '../../checks.js';
import type { Ops } from '../../ops/vocabulary.js';
import { positiveInteger } from '../../ops/window.js';
import { optionsOf } from '../../options.js';
import { RepVGGBlock } from '../blocks/repvggBlock.js';
import { Sequential } from '../layers/containers.js';
import { Linear } from '../layers/linear.js';
import { AdaptiveAvgPool2d } from '../layers/pooling.js';
import { Module } from '../module.js';
import { networkDefaults, stageBlocks, stageWidths } from './stages.js';

/** What tells one network of the family from another. */
export interface RepVGGConfig {
  /** Blocks of stages 1 to 4. */
  readonly blocks: readonly [number, number, number, number];
  /** Multipliers of the stages' 64, 128, 256, 512 channels. */
  readonly width: readonly [number, number, number, number];
  /** Groups of every second layer, from the third on. */
  readonly groups: number;
  /** Whether blocks have squeeze-and-excite before their activation. */
  readonly useSe: boolean;
}

const a = [2, 4, 14, 1] as const;
const b = [4, 6, 16, 1] as const;
const plain = { groups: 1, useSe: false };

/** The published family, by name. Ding et al. 2021 (arXiv:2101.03697), table 2. */
export const repvggConfigs = {
  'repvgg-a0': { ...plain, blocks: a, width: [0.75, 0.75, 0.75, 2.5] },
  'repvgg-a1': { ...plain, blocks: a, width: [1, 1, 1, 2.5] },
  'repvgg-a2': { ...plain, blocks: a, width: [1.5, 1.5, 1.5, 2.75] },
  'repvgg-b0': { ...plain, blocks: b, width: [1, 1, 1, 2.5] },
  'repvgg-b1': { ...plain, blocks: b, width: [2, 2, 2, 4] },
  'repvgg-b1g2': { ...plain, blocks: b, width: [2, 2, 2, 4], groups: 2 },
  'repvgg-b1g4': { ...plain, blocks: b, width: [2, 2, 2, 4], groups: 4 },
  'repvgg-b2': { ...plain, blocks: b, width: [2.5, 2.5, 2.5, 5] },
  'repvgg-b2g2': { ...plain, blocks: b, width: [2.5, 2.5, 2.5, 5], groups: 2 },
  'repvgg-b2g4': { ...plain, blocks: b, width: [2.5, 2.5, 2.5, 5], groups: 4 },
  'repvgg-b3': { ...plain, blocks: b, width: [3, 3, 3, 5] },
  'repvgg-b3g2': { ...plain, blocks: b, width: [3, 3, 3, 5], groups: 2 },
  'repvgg-b3g4': { ...plain, blocks: b, width: [3, 3, 3, 5], groups: 4 },
  'repvgg-d2se': { ...plain, blocks: [8, 14, 24, 1], width: [2.5, 2.5, 2.5, 5], useSe: true },
} as const satisfies Record<string, RepVGGConfig>;

const names = Object.keys(repvggConfigs) as (keyof typeof repvggConfigs)[];

/** Options of {@link RepVGG}. */
export interface RepVGGOptions {
  /** Outputs of the classifier; default 1000. */
  numClasses?: number;
  /** What the batch norms add to the variance; default 1e-5. */
  eps?: number;
  /** Makes the deployed form, for fused weights; default false. */
  deploy?: boolean;
}

/**
 * A network of the family, in training form or deployed: images [N, 3, H, W] → logits [N, classes].
 * {@link createRepVGG} makes one by its name; this takes any depths and widths. Keys and names of modules are those of
 * the authors' implementation. Ding et al. 2021 (arXiv:2101.03697), table 2.
 */
export class RepVGG extends Module {
  private readonly stages: readonly Module[];
  private readonly gap: AdaptiveAvgPool2d;
  private readonly linear: Linear;

  /** @throws ERR_INPUT */
  constructor(config: RepVGGConfig, options: RepVGGOptions = {}) {
    super();
    const parts = optionsOf(
      config,
      { blocks: undefined, width: undefined, groups: 1, useSe: false },
      'RepVGG',
      'config',
    );
    const blocks = stageBlocks(parts.blocks, 'RepVGG: config.blocks');
    const width = stageWidths(parts.width, 'RepVGG: config.width');
    const groups = positiveInteger(parts.groups, 'RepVGG', 'config.groups');
    const { numClasses, eps, deploy } = optionsOf(options, networkDefaults, 'RepVGG');
    const shared = { useSe: parts.useSe, eps, deploy };
    const stemChannels = Math.min(64, Math.floor(64 * width[0]));
    const stages: Module[] = [this.child('stage0', new RepVGGBlock(3, stemChannels, { ...shared, stride: 2 }))];
    let [inChannels, layer] = [stemChannels, 1];
    for (const [stage, count] of blocks.entries()) {
      const outChannels = Math.floor(64 * 2 ** stage * width[stage]);
      const stageBlocks: RepVGGBlock[] = [];
      for (let i = 0; i < count; i++, layer++) {
        stageBlocks.push(
          new RepVGGBlock(inChannels, outChannels, {
            ...shared,
            stride: i === 0 ? 2 : 1,
            groups: layer % 2 === 0 && layer <= 26 ? groups : 1,
          }),
        );
        inChannels = outChannels;
      }
      stages.push(this.child(`stage${stage + 1}`, new Sequential(...stageBlocks)));
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
 * import { createRepVGG, randn, repconv } from 'repconv';
 *
 * const network = createRepVGG('repvgg-a0', { numClasses: 10 }).eval();
 * const { model, report } = repconv(network);
 * console.log(report.fused); // 22
 * console.log(model.forward(randn([1, 3, 64, 64])).shape); // [ 1, 10 ]
 * ```
 */
export function createRepVGG(name: keyof typeof repvggConfigs, options: RepVGGOptions = {}): RepVGG {
  return new RepVGG(repvggConfigs[oneOf(name, names, 'createRepVGG: name')], options);
}

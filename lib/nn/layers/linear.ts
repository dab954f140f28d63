import { flag } from '../../checks.js';
import type { Ops } from '../../ops/vocabulary.js';
import { optionsOf } from '../../options.js';
import type { AnyTensor } from '../../tensor/tensor.js';
import { uniformByFanIn } from '../init.js';
import { Module } from '../module.js';
import { pythonBool } from '../python.js';
import { channels } from './conv2d.js';

/**
 * A fully connected layer over the last axis, [N, …, F] → [N, …, O]: x·Wᵀ + b. Keys: `weight` [O, F], `bias` [O].
 *
 * @example
 * ```ts
 * import { Linear, randn } from 'repconv';
 *
 * console.log(new Linear(64, 10).forward(randn([2, 64])).shape); // [ 2, 10 ]
 * ```
 */
export class Linear extends Module {
  /** Numbers in, F. */
  readonly inFeatures: number;
  /** Numbers out, O. */
  readonly outFeatures: number;

  /** @throws ERR_INPUT */
  constructor(inFeatures: number, outFeatures: number, options: { bias?: boolean } = {}) {
    super();
    const { bias } = optionsOf(options, { bias: true }, 'Linear');
    this.inFeatures = channels(inFeatures, 'Linear', 'inFeatures');
    this.outFeatures = channels(outFeatures, 'Linear', 'outFeatures');
    this.parameter('weight', uniformByFanIn([outFeatures, inFeatures], inFeatures));
    if (flag(bias, 'Linear: bias')) this.parameter('bias', uniformByFanIn([outFeatures], inFeatures));
  }

  /** W [O, F]. */
  get weight(): AnyTensor {
    return this.tensor('weight') as AnyTensor;
  }

  /** b [O]; null where there is none. */
  get bias(): AnyTensor | null {
    return this.tensor('bias');
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.linear(x, f.lift(this.weight), this.bias && f.lift(this.bias));
  }

  protected override extraRepr(): string {
    return `in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${pythonBool(this.bias !== null)}`;
  }
}

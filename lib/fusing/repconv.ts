/**
 * `repconv`: puts one convolution in place of the branches of every re-parameterizable block of a model, each with a
 * certificate.
 */
import { flag, isInstance, refused } from '../checks.js';
import { printable, RepconvError } from '../errors.js';
import { checkSavePath, save } from '../formats/stateDict.js';
import { type Step as FileStep, performSync as performFileSync } from '../formats/steps.js';
import type { InputSpec } from '../graph/record.js';
import { type JudgingStep, judgeSync } from '../nn/blocks/reparamBlock.js';
import { Module } from '../nn/module.js';
import { optionsOf } from '../options.js';
import { runSteps, type Steps } from '../steps.js';
import { type FloatDType, isFloatDType } from '../tensor/dtype.js';
import { blocksOf, fuseBlocks } from './blocks.js';
import { convertAll, roundingOf } from './format.js';
import { checkCountable, type MacsCounter, macsCounter } from './macs.js';
import type { BlockReport, RepconvResult } from './report.js';
import { InPlace, OnCopy } from './workplace.js';

/** Options of {@link repconv}. */
export interface RepconvOptions {
  /**
   * Whether a copy of the model is fused, in evaluation mode, and the model itself stays as it is; default true. With
   * false the model has to be in evaluation mode already.
   */
  readonly copy?: boolean;
  /**
   * Where to save the fused state dict: a `.safetensors` file, written at once and atomically. If that fails, the model
   * stays as it is.
   */
  readonly savePath?: string;
  /** What the model reads, in numbers, for counting multiply-accumulates: `{ images: [1, 3, 224, 224] }`. */
  readonly inputs?: InputSpec;
  /** Multiply-accumulates to spend on each certificate; default 1e8, some hundredths of a second. */
  readonly certificateBudget?: number;
  /**
   * The number format of the fused model. Default: each tensor keeps its own, and a convolution has that of its
   * branches. `float32` is for checkpoints in bfloat16 or float16, whose branches fit into one convolution of that
   * format only roughly (see {@link Report.rounded}).
   */
  readonly dtype?: FloatDType;
}

const defaults = {
  copy: true,
  savePath: undefined,
  inputs: undefined,
  certificateBudget: undefined,
  dtype: undefined,
} as const;

/**
 * Puts one convolution in place of the branches of every {@link ReparamBlock} of `model`: structural
 * re-parameterization, Ding et al. 2021 (arXiv:2101.03697). Folding is computed in float64 and rounded once; each block
 * is compared with its convolution before it is replaced. Blocks that cannot be fused are left as they are, with the
 * reason in the report; running it again finds nothing to do. A module used twice is fused once.
 *
 * What is returned is its own: it computes with nothing of the original, which is looked at before anything is reported
 * as fused. With `copy: false` the model itself is fused, when all else, saving included, has gone well. An error
 * changes nothing.
 * @returns the fused model (`model` itself with `copy: false`) and the report
 * @throws ERR_TRAIN_MODE with `copy: false` when a block is in training mode; ERR_PATH, ERR_IO for a `savePath` that
 * cannot be written; ERR_UNSUPPORTED for a model that computes through what no copy can follow (a function in a field
 * that is bound to the original, a `#` field) or past its blocks; ERR_INPUT for parameters that no `child()` registered
 * @example
 * ```ts
 * import { createRepVGG, repconv } from 'repconv';
 *
 * const { model, report } = repconv(createRepVGG('repvgg-a0'));
 * console.log(report.fused, report.left); // 22 0
 * console.log(`${report.blocks[2].branches} → ${report.blocks[2].into}`); // 3×3 + 1×1 + identity → 3×3
 * console.log([...model.stateDict().keys()][0]); // stage0.rbr_reparam.weight
 * ```
 */
export function repconv<M extends Module>(model: M, options: RepconvOptions = {}): RepconvResult<M> {
  return runSteps(fusing(model, options, 'repconv'), performSync);
}

/** What fusing waits for: kernels and comparisons of blocks, and calls of the operating system. @internal */
export type FusingStep = JudgingStep | FileStep;

function performSync(step: FusingStep): unknown {
  return step.name === 'compare' || step.name === 'compute' ? judgeSync(step) : performFileSync(step);
}

/** The whole work, as the steps of it. @param operation how messages begin @internal */
function* fusing<M extends Module>(
  model: M,
  options: RepconvOptions,
  operation: string,
): Steps<FusingStep, RepconvResult<M>> {
  if (!isInstance(model, Module)) throw refused(`${operation}:`, 'a Module', model);
  const { copy, savePath, inputs, certificateBudget, dtype } = checkedOptions(options, operation);
  if (savePath !== undefined) checkSavePath(savePath, operation);
  if (!copy) refuseTraining(model, operation);
  const switchedToEval = copy && [...model.namedModules()].some(([, module]) => module.training);

  const place = copy ? new OnCopy(model, operation) : new InPlace(model, operation);
  const { root: fused } = place.copied;
  const countIn = (read: Module): MacsCounter | null =>
    inputs === undefined ? null : macsCounter(read, inputs, operation);
  const macsBefore = place.readBefore(countIn);
  const outcomes = yield* fuseBlocks(place.copied, { budget: certificateBudget, dtype, operation });
  place.checkFused();
  const macsAfter = place.readAfter(countIn);

  if (dtype !== undefined) convertAll(fused, dtype, operation);
  if (savePath !== undefined) yield* save(savePath, fused.stateDict(), {}, operation);
  const blocks = outcomes.map(({ report, tensors }): BlockReport => {
    if (report.status !== 'fused' || macsBefore === null || macsAfter === null) return report;
    return { ...report, macs: { before: macsBefore(tensors.before), after: macsAfter(tensors.after) } };
  });
  const count = (status: BlockReport['status']): number => blocks.filter((block) => block.status === status).length;
  const rounded = roundingOf(blocks);
  return {
    model: place.commit(dtype),
    report: {
      blocks,
      fused: count('fused'),
      left: count('left'),
      switchedToEval,
      ...(rounded === null ? {} : { rounded }),
      ...(savePath === undefined ? {} : { savedTo: savePath }),
    },
  };
}

function checkedOptions(given: RepconvOptions, operation: string) {
  const options = optionsOf(given, defaults, operation);
  flag(options.copy, `${operation}: copy`);
  const { inputs, certificateBudget: budget, dtype } = options;
  if (budget !== undefined && !(typeof budget === 'number' && budget >= 0))
    throw refused(`${operation}: certificateBudget`, 'a number of at least 0', budget);
  if (inputs !== undefined) checkCountable(inputs, operation);
  if (dtype !== undefined && !isFloatDType(dtype))
    throw refused(`${operation}: dtype`, 'one of float64, float32, float16, bfloat16', dtype);
  return options;
}

function refuseTraining(model: Module, operation: string): void {
  for (const [path, block] of blocksOf(model)) {
    const training = [...block.namedModules()].some(([, module]) => module.training);
    if (training && !block.deploy) {
      throw new RepconvError(
        'ERR_TRAIN_MODE',
        `${operation}: ${printable(path || block.typeName)} is in training mode; call eval() first, or leave copy at true`,
      );
    }
  }
}

/**
 * `repconv`: puts one convolution in place of the branches of every re-parameterizable block of a model, each with a
 * certificate.
 */
import { flag, isInstance, refused } from '../checks.js';
import { RepconvError } from '../errors.js';
import { checkSavePath, save } from '../formats/stateDict.js';
import { type Step as FileStep, performSync as performFileSync } from '../formats/steps.js';
import { macsOf } from '../graph/graph.js';
import { type InputSpec, trace } from '../graph/record.js';
import { type Comparison, compareSync } from '../nn/blocks/reparamBlock.js';
import { Module } from '../nn/module.js';
import { optionsOf } from '../options.js';
import { runSteps, type Steps } from '../steps.js';
import { isConcrete } from '../tensor/shape.js';
import { blocksOf, deployAs, fuseBlocks } from './blocks.js';
import type { BlockReport, Report } from './report.js';

/** What {@link repconv} may be told. */
export interface RepconvOptions {
  /** Default true: the model stays as it is, its copy is put into evaluation mode and fused. */
  readonly copy?: boolean;
  /**
   * Where to save the fused state dict: a `.safetensors` file, written at once and atomically. If that fails, the model
   * stays as it is.
   */
  readonly savePath?: string;
  /** What the model reads, for counting multiply-accumulates: `{ images: [1, 3, 224, 224] }`. */
  readonly inputs?: InputSpec;
  /** Multiply-accumulates to spend on each certificate; default 1e8, about a third of a second. */
  readonly certificateBudget?: number;
}

const defaults = { copy: true, savePath: undefined, inputs: undefined, certificateBudget: undefined } as const;

/**
 * Fuses every {@link ReparamBlock} of `model`. Blocks that cannot be fused are left as they are, with the reason in the
 * report; running it again finds nothing to do. A module used twice is fused once.
 *
 * Work is done on a copy always; with `copy: false` the copy is one of the tree alone, and its convolutions are put
 * into `model` when all else, saving included, has gone well. An error therefore changes nothing.
 * @returns the fused model (`model` itself with `copy: false`) and the report
 * @throws ERR_TRAIN_MODE with `copy: false` when a block is in training mode; ERR_PATH, ERR_IO for a `savePath` that
 * cannot be written; ERR_INPUT
 */
export function repconv<M extends Module>(model: M, options: RepconvOptions = {}): { model: M; report: Report } {
  return runSteps(fusing(model, options, 'repconv'), performSync);
}

/** What fusing waits for: comparisons of blocks, and calls of the operating system. @internal */
export type FusingStep = Comparison | FileStep;

/** The whole work, as the steps of it. @param operation how messages begin @internal */
export function* fusing<M extends Module>(
  model: M,
  options: RepconvOptions,
  operation: string,
): Steps<FusingStep, { model: M; report: Report }> {
  if (!isInstance(model, Module)) throw refused(`${operation}:`, 'a Module', model);
  const { copy, savePath, inputs, certificateBudget: budget } = optionsOf(options, defaults, operation);
  flag(copy, `${operation}: copy`);
  if (budget !== undefined && !(typeof budget === 'number' && budget >= 0))
    throw refused(`${operation}: certificateBudget`, 'a number of at least 0', budget);
  if (savePath !== undefined) checkSavePath(savePath, operation);
  if (!copy) refuseTraining(model, operation);
  const switchedToEval = copy && [...model.namedModules()].some(([, module]) => module.training);
  const fused = copy ? model.copy().eval() : model.copyTree();
  const copies = blocksOf(fused).map(([, block]) => block);
  const macsBefore = inputs === undefined ? null : countMacs(fused, inputs);
  const outcomes = yield* fuseBlocks(fused, budget);
  const macsAfter = inputs === undefined ? null : countMacs(fused, inputs);
  const blocks = outcomes.map((outcome): BlockReport => {
    if (outcome.status !== 'fused' || macsBefore === null || macsAfter === null) return outcome;
    return { ...outcome, macs: { before: macsBefore(outcome.path), after: macsAfter(outcome.path) } };
  });
  const count = (status: BlockReport['status']): number => blocks.filter((block) => block.status === status).length;
  const report = { blocks, fused: count('fused'), left: count('left'), switchedToEval };
  if (savePath !== undefined) yield* save(savePath, fused.stateDict(), {}, operation);
  if (!copy) deployAs(blocksOf(model), copies);
  return {
    model: copy ? fused : model,
    report: { ...report, ...(savePath === undefined ? {} : { savedTo: savePath }) },
  };
}

function performSync(step: FusingStep): unknown {
  return step.name === 'compare' ? compareSync(step) : performFileSync(step);
}

function refuseTraining(model: Module, operation: string): void {
  for (const [path, block] of blocksOf(model)) {
    const training = [...block.namedModules()].some(([, module]) => module.training);
    if (training && !block.deploy) {
      throw new RepconvError(
        'ERR_TRAIN_MODE',
        `${operation}: ${path || block.typeName} is in training mode; call eval() first, or leave copy at true`,
      );
    }
  }
}

/** A count of the multiply-accumulates of convolutions below a path. */
function countMacs(model: Module, inputs: InputSpec): (path: string) => number {
  const { nodes } = trace(
    model,
    Object.fromEntries(
      Object.entries(inputs).map(([name, shape]) => [
        name,
        isConcrete(shape) ? shape : shape.map((e) => (typeof e === 'number' ? e : 1)),
      ]),
    ),
  );
  return (path) =>
    nodes
      .filter(({ label }) => path === '' || label === path || label.startsWith(`${path}.`))
      .reduce((sum, node) => sum + macsOf(node), 0);
}

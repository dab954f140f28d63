/**
 * `repconv`: puts one convolution in place of the branches of every re-parameterizable block of a model, each with a
 * certificate.
 */
import { inspect } from 'node:util';
import { printable, RepconvError } from './errors.js';
import { checkSavePath, saveStateDictSync } from './formats/stateDict.js';
import { macsOf } from './graph/graph.js';
import { type InputSpec, trace } from './graph/record.js';
import { ReparamBlock } from './nn/blocks/reparamBlock.js';
import { Module } from './nn/module.js';
import type { Certificate } from './reparam/certificate.js';
import { type ConvMap, isScale } from './reparam/convMap.js';
import { isReason, Reason } from './reparam/reason.js';
import { isConcrete } from './tensor/shape.js';

/** Of {@link repconv}. */
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

/** What became of one block. */
export interface BlockReport {
  /** Path in the model; empty for the model itself. */
  readonly path: string;
  readonly type: string;
  readonly status: 'fused' | 'left' | 'already deployed';
  /** Why it was left. */
  readonly reason?: Reason;
  /** `3×3 + 1×1 + identity` */
  readonly branches?: string;
  /** `3×3` */
  readonly into?: string;
  readonly parameters?: { readonly before: number; readonly after: number };
  /** Of the block's convolutions, for the given inputs. */
  readonly macs?: { readonly before: number; readonly after: number };
  readonly certificate?: Certificate;
}

/** What {@link repconv} did. */
export interface Report {
  readonly blocks: readonly BlockReport[];
  /** Blocks that became one convolution. */
  readonly fused: number;
  /** Blocks that stayed as they are, each with its reason. */
  readonly left: number;
  /** Whether a copy was put into evaluation mode first. */
  readonly switchedToEval: boolean;
  /** The state dict that was written. */
  readonly savedTo?: string;
}

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
export function repconv<M extends Module>(
  model: M,
  { copy = true, savePath, inputs, certificateBudget }: RepconvOptions = {},
): { model: M; report: Report } {
  if (!(model instanceof Module))
    throw new RepconvError(
      'ERR_INPUT',
      `repconv: expects a Module, got ${printable(inspect(model, { depth: 0 }), 80)}`,
    );
  if (savePath !== undefined) checkSavePath(savePath, 'repconv');
  if (!copy) refuseTraining(model);
  const switchedToEval = copy && [...model.namedModules()].some(([, module]) => module.training);
  const fused = copy ? model.copy().eval() : model.copyTree();
  const copies = blocksOf(fused).map(([, block]) => block);
  const macsBefore = inputs === undefined ? null : countMacs(fused, inputs);
  const outcomes = fuseBlocks(fused, certificateBudget);
  const macsAfter = inputs === undefined ? null : countMacs(fused, inputs);
  const blocks = outcomes.map((outcome): BlockReport => {
    if (outcome.status !== 'fused' || macsBefore === null || macsAfter === null) return outcome;
    return { ...outcome, macs: { before: macsBefore(outcome.path), after: macsAfter(outcome.path) } };
  });
  const count = (status: BlockReport['status']): number => blocks.filter((block) => block.status === status).length;
  const report = { blocks, fused: count('fused'), left: count('left'), switchedToEval };
  if (savePath !== undefined) saveStateDictSync(savePath, fused.stateDict());
  if (!copy) deployAs(blocksOf(model), copies);
  return {
    model: copy ? fused : model,
    report: { ...report, ...(savePath === undefined ? {} : { savedTo: savePath }) },
  };
}

/**
 * Fuses one block after the other. A block inside a block that has been fused is gone, unless it is used elsewhere too.
 */
function fuseBlocks(model: Module, budget: number | undefined): BlockReport[] {
  const outcomes: BlockReport[] = [];
  const seen = new Set<ReparamBlock>();
  for (;;) {
    const next = blocksOf(model).find(([, block]) => !seen.has(block));
    if (next === undefined) return outcomes;
    seen.add(next[1]);
    outcomes.push(fuseBlock(...next, budget));
  }
}

/** Puts into every block the convolution that its copy has. */
function deployAs(blocks: readonly [string, ReparamBlock][], copies: readonly ReparamBlock[]): void {
  for (const [i, [, block]] of blocks.entries()) {
    const conv = copies[i].deployed;
    if (conv !== null && !block.deploy) block.replaceBranches(conv);
  }
}

function fuseBlock(path: string, block: ReparamBlock, budget: number | undefined): BlockReport {
  const about = { path, type: block.typeName };
  if (block.deploy) return { ...about, status: 'already deployed' };
  const folded = block.fold();
  if (isReason(folded)) return { ...about, status: 'left', reason: folded };
  const conv = block.convolutionOf(folded.map);
  const certificate = block.certify(conv, folded.map, budget);
  // Each weight is rounded once, so nothing differs by more than a few units of its format; anything else (float16 that
  // overflows) is not the same network.
  const limit = 64 * roundingUnit[conv.weight.dtype as keyof typeof roundingUnit];
  if (!(certificate.relative <= limit))
    return {
      ...about,
      status: 'left',
      reason: new Reason('NOT_EQUAL', `${certificate.relative} relative in ${conv.weight.dtype}`),
      certificate,
    };
  const before = block.parameterCount();
  block.replaceBranches(conv);
  return {
    ...about,
    status: 'fused',
    branches: folded.terms.map(describeTerm).join(' + '),
    into: describeTerm(folded.map),
    parameters: { before, after: block.parameterCount() },
    certificate,
  };
}

const roundingUnit = { float64: 2 ** -53, float32: 2 ** -24, float16: 2 ** -11, bfloat16: 2 ** -8 };

/** Blocks with their paths, outer ones first, each once. */
function blocksOf(model: Module): [string, ReparamBlock][] {
  return [...model.namedModules()].filter((entry): entry is [string, ReparamBlock] => entry[1] instanceof ReparamBlock);
}

function refuseTraining(model: Module): void {
  for (const [path, block] of blocksOf(model)) {
    const training = [...block.namedModules()].some(([, module]) => module.training);
    if (training && !block.deploy) {
      throw new RepconvError(
        'ERR_TRAIN_MODE',
        `repconv: ${path || block.typeName} is in training mode; call eval() first, or leave copy at true`,
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

/** `3×3`, `identity`, `5×5 depthwise`, `transposed 4×4`. */
function describeTerm(map: ConvMap | null): string {
  if (map === null || isScale(map)) return 'identity';
  const kind = map.groups === 1 ? '' : map.groups === map.inChannels ? ' depthwise' : ` in ${map.groups} groups`;
  return `${map.outputPadding === null ? '' : 'transposed '}${map.kernelSize.join('×')}${kind}`;
}

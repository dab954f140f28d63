/** The blocks of a model: found, judged, and replaced by their convolutions. */
import { printable, RepconvError, shown } from '../errors.js';
import { type DeployedConv, type JudgingStep, ReparamBlock } from '../nn/blocks/reparamBlock.js';
import { type Copied, seenFrom } from '../nn/copy.js';
import type { Module } from '../nn/module.js';
import { privateFieldAdvice } from '../nn/ownership.js';
import { remembered } from '../nn/remembered.js';
import { type Frame, isScale, kernelSizeOf } from '../reparam/frame.js';
import type { Steps } from '../steps.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { AnyTensor } from '../tensor/tensor.js';
import type { BlockReport } from './report.js';

/** What became of a block of a copy. */
export interface BlockOutcome {
  readonly report: BlockReport;
  /** What it computed with, and computes with now. */
  readonly tensors: { readonly before: ReadonlySet<AnyTensor>; readonly after: ReadonlySet<AnyTensor> };
}

export interface FuseOptions {
  readonly budget: number | undefined;
  readonly dtype: FloatDType | undefined;
  /** How messages begin. */
  readonly operation: string;
}

/**
 * Fuses the blocks of a copy one after the other. A block inside a block that has been fused is gone, unless it is used
 * elsewhere too. The original stays as it is.
 * @throws ERR_UNSUPPORTED for a block whose branches cannot be taken away
 */
export function* fuseBlocks(
  { root, copies }: Copied<Module>,
  options: FuseOptions,
): Steps<JudgingStep, BlockOutcome[]> {
  const originals = new Map([...copies].map(([original, copy]) => [copy, original]));
  const outcomes: BlockOutcome[] = [];
  const seen = new Set<ReparamBlock>();
  for (;;) {
    const next = blocksOf(root).find(([, block]) => !seen.has(block));
    if (next === undefined) return outcomes;
    const [path, block] = next;
    seen.add(block);
    const before = tensorsOf(block);
    const report = yield* fuseBlock(path, block, originals.get(block) as ReparamBlock, options);
    outcomes.push({ report, tensors: { before, after: tensorsOf(block) } });
  }
}

/** Blocks with their paths, outer ones first, each once. */
export function blocksOf(model: Module): [string, ReparamBlock][] {
  return [...model.namedModules()].filter((entry): entry is [string, ReparamBlock] => entry[1] instanceof ReparamBlock);
}

function* fuseBlock(
  path: string,
  block: ReparamBlock,
  original: ReparamBlock,
  { budget, dtype, operation }: FuseOptions,
): Steps<JudgingStep, BlockReport> {
  const about = { path, type: block.typeName };
  if (block.deploy) return { ...about, status: 'already deployed' };
  const outcome = yield* block.deployment({ budget, dtype });
  if ('reason' in outcome) return { ...about, status: 'left', ...outcome };
  const { conv, map, terms, certificate } = outcome;
  const before = block.parameterCount();
  replaceInCopy(path === '' ? block.typeName : `${path} (${block.typeName})`, block, conv, original, operation);
  return {
    ...about,
    status: 'fused',
    branches: terms.map(describeTerm).join(' + '),
    into: describeTerm(map),
    parameters: { before, after: block.parameterCount() },
    dtype: conv.weight.dtype as FloatDType,
    certificate,
  };
}

/**
 * Puts `conv` into a block of a copy. What takes the branches away is a user's code, which may be bound to the
 * original.
 */
function replaceInCopy(
  who: string,
  block: ReparamBlock,
  conv: DeployedConv,
  original: ReparamBlock,
  operation: string,
): void {
  const state = remembered(seenFrom(original).keys());
  try {
    replaceBranches(block, conv, who, operation);
    if (state.isChanged())
      throw new RepconvError(
        'ERR_UNSUPPORTED',
        `${operation}: a copy of ${who} takes the branches of the original away; make its removeBranches a method, which works on this`,
      );
  } finally {
    state.restore();
  }
}

/** {@link ReparamBlock.replaceBranches}, where a user's `removeBranches` may fail. @throws ERR_UNSUPPORTED */
export function replaceBranches(block: ReparamBlock, conv: DeployedConv, who: string, operation: string): void {
  try {
    block.replaceBranches(conv);
  } catch (cause) {
    if (cause instanceof RepconvError) throw cause;
    const found = printable(cause instanceof Error ? cause.message : shown(cause));
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${operation}: the branches of ${printable(who, 100)} cannot be taken away: ${found}${privateFieldAdvice(found)}`,
      { cause },
    );
  }
}

function tensorsOf(block: ReparamBlock): ReadonlySet<AnyTensor> {
  return new Set([...block.namedTensors()].map(([, tensor]) => tensor));
}

/** `3×3`, `identity`, `5×5 depthwise`, `transposed 4×4`. */
function describeTerm(map: Frame | null): string {
  if (map === null || isScale(map)) return 'identity';
  const kind = map.groups === 1 ? '' : map.groups === map.inChannels ? ' depthwise' : ` in ${map.groups} groups`;
  return `${map.isTransposed ? 'transposed ' : ''}${kernelSizeOf(map).join('×')}${kind}`;
}

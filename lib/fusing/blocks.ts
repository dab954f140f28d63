/** The blocks of a model: found, folded, certified, and replaced by their convolutions. */
import { type Comparison, ReparamBlock } from '../nn/blocks/reparamBlock.js';
import type { Module } from '../nn/module.js';
import { type ConvMap, isScale } from '../reparam/convMap.js';
import type { Steps } from '../steps.js';
import type { BlockReport } from './report.js';

/**
 * Fuses one block after the other. A block inside a block that has been fused is gone, unless it is used elsewhere too.
 */
export function* fuseBlocks(model: Module, budget: number | undefined): Steps<Comparison, BlockReport[]> {
  const outcomes: BlockReport[] = [];
  const seen = new Set<ReparamBlock>();
  for (;;) {
    const next = blocksOf(model).find(([, block]) => !seen.has(block));
    if (next === undefined) return outcomes;
    seen.add(next[1]);
    outcomes.push(yield* fuseBlock(...next, budget));
  }
}

/** Puts into every block the convolution that its copy has. */
export function deployAs(blocks: readonly [string, ReparamBlock][], copies: readonly ReparamBlock[]): void {
  for (const [i, [, block]] of blocks.entries()) {
    const conv = copies[i].deployed;
    if (conv !== null && !block.deploy) block.replaceBranches(conv);
  }
}

/** Blocks with their paths, outer ones first, each once. */
export function blocksOf(model: Module): [string, ReparamBlock][] {
  return [...model.namedModules()].filter((entry): entry is [string, ReparamBlock] => entry[1] instanceof ReparamBlock);
}

function* fuseBlock(path: string, block: ReparamBlock, budget: number | undefined): Steps<Comparison, BlockReport> {
  const about = { path, type: block.typeName };
  if (block.deploy) return { ...about, status: 'already deployed' };
  const outcome = yield* block.deployment({ budget });
  if ('reason' in outcome) return { ...about, status: 'left', ...outcome };
  const { conv, map, terms, certificate } = outcome;
  const before = block.parameterCount();
  block.replaceBranches(conv);
  return {
    ...about,
    status: 'fused',
    branches: terms.map(describeTerm).join(' + '),
    into: describeTerm(map),
    parameters: { before, after: block.parameterCount() },
    certificate,
  };
}

/** `3×3`, `identity`, `5×5 depthwise`, `transposed 4×4`. */
function describeTerm(map: ConvMap | null): string {
  if (map === null || isScale(map)) return 'identity';
  const kind = map.groups === 1 ? '' : map.groups === map.inChannels ? ' depthwise' : ` in ${map.groups} groups`;
  return `${map.outputPadding === null ? '' : 'transposed '}${map.kernelSize.join('×')}${kind}`;
}

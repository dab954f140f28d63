/**
 * The table of a network's blocks, one line for each: what became of it, or why it was left. Numbers are short, so that
 * the published networks fit into 80 columns without a break; `--json` has them whole.
 */
import type { BlockReport, Report } from '../fusing/report.js';
import { colors, differenceText, numberColumns, short, table } from './output.js';

/** The lines of all blocks, and below them what their abbreviations mean. */
export function blockTable({ blocks }: Report): string {
  const columns = [
    { title: 'block' },
    { title: 'branches → one convolution' },
    ...numberColumns('parameters', 'MACs', '|Δ|'),
  ];
  const drawn = table(
    columns,
    blocks.map((block) => [block.path || '(model)', ...cells(block)]),
    '',
  );
  const legend = legendOf(blocks);
  return legend === '' ? drawn : `${drawn}\n${colors.dim(legend)}`;
}

/** One block as a JSON document shows it. */
export function blockJson({ reason, ...block }: BlockReport): object {
  return { ...block, ...(reason === undefined ? {} : { reason: { code: reason.code, detail: reason.detail } }) };
}

/** `3×3 ×4 + identity → 3×3`: equal branches once, kinds of convolution abbreviated. */
function mergeText(branches: string, into: string): string {
  const counts = new Map<string, number>();
  for (const branch of branches.split(' + ')) counts.set(branch, (counts.get(branch) ?? 0) + 1);
  const terms = [...counts].map(([branch, count]) => `${abbreviated(branch)}${count > 1 ? ` ×${count}` : ''}`);
  return `${terms.join(' + ')} → ${abbreviated(into)}`;
}

function cells({ status, reason, branches, into, parameters, macs, certificate }: BlockReport): string[] {
  if (status === 'already deployed') return [colors.dim('one convolution already')];
  if (status === 'left') return [colors.yellow(`left: ${reason}`)];
  return [
    mergeText(branches ?? '', into ?? ''),
    parameters === undefined ? '' : `${short(parameters.before)} → ${short(parameters.after)}`,
    macs === undefined ? '' : `${short(macs.before)} → ${short(macs.after)}`,
    certificate === undefined ? '' : `${differenceText(certificate.relative)}${certificate.complete ? '' : '*'}`,
  ];
}

function abbreviated(term: string): string {
  return term.replace(/ depthwise$/, ' dw').replace(/ in (\d+) groups$/, ' g$1');
}

function legendOf(blocks: readonly BlockReport[]): string {
  const fused = blocks.filter(({ status }) => status === 'fused');
  const has = (pattern: RegExp): boolean => fused.some(({ branches, into }) => pattern.test(`${branches} ${into}`));
  return [
    ...(has(/depthwise/) ? ['dw: depthwise'] : []),
    ...(has(/in \d+ groups/) ? ['g2, g4, …: groups'] : []),
    ...(fused.some(({ certificate }) => certificate?.complete === false) ? ['*: channels mixed, not one by one'] : []),
  ].join('   ');
}

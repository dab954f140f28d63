/** `repconv inspect`: what is in a `.safetensors` file, what of it can be fused, and why the rest cannot. */
import { printable, sizeText } from '../errors.js';
import { checksumKey, checksumKindKey } from '../formats/checksum.js';
import { repconv } from '../fusing/repconv.js';
import type { Report } from '../fusing/report.js';
import { architecture, descriptionKeys, modelFrom } from '../nn/models/architecture.js';
import { showShape } from '../tensor/shape.js';
import { blockJson, blockTable } from './blockTable.js';
import { type ModelFile, type ModelOptions, readModelFile } from './modelFile.js';
import { colors, grouped, paragraph, print, printJson, table } from './output.js';

export interface InspectOptions extends ModelOptions {
  /** Lists every tensor, not the first few. */
  readonly all?: boolean;
  readonly json?: boolean;
}

/** So many tensors are listed, the largest, unless all are asked for. */
const listedTensors = 12;

/** Names as people count: `stage3.2` before `stage3.10`. */
const { compare: inNaturalOrder } = new Intl.Collator('en', { numeric: true });

/** @throws RepconvError for what cannot be read, or does not hold the network it names */
export async function inspect(path: string, { all = false, json = false, ...options }: InspectOptions): Promise<void> {
  const file = await readModelFile(path, options);
  const report = fusionOf(file);
  if (json) return printJson(document(path, file, report));
  printFile(file);
  printTensors(file, all);
  printFusion(file, report);
}

/**
 * What `repconv` would do, or null where the network is not known. The certificates have a small budget: `fuse` makes
 * them whole.
 */
function fusionOf({ tensors, description }: ModelFile): Report | null {
  if (description === null) return null;
  const { input } = architecture(description.name, 'inspect');
  return repconv(modelFrom(tensors, description), { inputs: { images: input }, certificateBudget: 1e6 }).report;
}

function printFile({ name, sizeBytes, tensors, metadata, hasChecksum, description }: ModelFile): void {
  const rows: [string, string][] = [
    ['file', `${sizeText(sizeBytes)}, ${grouped(tensors.size)} tensors, ${grouped(numbersIn({ tensors }))} numbers`],
    ['formats', formatCounts({ tensors })],
    ['checksum', hasChecksum ? 'sha256, verified' : 'none'],
    [
      'network',
      description === null
        ? 'not stated (--model names it)'
        : `${description.name}, ${description.form} form${description.form === 'training' ? `, eps ${description.eps}` : ''} (as ${description.from === 'metadata' ? 'its metadata' : '--model'} says)`,
    ],
    ...[...metadata]
      .filter(([key]) => !isShownAlready(key, description !== null))
      .map(([key, value], i): [string, string] => [
        i === 0 ? 'metadata' : '',
        `${printable(key, 60)} = ${printable(value, 100)}`,
      ]),
  ];
  print(colors.bold(name));
  print(table([{ title: '' }, { title: '' }], rows));
}

function printTensors({ tensors }: ModelFile, all: boolean): void {
  const byName = [...tensors].sort(([a], [b]) => inNaturalOrder(a, b));
  const listed = all
    ? byName
    : byName.toSorted(([, a], [, b]) => b.data.byteLength - a.data.byteLength).slice(0, listedTensors);
  const isCut = listed.length < tensors.size;
  print();
  print(
    table(
      [{ title: isCut ? 'largest tensors' : 'tensor' }, { title: 'format' }, { title: 'shape' }],
      listed.map(([name, { dtype, shape }]) => [printable(name, 120), dtype, showShape(shape)]),
    ),
  );
  if (isCut) print(colors.dim(`  … ${grouped(tensors.size - listed.length)} more (--all lists them)`));
}

function printFusion({ description }: ModelFile, report: Report | null): void {
  print();
  if (report === null || description === null) {
    print(
      paragraph(
        'What can be fused depends on strides, groups and eps, which no state dict holds: name the network with --model.',
      ),
    );
    return;
  }
  if (report.blocks.every(({ status }) => status === 'already deployed')) {
    print(`All ${report.blocks.length} blocks are one convolution already: nothing is left to fuse.`);
    return;
  }
  print(
    `${report.fused} of ${report.blocks.length} blocks can be fused${report.left > 0 ? `; ${report.left} cannot` : ''}:`,
  );
  print();
  print(blockTable(report));
}

function document(path: string, file: ModelFile, report: Report | null): object {
  const { sizeBytes, tensors, metadata, hasChecksum, description } = file;
  return {
    path,
    sizeBytes,
    checksum: hasChecksum ? 'verified' : 'none',
    metadata: Object.fromEntries(metadata),
    network: description,
    tensors: [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    fusing: report === null ? null : { fusable: report.fused, left: report.left, blocks: report.blocks.map(blockJson) },
  };
}

function numbersIn({ tensors }: Pick<ModelFile, 'tensors'>): number {
  return [...tensors.values()].reduce((sum, { size }) => sum + size, 0);
}

function isShownAlready(key: string, isDescribed: boolean): boolean {
  return (
    key === checksumKey || key === checksumKindKey || (isDescribed && Object.values(descriptionKeys).includes(key))
  );
}

/** `float32 ×309, int64 ×22` */
function formatCounts({ tensors }: Pick<ModelFile, 'tensors'>): string {
  const counts = new Map<string, number>();
  for (const { dtype } of tensors.values()) counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
  return [...counts].map(([dtype, count]) => `${dtype} ×${count}`).join(', ');
}

/** `repconv fuse`: a published network's state dict in training form becomes one in deployed form. */
import { printable } from '../errors.js';
import { checkSavePath, saveStateDict } from '../formats/stateDict.js';
import { repconv } from '../fusing/repconv.js';
import type { Report } from '../fusing/report.js';
import {
  architecture,
  architectures,
  descriptionKeys,
  type ModelDescription,
  metadataOf,
  modelFrom,
} from '../nn/models/architecture.js';
import { difference } from '../tensor/compare.js';
import type { FloatDType } from '../tensor/dtype.js';
import { Random, randn } from '../tensor/random.js';
import { blockJson, blockTable } from './blockTable.js';
import { CommandFailure, exitCodes } from './failure.js';
import { type ModelOptions, readModelFile } from './modelFile.js';
import { colors, differenceText, grouped, print, printJson } from './output.js';
import { checkMayWrite } from './outputFile.js';

export interface FuseOptions extends ModelOptions {
  readonly output: string;
  /** Number format of what is written, where it is not to be that of the file. */
  readonly dtype?: FloatDType;
  /** Replaces a file that is there. */
  readonly force?: boolean;
  readonly json?: boolean;
}

/**
 * @throws CommandFailure when a block cannot be fused: nothing is written then; RepconvError for files that cannot be
 * read or written
 */
export async function fuse(
  path: string,
  { output, dtype, force = false, json = false, ...options }: FuseOptions,
): Promise<void> {
  // What cannot be written is refused before the work begins.
  checkSavePath(output, 'fuse');
  checkMayWrite(output, force);
  const { name: input, tensors, metadata, description } = await readModelFile(path, options);
  if (description === null) {
    const known = [...architectures.keys()].join(', ');
    throw new CommandFailure(
      `${input} does not say which network it holds; say it with --model (${known})`,
      exitCodes.usage,
    );
  }

  const model = modelFrom(tensors, description);
  const images = randn(architecture(description.name, 'fuse').input, { generator: new Random(1) });
  const before = model.forward(images);
  const { report } = repconv(model, {
    copy: false,
    inputs: { images: images.shape },
    ...(dtype === undefined ? {} : { dtype }),
  });
  const outputs = difference(model.forward(images), before).relative;
  const blocked = report.left > 0;
  const fused: ModelDescription = { ...description, form: 'deployed' };
  if (!blocked) {
    const dict = model.stateDict();
    const others = [...metadata].filter(([key]) => !Object.values(descriptionKeys).includes(key));
    // What is written must load strictly into the deployed form.
    modelFrom(dict, fused);
    await saveStateDict(output, dict, { metadata: [...others, ...Object.entries(metadataOf(fused))] });
  }

  if (json)
    printJson({
      ...summaryOf(report),
      network: description.name,
      difference: outputs,
      written: blocked ? null : output,
    });
  else printReport(report, { input, output, outputs, ...description });
  if (blocked)
    throw new CommandFailure(`${report.left} of ${report.blocks.length} blocks cannot be fused; nothing was written`);
}

function summaryOf({ blocks, fused, left, rounded }: Report): object {
  return { fused, left, ...(rounded === undefined ? {} : { rounded }), blocks: blocks.map(blockJson) };
}

function printReport(
  report: Report,
  {
    input,
    output,
    outputs,
    name,
    form,
    from,
  }: ModelDescription & { input: string; output: string; outputs: number; from: string },
): void {
  print(`${colors.bold(input)}: ${name}, ${form} form (as ${from === 'metadata' ? 'its metadata' : '--model'} says)`);
  print();
  print(blockTable(report));
  print();
  if (report.left > 0) return;
  const total = (side: 'before' | 'after'): number =>
    report.blocks.reduce((sum, { parameters }) => sum + (parameters?.[side] ?? 0), 0);
  print(
    report.fused === 0
      ? 'Nothing was left to fuse.'
      : `${report.fused} blocks fused: ${grouped(total('before'))} → ${grouped(total('after'))} parameters.
Outputs for a random image differ by ${differenceText(outputs)} of the largest.`,
  );
  if (report.rounded !== undefined)
    print(`Convolutions were rounded back to ${report.rounded.dtype}; --dtype float32 avoids that.`);
  print(`Written to ${colors.bold(printable(output))}: deployed form, with the network's name and a checksum.`);
}

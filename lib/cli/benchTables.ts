/**
 * What `repconv bench` prints of its results: one table for each network and precision, and in the end the footnotes.
 */

import { sizeText } from '../errors.js';
import { groupsOf } from './cases.js';
import type { Comparison } from './compare.js';
import { counted } from './environment.js';
import { type Equality, worstOf } from './equality.js';
import { percent } from './layers.js';
import type { NetworkResult } from './measure.js';
import { colors, differenceText, numberColumns, paragraph, print, rounded, table } from './output.js';

/** Cases of one network on our engine: its three forms, a row for each; of several cases a row for each case. */
export function printForms(results: readonly NetworkResult[]): void {
  const [{ network, input, precision, blocksFused, forms }] = results;
  const [written, , merged] = forms;
  const inMillions = (of: 'parameters' | 'macs', digits: number): string =>
    `${(written[of] / 1e6).toFixed(digits)} → ${(merged[of] / 1e6).toFixed(digits)} M`;
  const shape = results.length === 1 ? input : input.slice(1);
  print();
  print(`${colors.bold(network)}  ${shape.join('×')}${precision === 'float32' ? '' : `  ${precision}`}`);
  print(
    paragraph(
      `${blocksFused} blocks fused: ${inMillions('parameters', 1)} parameters, ${inMillions('macs', 0)} multiply-accumulates`,
      '  ',
    ),
  );
  const [folded, mergedEqually] = (['folded', 'merged'] as const).map((form) =>
    worstOf(results.map(({ equality }) => equality[form])),
  );
  print(
    equalLine(
      `${differenceText(folded.difference)} folded, ${differenceText(mergedEqually.difference)} merged`,
      folded,
    ),
  );
  print();
  if (results.length === 1) printOneCase(results[0]);
  else printCases(results);
}

function printOneCase({ input: [batch], rounds, forms }: NetworkResult): void {
  print(
    table(
      [{ title: 'form' }, ...numberColumns('median', 'p95', 'images/s', 'speed-up', 'memory')],
      forms.map(({ form, medianMs, p95Ms, imagesPerSecond, speedup, memoryBytes }, i) => [
        form,
        `${rounded(medianMs)} ms`,
        `${rounded(p95Ms)} ms`,
        rounded(imagesPerSecond),
        i === 2 ? colors.green(`${speedup.toFixed(2)}×`) : `${speedup.toFixed(2)}×`,
        sizeText(memoryBytes),
      ]),
    ),
  );
  const ofBatches = batch > 1 ? ` of ${batch} images` : '';
  const runs = `${counted(forms[0].samplesMs.length, 'run')}${ofBatches}`;
  print(colors.dim(`  ${runs} counted of each form, which took turns in ${counted(rounds, 'round')}`));
}

function printCases(results: readonly NetworkResult[]): void {
  print(
    table(
      numberColumns('batch', 'threads', 'as written', 'folded', 'merged', 'images/s', 'speed-up', 'memory'),
      results.map(({ input: [batch], threads, forms }) => {
        const merged = forms[2];
        return [
          ...[batch, threads].map(String),
          ...forms.map(({ medianMs }) => rounded(medianMs)),
          rounded(merged.imagesPerSecond),
          colors.green(`${merged.speedup.toFixed(2)}×`),
          sizeText(merged.memoryBytes),
        ];
      }),
    ),
  );
}

/** What the tables of {@link printForms} leave to be said, once for all of them. */
export function formFootnotes(results: readonly NetworkResult[]): string[] {
  const hasCases = groupsOf(results).some((group) => group.length > 1);
  return hasCases ? ['Medians in ms; images/s, speed-up and memory are those of the merged form.'] : [];
}

/** Cases of one network on our engine and another: a row for each. */
export function printComparisons(results: readonly Comparison[]): void {
  const [{ network, input, precision, peer }] = results;
  const worst = worstOf(results.map(({ equality }) => equality));
  print();
  const shape = input.slice(1).join('×');
  print(
    paragraph(`${colors.bold(network)}  ${shape}  ${precision}, branches merged, against ${peer.name} ${peer.version}`),
  );
  print(equalLine(`at most ${differenceText(worst.difference)}`, worst));
  print();
  print(
    table(
      numberColumns('batch', 'threads', 'ours', 'p95', 'spread', 'theirs', 'p95', 'spread', 'ratio'),
      results.map(({ input: [batch], threads, ours, theirs, ratio }) => [
        ...[batch, threads].map(String),
        ...[ours, theirs].flatMap(({ medianMs, p95Ms, spread }) => [
          rounded(medianMs),
          rounded(p95Ms),
          percent(spread),
        ]),
        ratio >= 1 ? colors.green(`${ratio.toFixed(2)}×`) : `${ratio.toFixed(2)}×`,
      ]),
    ),
  );
}

/** What the tables of {@link printComparisons} leave to be said, once for all of them. */
export function comparisonFootnotes(results: readonly Comparison[]): string[] {
  const fewestRounds = Math.min(...results.map(({ rounds }) => rounds));
  return [
    `Medians in ms. Ratio: the time of ${results[0].peer.name} divided by that of repconv, median over ${counted(fewestRounds, 'round')} or more; above 1, repconv is faster.`,
  ];
}

function equalLine(differences: string, { kind, limit }: Equality): string {
  return paragraph(`outputs equal (difference ${differences}, ${kind}; limit ${limit.toExponential(0)})`, '  ');
}

/** What `repconv bench` prints of its results: one table for each network and precision. Lines fit into 80 columns. */
import type { Comparison } from './compare.js';
import { percent } from './layers.js';
import type { NetworkResult } from './measure.js';
import { colors, differenceText, print, rounded, sizeText, table } from './output.js';

const right = { align: 'right' } as const;

/** Cases of one network on our engine: its three forms, a row for each; of several cases a row for each case. */
export function printForms(results: readonly NetworkResult[]): void {
  const [{ network, input, precision, blocksFused, differences, equalityLimit, forms }] = results;
  const [written, , merged] = forms;
  const inMillions = (of: 'parameters' | 'macs', digits: number): string =>
    `${(written[of] / 1e6).toFixed(digits)} → ${(merged[of] / 1e6).toFixed(digits)} M`;
  const shape = results.length === 1 ? input : input.slice(1);
  print();
  print(`${colors.bold(network)}  ${shape.join('×')}${precision === 'float32' ? '' : `  ${precision}`}`);
  print(`  ${blocksFused} blocks fused: ${inMillions('parameters', 1)} parameters, ${inMillions('macs', 0)} multiply-accumulates`);
  print(
    `  outputs equal (largest difference ${differenceText(differences.folded)} folded, ${differenceText(differences.merged)} merged; limit ${equalityLimit.toExponential(0)})`,
  );
  print();
  if (results.length === 1) printOneCase(results[0]);
  else printCases(results);
}

function printOneCase({ input: [batch], rounds, forms }: NetworkResult): void {
  const columns = [{ title: 'form' }, ...['median', 'p95', 'images/s', 'speed-up', 'memory'].map((title) => ({ title, ...right }))];
  print(
    table(
      columns,
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
  print(colors.dim(`  ${forms[0].samplesMs.length} runs${ofBatches} counted of each form, which took turns in ${rounds} rounds`));
}

function printCases(results: readonly NetworkResult[]): void {
  const columns = ['batch', 'threads', 'as written', 'folded', 'merged', 'images/s', 'speed-up', 'memory'].map((title) => ({
    title,
    ...right,
  }));
  print(
    table(
      columns,
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
  print(colors.dim('  medians in ms; images/s, speed-up and memory: of the merged form'));
}

/** Cases of one network on our engine and another: a row for each. */
export function printComparisons(results: readonly Comparison[]): void {
  const [{ network, input, precision, peer, equality }] = results;
  const worst = Math.max(...results.map((result) => result.equality.difference));
  const fewestRounds = Math.min(...results.map(({ rounds }) => rounds));
  print();
  print(`${colors.bold(network)}  ${input.slice(1).join('×')}  ${precision}, branches merged, against ${peer.name} ${peer.version}`);
  print(`  outputs equal (difference at most ${differenceText(worst)}, ${equality.kind}; limit ${equality.limit.toExponential(0)})`);
  print();
  const columns = ['batch', 'threads', 'ours', 'p95', 'spread', 'theirs', 'p95', 'spread', 'ratio'].map((title) => ({ title, ...right }));
  print(
    table(
      columns,
      results.map(({ input: [batch], threads, ours, theirs, ratio }) => [
        ...[batch, threads].map(String),
        ...[ours, theirs].flatMap(({ medianMs, p95Ms, spread }) => [rounded(medianMs), rounded(p95Ms), percent(spread)]),
        ratio >= 1 ? colors.green(`${ratio.toFixed(2)}×`) : `${ratio.toFixed(2)}×`,
      ]),
    ),
  );
  print(colors.dim(`  medians in ms; ratio: median over ${fewestRounds} rounds or more of its time ÷ ours`));
}

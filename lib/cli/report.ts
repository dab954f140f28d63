/**
 * What `repconv bench --html` shows of its results: per network, charts first, then the table; the layers of each case
 * after that.
 */

import { caseName, groupsOf } from './cases.js';
import type { Comparison } from './compare.js';
import { type Environment, environmentLine } from './environment.js';
import { equalityText } from './equality.js';
import { kernelNames, type LayerReport, layerColumns, layerRow, percent } from './layers.js';
import type { CaseResult, NetworkResult } from './measure.js';
import { numberColumns, rounded } from './output.js';
import type { Chart, Page, Section } from './page.js';

export interface Measurement<R> {
  /** One at least. */
  readonly results: readonly R[];
  readonly place: Environment;
  readonly warnings: readonly string[];
  /** What makes the numbers again. */
  readonly commandLine: string;
}

export function comparisonPage({ results, place, warnings, commandLine }: Measurement<Comparison>): Omit<Page, 'data'> {
  const { name, version } = results[0].peer;
  return {
    title: `repconv against ${name} ${version}`,
    lines: [...placeLines(place, commandLine), comparisonMethod],
    warnings,
    sections: [...groupsOf(results).map(comparisonSection), ...layerSections(results)],
  };
}

/** The page of the three forms. */
export function formsPage({ results, place, warnings, commandLine }: Measurement<NetworkResult>): Omit<Page, 'data'> {
  return {
    title: 'What merging branches saves',
    lines: [...placeLines(place, commandLine), formsMethod],
    warnings,
    sections: [...groupsOf(results).map(formsSection), ...layerSections(results)],
  };
}

const comparisonMethod =
  'Both engines run the same network, branches merged, on the same number of threads; their outputs were found equal first. They took turns in ' +
  'rounds; the ratio is the time of the other engine divided by that of repconv, median over the rounds: above 1, repconv is faster. Times are of the whole network.';

const formsMethod =
  'The three forms ran on one engine; their outputs were found equal first. They took turns in rounds; the speed-up is the median over the rounds of ' +
  'the time as written divided by the form’s own. Times are of the whole network.';

function placeLines(place: Environment, commandLine: string): string[] {
  return [
    environmentLine(place),
    `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC · load ${place.load} at the start · ${commandLine}`,
  ];
}

function comparisonSection(results: readonly Comparison[]): Section {
  const [{ peer, precision, network }] = results;
  const cases = results.map(caseName);
  return {
    heading: `${network}, ${precision}`,
    text: equalityText(results.map(({ equality }) => equality)),
    charts: [
      {
        kind: 'bars',
        title: 'Throughput',
        values: 'images/s',
        categories: cases,
        series: [
          { name: 'repconv', values: results.map(({ ours }) => ours.imagesPerSecond) },
          { name: peer.name, values: results.map(({ theirs }) => theirs.imagesPerSecond) },
        ],
      },
      {
        kind: 'lines',
        title: 'Ratio in each round',
        values: `time of ${peer.name} divided by that of repconv: above 1, repconv is faster`,
        x: 'round',
        series: results.map(({ ratios }, i) => ({
          name: cases[i],
          points: ratios.map((ratio, round) => [round + 1, ratio] as const),
        })),
      },
    ],
    table: {
      columns: [
        { title: 'case' },
        ...numberColumns(
          'repconv, ms',
          'p95',
          'spread',
          `${peer.name}, ms`,
          'p95',
          'spread',
          'ratio',
          'quartiles',
          'rounds',
        ),
      ],
      rows: results.map(({ ours, theirs, ratio, ratioQuartiles, rounds }, i) => [
        cases[i],
        ...[ours, theirs].flatMap(({ medianMs, p95Ms, spread }) => [
          rounded(medianMs),
          rounded(p95Ms),
          percent(spread),
        ]),
        `${ratio.toFixed(2)}×`,
        ratioQuartiles.map((quartile) => quartile.toFixed(2)).join('–'),
        String(rounds),
      ]),
    },
  };
}

function formsSection(results: readonly NetworkResult[]): Section {
  const [{ network, precision, forms }] = results;
  const cases = results.map(caseName);
  return {
    heading: `${network}, ${precision}`,
    text: equalityText(results.flatMap(({ equality: { folded, merged } }) => [folded, merged])),
    charts: [
      {
        kind: 'bars',
        title: 'Throughput',
        values: 'images/s',
        categories: cases,
        series: forms.map(({ form }, f) => ({
          name: form,
          values: results.map((result) => result.forms[f].imagesPerSecond),
        })),
      },
    ],
    table: {
      columns: [
        { title: 'case' },
        { title: 'form' },
        ...numberColumns('median, ms', 'p95', 'spread', 'images/s', 'speed-up', 'memory, MB'),
      ],
      rows: results.flatMap((result, i) =>
        result.forms.map(({ form, medianMs, p95Ms, spread, imagesPerSecond, speedup, memoryBytes }) => [
          ...[
            cases[i],
            form,
            rounded(medianMs),
            rounded(p95Ms),
            percent(spread),
            rounded(imagesPerSecond),
            `${speedup.toFixed(2)}×`,
          ],
          rounded(memoryBytes / 1e6),
        ]),
      ),
    },
  };
}

function layerSections(results: readonly CaseResult[]): Section[] {
  return results.flatMap((result) =>
    result.layers === undefined
      ? []
      : [layerSection(`Layers: ${result.network}, ${result.precision}, ${caseName(result)}`, result.layers)],
  );
}

function layerSection(heading: string, report: LayerReport): Section {
  const { peakGigaflopsPerSecond, profiles, layers } = report;
  const names = layers.map(({ label, operation }) => label || `(${operation})`);
  const algorithms = [...new Set(layers.map(algorithmOf))];
  const byAlgorithm = (title: string, values: string, of: (layer: LayerReport['layers'][number]) => number): Chart => ({
    ...{ kind: 'bars', isHorizontal: true, title, values, categories: names },
    series: algorithms.map((name) => ({
      name,
      values: layers.map((layer) => (algorithmOf(layer) === name ? of(layer) : null)),
    })),
  });
  return {
    heading,
    text:
      `Medians of ${profiles} runs; kernels ${kernelNames(report)}. The peak, ${rounded(peakGigaflopsPerSecond)} GFLOP/s, is that of float32 multiply-adds, measured on the spot. Work is ` +
      'counted as a direct convolution’s: Winograd’s algorithms multiply less and can exceed the peak.',
    charts: [
      byAlgorithm('Time', 'ms', ({ medianMs }) => medianMs),
      byAlgorithm('Share of peak', '%', ({ shareOfPeak }) => 100 * shareOfPeak),
    ],
    table: { columns: layerColumns, rows: layers.map(layerRow) },
  };
}

/** Steps that leave nothing to choose share a name. */
function algorithmOf({ algorithm }: LayerReport['layers'][number]): string {
  return algorithm || 'other';
}

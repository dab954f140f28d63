/**
 * What each layer of a session takes, over several profiles, beside the peak of this processor (engine/peak.ts), which
 * is measured between them.
 */
import { measuredPeak, type WorkRates, workRates } from '../engine/peak.js';
import type { Session } from '../session/session.js';
import type { StepDescription } from '../session/steps.js';
import type { Tensor } from '../tensor/tensor.js';
import { counted } from './environment.js';
import { numberColumns, paragraph, print, rounded, table } from './output.js';
import { quantile } from './turns.js';

export interface LayerTime extends StepDescription, WorkRates {
  /** Over several profiled runs. */
  readonly medianMs: number;
  /** The share of the time that all layers take. */
  readonly shareOfTime: number;
}

export interface LayerReport {
  /** Unit of each layer's `costs`. */
  readonly costsUnit: 'estimated vector multiply-adds';
  readonly peakGigaflopsPerSecond: number;
  readonly profiles: number;
  readonly layers: readonly LayerTime[];
}

const mostProfiles = 15;
const secondsForProfiles = 2;

/** Runs the session a number of times with a clock at every step. */
export function measureLayers(session: Session, images: Tensor): LayerReport {
  const { isa, threads } = session.settings;
  const end = performance.now() + 1000 * secondsForProfiles;
  // The first is not counted: it brings weights into the caches.
  session.profileSync(images);
  const profiles = [session.profileSync(images)];
  let peak = measuredPeak(isa);
  while (profiles.length < mostProfiles && performance.now() < end) {
    profiles.push(session.profileSync(images));
    peak = measuredPeak(isa);
  }
  const medians = profiles[0].map((_, step) =>
    quantile(
      profiles.map((profile) => profile[step].milliseconds),
      0.5,
    ),
  );
  const total = medians.reduce((sum, ms) => sum + ms, 0);
  return {
    costsUnit: 'estimated vector multiply-adds',
    peakGigaflopsPerSecond: peak * threads,
    profiles: profiles.length,
    layers: profiles[0].map(({ label, operation, algorithm, kernel, why, costs, macs }, i) => ({
      ...{
        label,
        operation,
        algorithm,
        kernel,
        why,
        costs,
        macs,
        medianMs: medians[i],
        shareOfTime: medians[i] / total,
      },
      ...workRates(macs, medians[i], peak * threads),
    })),
  };
}

/** What {@link layerRow} has. */
export const layerColumns = [
  { title: 'layer' },
  { title: 'algorithm' },
  ...numberColumns('ms', 'of time', 'GFLOP/s', 'of peak'),
];

/**
 * @param of which case these are of
 * @param most more layers than these are the slowest ones, and a line for the rest
 */
export function printLayers(of: string, report: LayerReport, most: number): void {
  const { peakGigaflopsPerSecond, profiles, layers } = report;
  const isCut = layers.length > most;
  const slowestFirst = layers.toSorted((a, b) => b.medianMs - a.medianMs);
  const rows = isCut
    ? [...slowestFirst.slice(0, most).map(layerRow), restRow(slowestFirst.slice(most))]
    : layers.map(layerRow);
  print();
  print(`  ${isCut ? `the ${most} slowest layers` : 'layers'}, ${of}`);
  print(
    `  kernels ${kernelNames(report)}; peak ${rounded(peakGigaflopsPerSecond)} GFLOP/s; medians of ${profiles} runs`,
  );
  print(table(layerColumns, rows));
  print();
  for (const [why, count] of reasonsOf(layers)) print(paragraph(`${why}: ${counted(count, 'layer')}`, '  '));
}

/** Why the algorithms were chosen: each sentence once, and how many layers it is about, the most frequent first. */
function reasonsOf(layers: readonly LayerTime[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { why } of layers) if (why !== '') counts.set(why, (counts.get(why) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a);
}

/**
 * What tables of layers leave to be said, once for all of them. @param isCut whether one has the slowest layers only
 */
export function layerFootnotes(isCut: boolean): string[] {
  return [
    ...(isCut ? ['All layers, in order: --json, --html, or a bench of one case.'] : []),
    'Work is counted as that of a direct convolution; Winograd algorithms multiply less and can exceed the peak, which is that of float32 multiply-adds.',
  ];
}

/** The cells of one layer, as text. */
export function layerRow({
  label,
  operation,
  algorithm,
  medianMs,
  shareOfTime,
  gigaflopsPerSecond,
  shareOfPeak,
}: LayerTime): string[] {
  const hasWork = gigaflopsPerSecond > 0;
  return [
    label || `(${operation})`,
    algorithm,
    medianMs.toFixed(3),
    percent(shareOfTime),
    hasWork ? rounded(gigaflopsPerSecond) : '',
    hasWork ? percent(shareOfPeak) : '',
  ];
}

function restRow(layers: readonly LayerTime[]): string[] {
  const sum = (of: 'medianMs' | 'shareOfTime'): number => layers.reduce((total, layer) => total + layer[of], 0);
  return [`(the other ${layers.length})`, '', sum('medianMs').toFixed(3), percent(sum('shareOfTime')), '', ''];
}

/** Which kernels layers ran on: `avx512`, or `avx512 and amx`. */
export function kernelNames({ layers }: LayerReport): string {
  return [...new Set(layers.map(({ kernel }) => kernel))].filter((kernel) => kernel !== '').join(' and ');
}

/** `12 %` */
export function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

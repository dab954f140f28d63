/**
 * `repconv bench`: published networks, equality first, then speed. Unfused and fused on our engine, or (`--compare`) fused on ours and on another.
 *
 * Every combination of the given precisions, batches and numbers of threads is a case of its own; the network is made once for all of them.
 */
import type { ArchitectureName } from '../nn/models/architecture.js';
import { printComparisons, printForms } from './benchTables.js';
import { type Comparison, compareEngines } from './compare.js';
import { type Environment, environment, environmentLine } from './environment.js';
import { exitCodes } from './failure.js';
import { printLayers } from './layers.js';
import { type CaseResult, type MeasureOptions, measureNetwork } from './measure.js';
import { checkedArchitecture } from './modelFile.js';
import { type NetworkForms, networkForms } from './networkForms.js';
import { onnxRuntime } from './onnxRuntime.js';
import { print, printJson, remark } from './output.js';
import { pageFile } from './page.js';
import type { PrecisionName } from './precision.js';
import { type Progress, ProgressDisplay } from './progress.js';
import { caseName, comparisonPage, formsPage, groupsOf } from './report.js';
import { noisySpread } from './turns.js';

export interface BenchOptions {
  /** Each with each; 0 threads means the default of sessions. */
  readonly batch: readonly number[];
  readonly threads: readonly number[];
  readonly precision: readonly PrecisionName[];
  readonly resolution: number;
  readonly seed: number;
  /** Time for each case. */
  readonly seconds: number;
  /** So many rounds instead; 0: as many as `seconds` allow. */
  readonly rounds: number;
  readonly layers?: boolean;
  /** The other engine. */
  readonly compare?: 'onnxruntime';
  readonly json?: boolean;
  /** File for a page with charts. */
  readonly html?: string;
}

/** What is measured when nobody says what. */
const defaultNetworks: readonly ArchitectureName[] = ['mobileone-s0', 'repvgg-a0'];

/**
 * @throws CommandFailure for an unknown network, or when forms or engines do not compute the same; RepconvError for a precision or package that is not there,
 * and for a page that cannot be written
 */
export async function bench(names: readonly string[], options: BenchOptions): Promise<void> {
  const networks = names.length === 0 ? defaultNetworks : names.map(checkedArchitecture);
  const display = new ProgressDisplay();
  const interrupt = (): never => {
    display.stop();
    process.exit(exitCodes.interrupted);
  };
  process.once('SIGINT', interrupt);
  try {
    await measureAndShow(networks, options, display);
  } finally {
    display.stop();
    process.off('SIGINT', interrupt);
  }
}

async function measureAndShow(networks: readonly ArchitectureName[], options: BenchOptions, display: ProgressDisplay): Promise<void> {
  const { json = false, html, compare, ...rest } = options;
  // What is missing is missed before minutes are spent.
  const page = html === undefined ? null : pageFile(html);
  const engine = compare === undefined ? null : onnxRuntime();
  const place = environment(Math.max(...options.threads));
  if (!json) print(environmentLine(place));
  const commandLine = ['repconv', ...process.argv.slice(2)].join(' ');
  if (engine === null) {
    const results = await measureAll(networks, options, display, measureNetwork, json ? null : printForms);
    warnOfNoise(results, ({ forms }) => forms.map(({ spread }) => spread), place);
    if (json) printJson({ environment: place, options: rest, networks: results });
    await page?.write(formsPage(results, place, commandLine));
  } else {
    const measure = (forms: NetworkForms, oneCase: MeasureOptions): Promise<Comparison> => compareEngines(forms, engine, oneCase, display);
    const results = await measureAll(networks, options, display, measure, json ? null : printComparisons);
    warnOfNoise(results, ({ ours, theirs }) => [ours.spread, theirs.spread], place);
    if (json) printJson({ environment: place, options: rest, comparisons: results });
    await page?.write(comparisonPage(results, place, commandLine));
  }
}

/** @param show called with the cases of a network and precision as soon as they are there; null for no text */
async function measureAll<R extends CaseResult>(
  networks: readonly ArchitectureName[],
  options: BenchOptions,
  display: ProgressDisplay,
  measure: (forms: NetworkForms, options: MeasureOptions, progress: Progress) => Promise<R>,
  show: ((results: readonly R[]) => void) | null,
): Promise<R[]> {
  const results: R[] = [];
  for (const network of networks) {
    display.start(network);
    const forms = await networkForms(network, options, display);
    const ofNetwork: R[] = [];
    for (const oneCase of casesOf(options)) ofNetwork.push(await measure(forms, oneCase, display));
    display.stop();
    results.push(...ofNetwork);
    if (show === null) continue;
    for (const group of groupsOf(ofNetwork)) show(group);
    for (const { layers, ...result } of ofNetwork)
      if (layers !== undefined) printLayers(`${result.precision}, ${caseName(result)}`, layers);
  }
  return results;
}

function casesOf({ precision, batch, threads, seconds, rounds, layers = false }: BenchOptions): MeasureOptions[] {
  return precision.flatMap((ofPrecision) =>
    batch.flatMap((ofBatch) =>
      threads.map((ofThreads) => ({ precision: ofPrecision, batch: ofBatch, threads: ofThreads, seconds, rounds, layers })),
    ),
  );
}

function warnOfNoise<R extends CaseResult>(
  results: readonly R[],
  spreadsOf: (result: R) => number[],
  { load, threads }: Environment,
): void {
  for (const result of results) {
    const worst = Math.max(...spreadsOf(result));
    if (worst <= noisySpread) continue;
    const busy = load > threads / 2 ? ` (load ${load} at the start)` : '';
    const of = results.length > 1 ? `${result.network}, ${caseName(result)}` : result.network;
    remark(`warning: ${of}: the middle half of the times spans ${Math.round(100 * worst)} % of their median: not a quiet machine${busy}`);
  }
}

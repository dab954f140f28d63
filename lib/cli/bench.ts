/**
 * `repconv bench`: published networks, equality first, then speed. Unfused and fused on our engine, or (`--compare`)
 * fused on ours and on another.
 */
import { chosenThreads } from '../engine/threads.js';
import type { ArchitectureName } from '../nn/models/architecture.js';
import { comparisonFootnotes, formFootnotes, printComparisons, printForms } from './benchTables.js';
import { type CaseOptions, caseName, casesOf, checkCases, groupsOf, measureCases } from './cases.js';
import { type Comparison, compareEngines } from './compare.js';
import { environment, environmentLine } from './environment.js';
import { exitCodes } from './failure.js';
import { layerFootnotes, printLayers } from './layers.js';
import { type CaseResult, type MeasureOptions, measureNetwork, type NetworkResult } from './measure.js';
import { checkedArchitecture } from './modelFile.js';
import type { NetworkForms } from './networkForms.js';
import { noiseWarnings } from './noise.js';
import { onnxRuntime, type PeerEngine } from './onnxRuntime.js';
import { colors, paragraph, print, printJson, remark } from './output.js';
import { type Page, pageFile } from './page.js';
import { type Progress, ProgressDisplay } from './progress.js';
import { outliveReader } from './reader.js';
import { comparisonPage, formsPage, type Measurement } from './report.js';
import type { Times } from './turns.js';

export interface BenchOptions extends Omit<CaseOptions, 'threads' | 'rounds' | 'layers'> {
  /** Default: as many as a session takes that is not told. */
  readonly threads?: readonly number[];
  readonly resolution: number;
  readonly seed: number;
  /** So many rounds, instead of as many as `seconds` allow. */
  readonly rounds?: number;
  readonly layers?: boolean;
  /** The other engine. */
  readonly compare?: 'onnxruntime';
  readonly json?: boolean;
  /** File for a page with charts. */
  readonly html?: string;
  /** Replaces the page that is there. */
  readonly force?: boolean;
}

/** What is measured when nobody says what. */
const defaultNetworks: readonly ArchitectureName[] = ['mobileone-s0', 'repvgg-a0'];

/** So many layers are printed of each of several cases; the document of `--json` and the page have all. */
const slowestLayers = 10;

/**
 * @throws CommandFailure for an unknown network, a page that is there already, or when forms or engines do not compute
 * the same; RepconvError for a precision or package that is not there, and for a page that cannot be written. What was
 * measured before a case failed is shown first.
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
    if (options.compare === undefined) await measureAndShow(networks, options, display, threeForms);
    else await measureAndShow(networks, options, display, againstEngine(onnxRuntime()));
  } finally {
    display.stop();
    process.off('SIGINT', interrupt);
  }
}

/** What is measured of each case, and how it is shown. */
interface Question<R extends CaseResult> {
  /** The key of the results in the JSON document. */
  readonly key: string;
  measure(forms: NetworkForms, options: MeasureOptions, progress: Progress): Promise<R>;
  timesOf(result: R): readonly Times[];
  print(results: readonly R[]): void;
  /** Printed once, below the last table. */
  footnotes(results: readonly R[]): readonly string[];
  page(measurement: Measurement<R>): Omit<Page, 'data'>;
}

const threeForms: Question<NetworkResult> = {
  key: 'networks',
  measure: measureNetwork,
  timesOf: ({ forms }) => forms,
  print: printForms,
  footnotes: formFootnotes,
  page: formsPage,
};

function againstEngine(engine: PeerEngine): Question<Comparison> {
  return {
    key: 'comparisons',
    measure: (forms, options, progress) => compareEngines(forms, engine, options, progress),
    timesOf: ({ ours, theirs }) => [ours, theirs],
    print: printComparisons,
    footnotes: comparisonFootnotes,
    page: comparisonPage,
  };
}

async function measureAndShow<R extends CaseResult>(
  networks: readonly ArchitectureName[],
  { json = false, html, force = false, ...options }: BenchOptions,
  display: ProgressDisplay,
  question: Question<R>,
): Promise<void> {
  // What is missing is missed before minutes are spent, and before anything is printed.
  const {
    batch,
    precision,
    resolution,
    seed,
    seconds,
    rounds = 0,
    layers = false,
    threads = [chosenThreads().threads],
  } = options;
  const place = environment(Math.max(...threads));
  const page = html === undefined ? null : pageFile(html, force);
  const cases = casesOf({ batch, precision, threads, seconds, rounds, layers });
  checkCases(cases);
  if (page !== null) outliveReader();

  if (!json) print(paragraph(environmentLine(place)));
  const mostLayers = networks.length * cases.length > 1 ? slowestLayers : Infinity;
  const show = (results: readonly R[]): void => {
    if (!json) printResults(results, question, mostLayers);
  };
  const { results, failure } = await measureCases(
    networks,
    cases,
    { resolution, seed },
    question.measure,
    display,
    show,
  );
  if (results.length > 0) {
    if (!json) printFootnotes(results, question, mostLayers);
    const noise = noiseWarnings(results, question.timesOf, place);
    for (const warning of noise) remark(`warning: ${warning}`);
    const warnings = [
      ...(failure === undefined ? [] : [`not all cases were measured: ${messageOf(failure.error)}`]),
      ...noise,
    ];
    const measured = {
      batch,
      threads,
      precision,
      resolution,
      seed,
      ...(rounds > 0 ? { rounds } : { seconds }),
      layers,
    };
    const document = { environment: place, options: measured, warnings, [question.key]: results };
    if (json) printJson(document);
    await page?.write({ ...question.page({ results, place, warnings, commandLine: commandLine() }), data: document });
  }
  if (failure !== undefined) throw failure.error;
}

function printResults<R extends CaseResult>(results: readonly R[], question: Question<R>, mostLayers: number): void {
  for (const group of groupsOf(results)) question.print(group);
  for (const { layers, ...result } of results)
    if (layers !== undefined) printLayers(`${result.precision}, ${caseName(result)}`, layers, mostLayers);
}

function printFootnotes<R extends CaseResult>(results: readonly R[], question: Question<R>, mostLayers: number): void {
  const layers = results.flatMap((result) => result.layers ?? []);
  const isCut = layers.some((report) => report.layers.length > mostLayers);
  const footnotes = [...question.footnotes(results), ...(layers.length > 0 ? layerFootnotes(isCut) : [])];
  if (footnotes.length > 0) print();
  for (const footnote of footnotes) print(colors.dim(paragraph(footnote, '  ')));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What makes the numbers again. */
function commandLine(): string {
  return ['repconv', ...process.argv.slice(2)].join(' ');
}

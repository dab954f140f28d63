/**
 * The cases of a bench: every combination of the given precisions, batches and numbers of threads, for each network.
 * The network is made once for all.
 *
 * A case that nobody could measure is missed before the first is measured, not when its turn comes; and should one fail
 * all the same (outputs that differ, memory that ends), what was measured before it is kept.
 */
import { Conv2d } from '../nn/layers/conv2d.js';
import type { ArchitectureName } from '../nn/models/architecture.js';
import { compileSync } from '../session/compile.js';
import { randn } from '../tensor/random.js';
import { counted } from './environment.js';
import { type CaseResult, compileOptions, type MeasureOptions } from './measure.js';
import { type NetworkForms, networkForms } from './networkForms.js';
import type { Progress, ProgressDisplay } from './progress.js';

/** What is measured, each with each. */
export interface CaseOptions extends Omit<MeasureOptions, 'batch' | 'threads' | 'precision'> {
  readonly batch: readonly MeasureOptions['batch'][];
  readonly threads: readonly MeasureOptions['threads'][];
  readonly precision: readonly MeasureOptions['precision'][];
}

/** What came of them. */
export interface Measured<R> {
  readonly results: readonly R[];
  /** What the case after the last result failed with. */
  readonly failure?: { readonly error: unknown };
}

/** In the order in which they are measured. */
export function casesOf({ precision, batch, threads, ...rest }: CaseOptions): MeasureOptions[] {
  return precision.flatMap((ofPrecision) =>
    batch.flatMap((ofBatch) =>
      threads.map((ofThreads) => ({ ...rest, precision: ofPrecision, batch: ofBatch, threads: ofThreads })),
    ),
  );
}

/**
 * Compiles one small layer as each case will compile its network. @throws what that would throw: ERR_UNSUPPORTED for a
 * precision without kernels, ERR_INPUT
 */
export function checkCases(cases: readonly MeasureOptions[]): void {
  const layer = new Conv2d(3, 1, 1).eval();
  const pixel = randn([1, 3, 1, 1]);
  for (const oneCase of cases) compileSync(layer, compileOptions(pixel, oneCase))[Symbol.dispose]();
}

/** @param show called with the results of a network as soon as they are there */
export async function measureCases<R extends CaseResult>(
  networks: readonly ArchitectureName[],
  cases: readonly MeasureOptions[],
  of: { readonly resolution: number; readonly seed: number },
  measure: (forms: NetworkForms, options: MeasureOptions, progress: Progress) => Promise<R>,
  display: ProgressDisplay,
  show: (results: readonly R[]) => void,
): Promise<Measured<R>> {
  const results: R[] = [];
  for (const network of networks) {
    const before = results.length;
    let failure: { error: unknown } | undefined;
    display.start(network);
    try {
      const forms = await networkForms(network, of, display);
      for (const oneCase of cases) results.push(await measure(forms, oneCase, display));
    } catch (error) {
      failure = { error };
    }
    display.stop();
    if (results.length > before) show(results.slice(before));
    if (failure !== undefined) return { results, failure };
  }
  return { results };
}

/** `batch 8, 2 threads` */
export function caseName({ input: [batch], threads }: Pick<CaseResult, 'input' | 'threads'>): string {
  return `batch ${batch}, ${counted(threads, 'thread')}`;
}

/** One group for each network and precision, in order. */
export function groupsOf<R extends CaseResult>(results: readonly R[]): R[][] {
  const groups = new Map<string, R[]>();
  for (const result of results) {
    const name = `${result.network} ${result.precision}`;
    groups.set(name, [...(groups.get(name) ?? []), result]);
  }
  return [...groups.values()];
}

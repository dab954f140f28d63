/** `repconv bench`: the published networks unfused and fused, equality first, then speed. */
import { SingleBar } from 'cli-progress';
import { type ArchitectureName, architectures } from '../nn/models/architecture.js';
import { type Environment, environment, environmentLine } from './environment.js';
import { CommandFailure, exitCodes } from './failure.js';
import { equalityLimit, type FormResult, type MeasureOptions, measureNetwork, type NetworkResult, type Progress } from './measure.js';
import { colors, differenceText, print, printJson, remark, rounded, sizeText, table } from './output.js';

export interface BenchOptions extends MeasureOptions {
  readonly json?: boolean;
}

/** What is measured when nobody says what. */
export const defaultNetworks: readonly ArchitectureName[] = ['mobileone-s0', 'repvgg-a0'];

/** Quartiles further apart than this, relative to the median, are no quiet machine's. */
const noisySpread = 0.1;

/** @throws CommandFailure for an unknown network, or when forms do not compute the same */
export async function bench(names: readonly string[], options: BenchOptions): Promise<void> {
  const networks = names.length === 0 ? defaultNetworks : names.map(checkedName);
  const { json = false, ...measureOptions } = options;
  const place = environment(options.threads);
  if (!json) print(environmentLine(place));
  const results: NetworkResult[] = [];
  for (const network of networks) {
    const display = new ProgressDisplay(network);
    try {
      results.push(await measureNetwork(network, measureOptions, display));
    } finally {
      display.stop();
    }
    if (!json) printNetwork(results[results.length - 1], measureOptions);
  }
  if (json) printJson({ environment: place, options: measureOptions, equalityLimit, networks: results });
  for (const { network, forms } of results) warnOfNoise(network, forms, place);
}

function checkedName(name: string): ArchitectureName {
  if (architectures.has(name as ArchitectureName)) return name as ArchitectureName;
  throw new CommandFailure(`unknown network "${name}"; known: ${[...architectures.keys()].join(', ')}`, exitCodes.usage);
}

function printNetwork({ network, input, blocksFused, differences, rounds, forms }: NetworkResult, { batch }: MeasureOptions): void {
  const [written, , merged] = forms;
  const millions = (n: number): string => (n / 1e6).toFixed(1);
  print();
  print(
    `${colors.bold(network)} at ${input.join('×')}: ${blocksFused} blocks fused, ${millions(written.parameters)} → ${millions(merged.parameters)} M parameters, ${rounded(written.macs / 1e6)} → ${rounded(merged.macs / 1e6)} MMAC an image`,
  );
  print(
    `outputs equal: largest difference ${differenceText(differences.folded)} with batch norms folded, ${differenceText(differences.merged)} with branches merged (limit ${equalityLimit})`,
  );
  print();
  const right = { align: 'right' } as const;
  const columns = [
    { title: 'form' },
    { title: 'median', ...right },
    { title: 'p95', ...right },
    { title: 'images/s', ...right },
    { title: 'speed-up', ...right },
    { title: 'memory', ...right },
  ];
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
  print(
    colors.dim(
      `  ${rounds} rounds in which the forms take turns, ${written.samplesMs.length} runs of each counted${batch > 1 ? `; times are of whole batches` : ''}`,
    ),
  );
}

function warnOfNoise(network: string, forms: readonly FormResult[], { load, threads }: Environment): void {
  const worst = Math.max(...forms.map(({ spread }) => spread));
  if (worst <= noisySpread) return;
  const busy = load > threads ? `, load ${load} before the start` : '';
  remark(
    `warning: ${network}: the middle half of the times spreads over ${Math.round(100 * worst)} % of the median${busy}; the machine is not quiet`,
  );
}

/** Stages and a progress bar on stderr, where that is a terminal. */
class ProgressDisplay implements Progress {
  private bar: SingleBar | null = null;

  constructor(private readonly network: string) {}

  stage(text: string): void {
    if (!process.stderr.isTTY) return;
    this.bar ??= this.started();
    this.bar.update(0, { stage: text });
  }

  measured(done: number): void {
    this.bar?.update(done);
  }

  stop(): void {
    this.bar?.stop();
    this.bar = null;
  }

  private started(): SingleBar {
    const bar = new SingleBar({
      format: `  ${this.network} {bar} {percentage} % {stage}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      // The bar does not listen to signals: main.ts does.
      gracefulExit: false,
      stream: process.stderr,
    });
    bar.start(1, 0, { stage: '' });
    return bar;
  }
}

/** `repconv bench`: the published networks unfused and fused, equality first, then speed. */
import { SingleBar } from 'cli-progress';
import type { ArchitectureName } from '../nn/models/architecture.js';
import { type Environment, environment, environmentLine } from './environment.js';
import { exitCodes } from './failure.js';
import { equalityLimit, type FormResult, type MeasureOptions, measureNetwork, type NetworkResult, type Progress } from './measure.js';
import { checkedArchitecture } from './modelFile.js';
import { colors, differenceText, print, printJson, remark, rounded, sizeText, table } from './output.js';

export interface BenchOptions extends MeasureOptions {
  readonly json?: boolean;
}

/** What is measured when nobody says what. */
const defaultNetworks: readonly ArchitectureName[] = ['mobileone-s0', 'repvgg-a0'];

/** Quartiles further apart than this, relative to the median, are no quiet machine's. */
const noisySpread = 0.1;

/** @throws CommandFailure for an unknown network, or when forms do not compute the same */
export async function bench(names: readonly string[], options: BenchOptions): Promise<void> {
  const networks = names.length === 0 ? defaultNetworks : names.map(checkedArchitecture);
  const { json = false, ...measureOptions } = options;
  const results: NetworkResult[] = [];
  const display = new ProgressDisplay();
  const interrupt = (): never => {
    display.stop();
    process.exit(exitCodes.interrupted);
  };
  process.once('SIGINT', interrupt);
  const place = environment(options.threads);
  if (!json) print(environmentLine(place));
  try {
    for (const network of networks) {
      display.start(network);
      const result = await measureNetwork(network, measureOptions, display);
      display.stop();
      results.push(result);
      if (!json) printNetwork(result, measureOptions);
    }
  } finally {
    display.stop();
    process.off('SIGINT', interrupt);
  }
  if (json) printJson({ environment: place, options: measureOptions, equalityLimit, networks: results });
  for (const { network, forms } of results) warnOfNoise(network, forms, place);
}

function printNetwork({ network, input, blocksFused, differences, rounds, forms }: NetworkResult, { batch }: MeasureOptions): void {
  const [written, , merged] = forms;
  const inMillions = (of: 'parameters' | 'macs', digits: number): string =>
    `${(written[of] / 1e6).toFixed(digits)} → ${(merged[of] / 1e6).toFixed(digits)} M`;
  print();
  print(`${colors.bold(network)}  ${input.join('×')}`);
  print(`  ${blocksFused} blocks fused: ${inMillions('parameters', 1)} parameters, ${inMillions('macs', 0)} multiply-accumulates`);
  print(
    `  outputs equal (largest difference ${differenceText(differences.folded)} folded, ${differenceText(differences.merged)} merged; limit ${equalityLimit.toExponential(0)})`,
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
  const ofBatches = batch > 1 ? ` of ${batch} images` : '';
  print(colors.dim(`  ${written.samplesMs.length} runs${ofBatches} counted of each form, which took turns in ${rounds} rounds`));
}

function warnOfNoise(network: string, forms: readonly FormResult[], { load, threads }: Environment): void {
  const worst = Math.max(...forms.map(({ spread }) => spread));
  if (worst <= noisySpread) return;
  const busy = load > threads / 2 ? ` (load ${load} at the start)` : '';
  remark(
    `warning: ${network}: the middle half of the times spans ${Math.round(100 * worst)} % of their median: not a quiet machine${busy}`,
  );
}

/** A progress bar with the stage of the work, on stderr, where that is a terminal. */
class ProgressDisplay implements Progress {
  private bar: SingleBar | null = null;

  start(network: string): void {
    if (!process.stderr.isTTY) return;
    this.bar = new SingleBar({
      format: `  ${network} {bar} {percentage} % {stage}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      // Signals are bench's business.
      gracefulExit: false,
      stream: process.stderr,
    });
    this.bar.start(1, 0, { stage: '' });
  }

  stage(text: string): void {
    this.bar?.update(0, { stage: text });
  }

  measured(done: number): void {
    this.bar?.update(done);
  }

  /** Takes the bar away and gives the cursor back. */
  stop(): void {
    this.bar?.stop();
    this.bar = null;
  }
}

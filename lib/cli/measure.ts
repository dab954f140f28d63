/**
 * Measuring one network in its three forms, side by side.
 *
 *     as written            every branch, every batch norm
 *     batch norms folded    every branch; what any compiler does
 *     branches merged       one convolution for each block; what `repconv` does
 *
 * Equality comes first. Then the forms take turns, so that whatever else the machine does meets all of them; of each turn the first run is not counted,
 * it brings the form's weights back into the caches.
 */
import { macsOf } from '../graph/graph.js';
import { trace } from '../graph/record.js';
import type { ArchitectureName } from '../nn/models/architecture.js';
import type { Module } from '../nn/module.js';
import { repconv } from '../repconv.js';
import { compile } from '../session/compile.js';
import type { Session } from '../session/session.js';
import { difference } from '../tensor/compare.js';
import { Random, randn } from '../tensor/random.js';
import type { Tensor } from '../tensor/tensor.js';
import { CommandFailure } from './failure.js';
import { seededNetwork } from './seededNetwork.js';

export interface MeasureOptions {
  readonly batch: number;
  readonly resolution: number;
  /** 0: the default of sessions. */
  readonly threads: number;
  /** Time for the rounds of one network. */
  readonly seconds: number;
  /** So many rounds instead; 0: as many as `seconds` allow. */
  readonly rounds: number;
  readonly seed: number;
}

export interface FormResult {
  readonly form: 'as written' | 'batch norms folded' | 'branches merged';
  readonly medianMs: number;
  readonly p95Ms: number;
  /** Between the quartiles, over the median. */
  readonly spread: number;
  readonly imagesPerSecond: number;
  /** Median over the rounds of (time as written ÷ this form's). */
  readonly speedup: number;
  /** Packed weights, constants and arena. */
  readonly memoryBytes: number;
  readonly parameters: number;
  /** Multiply-accumulates for one image. */
  readonly macs: number;
  readonly compileMs: number;
  readonly firstRunMs: number;
  /** Counted runs. */
  readonly samplesMs: readonly number[];
}

export interface NetworkResult {
  readonly network: ArchitectureName;
  readonly input: readonly number[];
  readonly blocksFused: number;
  /** Largest difference of the outputs from those of the network as written, relative. */
  readonly differences: { readonly folded: number; readonly merged: number };
  readonly rounds: number;
  readonly forms: readonly FormResult[];
}

/** What a caller may show meanwhile. */
export interface Progress {
  stage(text: string): void;
  /** @param done from 0 to 1 */
  measured(done: number): void;
}

/** Outputs of the forms may differ by so much: rounding, over the depth of these networks. */
export const equalityLimit = 2e-5;

const countedRunsPerTurn = 2;
const fewestRounds = 5;

/** @throws CommandFailure when the forms do not compute the same; then nothing has been measured */
export async function measureNetwork(network: ArchitectureName, options: MeasureOptions, progress: Progress): Promise<NetworkResult> {
  const { batch, resolution, threads, seed } = options;
  progress.stage('seeded weights, statistics from data');
  await pause();
  const model = seededNetwork(network, resolution, seed);
  progress.stage('fusing');
  await pause();
  // The whole network is compared below; a small budget for the certificates of its blocks.
  const { model: merged, report } = repconv(model, { certificateBudget: 1e6 });
  if (report.left > 0)
    throw new CommandFailure(`${network}: ${report.left} blocks were not fused: ${report.blocks.find(({ reason }) => reason)?.reason}`);

  progress.stage('compiling');
  await pause();
  const forms = [
    await compiled('as written', model, { foldBatchNorm: false }),
    await compiled('batch norms folded', model, {}),
    await compiled('branches merged', merged, {}),
  ];
  try {
    const images = randn([batch, 3, resolution, resolution], { generator: new Random(seed + 1) });
    const outputs = forms.map((form) => form.first(images));
    const [folded, afterMerge] = outputs.slice(1).map((output) => difference(output, outputs[0]).relative);
    for (const [form, relative] of [
      ['batch norms folded', folded],
      ['branches merged', afterMerge],
    ] as const) {
      if (!(relative <= equalityLimit))
        throw new CommandFailure(
          `${network}, ${form}: outputs differ by ${relative.toExponential(1)}, more than ${equalityLimit}; not measured`,
        );
    }
    progress.stage('measuring');
    const rounds = await takeTurns(forms, images, options, progress);
    return {
      network,
      input: images.shape,
      blocksFused: report.fused,
      differences: { folded, merged: afterMerge },
      rounds,
      forms: forms.map((form) => form.result(forms[0].samples, batch)),
    };
  } finally {
    for (const form of forms) form.session[Symbol.dispose]();
  }

  async function compiled(form: FormResult['form'], source: Module, passes: { foldBatchNorm?: boolean }): Promise<Form> {
    const start = performance.now();
    const session = await compile(source, {
      ...passes,
      inputs: { images: ['N', 3, resolution, resolution] },
      maxBatch: batch,
      ...(threads === 0 ? {} : { threads }),
    });
    const compileMs = performance.now() - start;
    const { nodes } = trace(source, { images: [1, 3, resolution, resolution] });
    return new Form(
      form,
      session,
      compileMs,
      source.parameterCount(),
      nodes.reduce((sum, node) => sum + macsOf(node), 0),
    );
  }
}

/** One form, its session and its times. */
class Form {
  readonly samples: number[] = [];
  private firstRunMs = 0;

  constructor(
    private readonly form: FormResult['form'],
    readonly session: Session,
    private readonly compileMs: number,
    private readonly parameters: number,
    private readonly macs: number,
  ) {}

  /** The first run, and what it gives. */
  first(images: Tensor): Tensor {
    const start = performance.now();
    const { output } = this.session.runSync(images);
    this.firstRunMs = performance.now() - start;
    return output;
  }

  turn(images: Tensor): void {
    this.session.runSync(images);
    for (let i = 0; i < countedRunsPerTurn; i++) {
      const start = performance.now();
      this.session.runSync(images);
      this.samples.push(performance.now() - start);
    }
  }

  result(asWritten: readonly number[], batch: number): FormResult {
    const { samples } = this;
    const medianMs = quantile(samples, 0.5);
    const turns = Array.from({ length: samples.length / countedRunsPerTurn }, (_, i) => {
      const ofTurn = (all: readonly number[]): number =>
        all.slice(i * countedRunsPerTurn, (i + 1) * countedRunsPerTurn).reduce((sum, ms) => sum + ms, 0);
      return ofTurn(asWritten) / ofTurn(samples);
    });
    return {
      form: this.form,
      medianMs,
      p95Ms: quantile(samples, 0.95),
      spread: (quantile(samples, 0.75) - quantile(samples, 0.25)) / medianMs,
      imagesPerSecond: (1000 * batch) / medianMs,
      speedup: quantile(turns, 0.5),
      memoryBytes: this.session.memory().totalBytes,
      parameters: this.parameters,
      macs: this.macs,
      compileMs: this.compileMs,
      firstRunMs: this.firstRunMs,
      samplesMs: samples,
    };
  }
}

/** Rounds in which every form has its turn, each round beginning with another. */
async function takeTurns(forms: readonly Form[], images: Tensor, { seconds, rounds }: MeasureOptions, progress: Progress): Promise<number> {
  const start = performance.now();
  for (let round = 0; ; round++) {
    const elapsed = (performance.now() - start) / 1000;
    const done = rounds > 0 ? round / rounds : Math.min(round / fewestRounds, elapsed / seconds);
    progress.measured(Math.min(1, done));
    if (done >= 1) return round;
    for (let i = 0; i < forms.length; i++) {
      forms[(round + i) % forms.length].turn(images);
      await pause();
    }
  }
}

/** Linear interpolation between the sorted samples, as R's and NumPy's default. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  return sorted[below] + (at - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
}

/** Lets signals, timers and the terminal have their turn. */
function pause(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

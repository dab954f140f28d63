/**
 * Measuring one network in its three forms, side by side, after finding that they compute the same.
 *
 *     as written            every branch, every batch norm
 *     batch norms folded    every branch; what any compiler does
 *     branches merged       one convolution for each block; what `repconv` does
 */
import { macsOf } from '../graph/graph.js';
import { trace } from '../graph/record.js';
import type { ArchitectureName } from '../nn/models/architecture.js';
import type { Module } from '../nn/module.js';
import { compile } from '../session/compile.js';
import type { CompileOptions } from '../session/options.js';
import type { Session } from '../session/session.js';
import { Random, randn } from '../tensor/random.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkEqual, type Equality } from './equality.js';
import { type LayerReport, measureLayers } from './layers.js';
import type { NetworkForms } from './networkForms.js';
import { type Progress, pause } from './progress.js';
import { quantile, ratiosOf, type Times, takeTurns, timesOf } from './turns.js';

/** One row of what a command measures, and how. */
export interface MeasureOptions {
  readonly batch: number;
  readonly threads: number;
  readonly precision: NonNullable<CompileOptions['precision']>;
  /** Time for the rounds. */
  readonly seconds: number;
  /** So many rounds instead; 0: as many as `seconds` allow. */
  readonly rounds: number;
  /** Also what each layer takes. */
  readonly layers: boolean;
}

export interface FormResult extends Times {
  readonly form: 'as written' | 'batch norms folded' | 'branches merged';
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
}

/** Every measured case says what it was. */
export interface CaseResult {
  readonly network: ArchitectureName;
  readonly input: readonly number[];
  readonly threads: number;
  /** What was computed in, also where `fastest` was asked for. */
  readonly precision: Session['settings']['precision'];
  readonly rounds: number;
  /** The layers of the network with its branches merged. */
  readonly layers?: LayerReport;
}

export interface NetworkResult extends CaseResult {
  readonly blocksFused: number;
  /** How far the outputs are from those of the network as written, in float32. */
  readonly equality: { readonly folded: Equality; readonly merged: Equality };
  readonly forms: readonly FormResult[];
}

const countedRunsPerTurn = 2;

/** @throws CommandFailure when the forms do not compute the same; then nothing has been measured */
export async function measureNetwork(
  { network, resolution, seed, written, merged, blocksFused }: NetworkForms,
  options: MeasureOptions,
  progress: Progress,
): Promise<NetworkResult> {
  const { batch } = options;
  const images = randn([batch, 3, resolution, resolution], { generator: new Random(seed + 1) });
  const forms: Form[] = [];
  try {
    for (const [form, source, foldBatchNorm] of [
      ['as written', written, false],
      ['batch norms folded', written, true],
      ['branches merged', merged, true],
    ] as const) {
      progress.stage('compiling');
      await pause();
      forms.push(await Form.compiled(form, source, foldBatchNorm, images, options));
    }
    const settled = forms[0].session.settings.precision;
    const expected = settled === 'float32' ? forms[0].output : await outputInFloat32(written, images, options);
    const [, folded, mergedEqually] = forms.map(
      ({ form, output }): Equality => checkEqual(`${network}, ${form}, ${settled}`, output, expected, settled),
    );
    progress.stage('measuring');
    const contenders = forms.map(
      ({ session }) =>
        () =>
          session.runSync(images),
    );
    const turns = await takeTurns(contenders, { ...options, runsPerTurn: countedRunsPerTurn, restMs: 0 }, progress);
    return {
      network,
      input: images.shape,
      threads: forms[2].session.settings.threads,
      precision: settled,
      blocksFused,
      equality: { folded, merged: mergedEqually },
      rounds: turns[0].length,
      forms: forms.map((form, i) => form.result(turns[i], turns[0], batch)),
      ...(options.layers ? { layers: measureLayers(forms[2].session, images) } : {}),
    };
  } finally {
    for (const { session } of forms) session[Symbol.dispose]();
  }
}

/** What {@link MeasureOptions} mean for `compile`. */
export function compileOptions({ shape: [batch, , height, width] }: Tensor, { threads, precision }: MeasureOptions) {
  return { precision, threads, inputs: { images: ['N', 3, height, width] }, maxBatch: batch } as const;
}

async function outputInFloat32(model: Module, images: Tensor, options: MeasureOptions): Promise<Tensor> {
  const session = await compile(model, { ...compileOptions(images, options), precision: 'float32' });
  try {
    return session.runSync(images).output;
  } finally {
    session[Symbol.dispose]();
  }
}

/** One form and its session, which has run once. */
class Form {
  private constructor(
    readonly form: FormResult['form'],
    readonly session: Session,
    readonly output: Tensor,
    private readonly facts: Pick<FormResult, 'parameters' | 'macs' | 'compileMs' | 'firstRunMs'>,
  ) {}

  static async compiled(
    form: FormResult['form'],
    source: Module,
    foldBatchNorm: boolean,
    images: Tensor,
    options: MeasureOptions,
  ): Promise<Form> {
    const start = performance.now();
    const session = await compile(source, { ...compileOptions(images, options), foldBatchNorm });
    const compiled = performance.now();
    const { output } = session.runSync(images);
    const { nodes } = trace(source, { images: [1, ...images.shape.slice(1)] });
    return new Form(form, session, output, {
      parameters: source.parameterCount(),
      macs: nodes.reduce((sum, node) => sum + macsOf(node), 0),
      compileMs: compiled - start,
      firstRunMs: performance.now() - compiled,
    });
  }

  result(turns: readonly number[][], asWritten: readonly number[][], batch: number): FormResult {
    const times = timesOf(turns);
    return {
      form: this.form,
      ...times,
      imagesPerSecond: (1000 * batch) / times.medianMs,
      speedup: quantile(ratiosOf(asWritten, turns), 0.5),
      memoryBytes: this.session.memory().totalBytes,
      ...this.facts,
    };
  }
}

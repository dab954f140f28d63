/**
 * A network with its branches merged, run by this package and by another engine, on the same number of threads, in one
 * process.
 *
 * The other engine gets the ONNX export of the very model. Equality comes first. Then the two take turns; after each
 * turn nothing runs for a moment, so that threads of the engine that has had its turn, which spin while they wait for
 * work, are asleep before the other's clock starts. Ours is called by `runSync`, as the other computes on the calling
 * thread too.
 */
import { setTimeout as rest } from 'node:timers/promises';
import { toOnnx } from '../onnx/toOnnx.js';
import { compile } from '../session/compile.js';
import { Random, randn } from '../tensor/random.js';
import { checkEqual, type Equality } from './equality.js';
import { measureLayers } from './layers.js';
import { type CaseResult, compileOptions, type MeasureOptions } from './measure.js';
import type { NetworkForms } from './networkForms.js';
import type { PeerEngine } from './onnxRuntime.js';
import { type Progress, pause } from './progress.js';
import { quantile, ratiosOf, type Times, takeTurns, timed, timesOf } from './turns.js';

/** Times of one engine. */
export interface EngineResult extends Times {
  readonly imagesPerSecond: number;
  /** From the model (for the other engine: from the ONNX bytes) to a session. */
  readonly compileMs: number;
  readonly firstRunMs: number;
}

export interface Comparison extends CaseResult {
  readonly peer: { readonly name: string; readonly version: string };
  readonly equality: Equality;
  /** The other engine's time divided by ours, median over the rounds: above 1 we are faster. */
  readonly ratio: number;
  readonly ratioQuartiles: readonly [number, number];
  /** One for each round. */
  readonly ratios: readonly number[];
  readonly ours: EngineResult & { readonly memoryBytes: number };
  readonly theirs: EngineResult;
}

/** Long enough for spinning threads of either engine to give up and sleep. */
const restMs = 20;
/** A turn takes about so long for the slower engine. */
const turnMs = 80;

/** @throws CommandFailure when the engines do not compute the same; then nothing has been measured */
export async function compareEngines(
  { network, resolution, seed, merged }: NetworkForms,
  engine: PeerEngine,
  options: MeasureOptions,
  progress: Progress,
): Promise<Comparison> {
  const { batch } = options;
  const images = randn([batch, 3, resolution, resolution], { generator: new Random(seed + 1) });
  progress.stage('compiling');
  await pause();
  const start = performance.now();
  const session = await compile(merged, compileOptions(images, options));
  const ourCompileMs = performance.now() - start;
  try {
    const { threads, precision } = session.settings;
    const bytes = toOnnx(merged, { inputs: { images: ['N', 3, resolution, resolution] }, outputs: ['output'] });
    const opening = performance.now();
    const peerSession = await engine.open(bytes, threads);
    const theirCompileMs = performance.now() - opening;
    try {
      const [ours, theirs] = [() => session.runSync(images), peerSession.runner(images)];
      const firstMs = [await timed(ours), await timed(theirs)];
      const equality = checkEqual(
        `${network}, repconv against ${engine.name}`,
        ours().output,
        await theirs(),
        precision,
      );
      progress.stage('measuring');
      const turns = await takeTurns(
        [ours, theirs],
        { ...options, runsPerTurn: await runsPerTurn([ours, theirs]), restMs },
        progress,
      );
      const ratios = ratiosOf(turns[1], turns[0]);
      const result = (which: 0 | 1, compileMs: number): EngineResult => {
        const times = timesOf(turns[which]);
        return { ...times, imagesPerSecond: (1000 * batch) / times.medianMs, compileMs, firstRunMs: firstMs[which] };
      };
      return {
        network,
        input: images.shape,
        threads,
        precision,
        peer: { name: engine.name, version: engine.version },
        equality,
        rounds: ratios.length,
        ratio: quantile(ratios, 0.5),
        ratioQuartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
        ratios,
        ours: { ...result(0, ourCompileMs), memoryBytes: session.memory().totalBytes },
        theirs: result(1, theirCompileMs),
        ...(options.layers ? { layers: measureLayers(session, images) } : {}),
      };
    } finally {
      await peerSession.close();
    }
  } finally {
    session[Symbol.dispose]();
  }
}

/** As many counted runs as make a turn of the slower one about {@link turnMs} long, 2 to 12; the same for both. */
async function runsPerTurn(contenders: readonly (() => unknown)[]): Promise<number> {
  let slowest = 0;
  for (const run of contenders) {
    await rest(restMs);
    await timed(run);
    slowest = Math.max(slowest, await timed(run));
  }
  return Math.max(2, Math.min(12, Math.round(turnMs / slowest)));
}

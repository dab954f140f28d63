/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A session: a compiled model with its packed weights, its plans and its memory, as its user sees it.
 *
 * Weights were packed when it was made: changing the model afterwards changes nothing here. Shapes that the inputs
 * leave open are bound by each run; a plan is made for each set of shapes and kept, the least recently used going
 * first.
 */
import { inspect } from 'node:util';
import type { NativeMemory, NativeSettings } from '../engine/addon.js';
import { knownPeak, knownPeakSync, type WorkRates, workRates } from '../engine/peak.js';
import { RepconvError, sizeText } from '../errors.js';
import { type OpenShape, showShape, writtenShape } from '../tensor/shape.js';
import { randomInputs, type SessionInputs, type SessionOutputs } from './arguments.js';
import { checkedRunOptions, checkedRunSyncOptions, type RunOptions, type RunSyncOptions } from './options.js';
import type { Plan } from './plans.js';
import type { Run, Runs } from './runs.js';
import type { StepDescription } from './steps.js';

/**
 * What `using` and `await using` call. Before Node 24, realms of their own (Jest, `vm`) have no such symbols: there the
 * code that esbuild and Babel make of `using` asks for these.
 */
const syncDispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** One line of {@link Session.profile}. */
export interface StepProfile extends StepDescription, WorkRates {
  /** How long the step took. */
  readonly milliseconds: number;
}

/** What a session settled on, and why so many threads. */
export interface SessionSettings extends NativeSettings {
  /**
   * Who decided {@link threads}: the option, `REPCONV_THREADS`, the affinity of the process or the quota of its control
   * group.
   */
  readonly threadsBecause: string;
}

/** Bytes that a session holds outside JavaScript's heap. */
export interface SessionMemory extends NativeMemory {
  /** All of them together. */
  readonly totalBytes: number;
}

/**
 * A compiled model; made by {@link compile}. Any number of runs may be under way at once. Give its memory back with
 * {@link dispose}. It belongs to the thread that made it: it cannot be posted to a Worker, which compiles its own.
 *
 * @example
 * ```ts
 * import { Conv2d, compile, randn, ReLU, Sequential } from 'repconv';
 *
 * const net = new Sequential(new Conv2d(3, 8, 3, { padding: 1 }), new ReLU()).eval();
 * const session = await compile(net, { inputs: { images: ['N', 3, 32, 32] } });
 * const [one, four] = await Promise.all([session.run(randn([1, 3, 32, 32])), session.run(randn([4, 3, 32, 32]))]);
 * console.log(one.output.shape, four.output.shape); // [ 1, 8, 32, 32 ] [ 4, 8, 32, 32 ]
 * console.log(session.inputs, session.queueDepth); // { images: [ 'N', 3, 32, 32 ] } 0
 * await session.dispose();
 * ```
 */
export class Session {
  readonly #runs: Runs;

  /** Use {@link compile}. @internal */
  constructor(runs: Runs) {
    this.#runs = runs;
    Object.defineProperty(this, 'belongsToItsThread', uncopiable);
  }

  /** Names and shapes of what runs take, bytes with channels last; letters are open extents. */
  get inputs(): Readonly<Record<string, OpenShape>> {
    return Object.fromEntries(
      this.#runs.compiled.shapes.declared.map(({ name, shape }) => [name, writtenShape(shape)]),
    );
  }

  /** Names and shapes of what runs give; letters are extents that follow from the inputs. */
  get outputs(): Readonly<Record<string, OpenShape>> {
    return Object.fromEntries(
      [...this.#runs.compiled.graph.outputs].map(([name, { type }]) => [name, writtenShape(type.shape)]),
    );
  }

  /** Runs that wait or compute, {@link runSync} not among them; at most `maxQueue`. */
  get queueDepth(): number {
    return this.#runs.depth;
  }

  /**
   * The instruction set and precision in use, and the threads that one run may take: what was asked for, or what this
   * processor and process allow, and which of these it was.
   * @throws ERR_DISPOSED
   */
  get settings(): SessionSettings {
    const { threadsBecause } = this.#runs.compiled;
    return { ...this.#runs.alive('settings').settings(), threadsBecause };
  }

  /**
   * Computes on threads of the pool; the JavaScript thread stays free, also where the shapes are new and a plan has to
   * be made. A lone run uses as many threads as it may, as many runs as threads use one each. The inputs are copied
   * before the call returns, shared memory as it is then; the outputs are fresh tensors, but for those of `out`.
   * @throws ERR_INPUT for missing, unknown or detached inputs or tensors of `out`, ERR_SHAPE for shapes other than
   * declared, ERR_BUSY when `maxQueue` runs wait or compute, ERR_DISPOSED, ERR_OOM; what the signal says when it aborts
   * (an AbortError unless told otherwise)
   */
  async run(inputs: SessionInputs, options: RunOptions = {}): Promise<SessionOutputs> {
    const { signal, out } = checkedRunOptions(options);
    signal?.throwIfAborted();
    const native = this.#runs.admitting('run');
    const run = this.#runs.runOf(inputs, out, 'run');
    await this.#runs.run(native, run, signal);
    return run.outputs;
  }

  /**
   * {@link run} on the calling thread (and the pool's others), done when it returns: for workers and scripts. Reads the
   * inputs and writes the outputs where they lie.
   * @throws as {@link run}, but for aborts and ERR_BUSY
   */
  runSync(inputs: SessionInputs, options: RunSyncOptions = {}): SessionOutputs {
    const { out } = checkedRunSyncOptions(options);
    const native = this.#runs.alive('runSync');
    const run = this.#runs.runOf(inputs, out, 'runSync');
    this.#runs.runSync(native, run);
    return run.outputs;
  }

  /**
   * Runs once, as {@link run} does, and tells what each step took, and which share of the processor's peak that is
   * (measured by the first call in a process, in a tenth of a second, on the pool). Without inputs: on one random
   * image, the same each time; where the batch was declared, on that many.
   * @throws as {@link run}; ERR_INPUT for no inputs where more than the batch is open
   */
  async profile(inputs?: SessionInputs): Promise<StepProfile[]> {
    const native = this.#runs.admitting('profile');
    const { isa, threads } = native.settings();
    const run = this.#timedRun(inputs, 'profile');
    await this.#runs.run(native, run);
    return profileOf(run, threads * (await knownPeak(isa)));
  }

  /** {@link profile} on the calling thread, done when it returns. @throws as {@link runSync} */
  profileSync(inputs?: SessionInputs): StepProfile[] {
    const native = this.#runs.alive('profileSync');
    const { isa, threads } = native.settings();
    const run = this.#timedRun(inputs, 'profileSync');
    this.#runs.runSync(native, run);
    return profileOf(run, threads * knownPeakSync(isa));
  }

  /**
   * What was decided for the given inputs: per step the algorithm and why. Without inputs: for one image (where the
   * batch was declared, for that many); where more than the batch is open, for those of the latest run, and nothing
   * before the first. Algorithms are those for the largest batch whatever the inputs: see `maxBatch`.
   * @throws ERR_DISPOSED, and as {@link run} for the given inputs
   */
  describe(inputs?: SessionInputs): StepDescription[] {
    this.#runs.alive('describe');
    const { plans } = this.#runs;
    const plan = inputs === undefined ? this.#usualPlan() : this.#runs.planOf(inputs, 'describe');
    if (plan !== undefined) plans.make(plan);
    return (plan?.steps ?? []).map((step) => ({ ...step }));
  }

  /**
   * Bytes held outside the JavaScript heap, by what they are for; all 0 once disposed. What only larger shapes needed
   * goes
   * when their plans go.
   */
  memory(): SessionMemory {
    const none = { packedBytes: 0, constantBytes: 0, arenaBytes: 0, stagingBytes: 0 };
    const memory = this.#runs.native?.memory() ?? none;
    const { packedBytes, constantBytes, arenaBytes, stagingBytes } = memory;
    return { ...memory, totalBytes: packedBytes + constantBytes + arenaBytes + stagingBytes };
  }

  /** Gives the memory back. Runs under way end well; new ones are refused. A second call does nothing. */
  async dispose(): Promise<void> {
    this.#runs.dispose();
  }

  /** {@link dispose}, called by `using`. */
  [syncDispose](): void {
    this.#runs.dispose();
  }

  /** {@link dispose}, called by `await using`. */
  async [asyncDispose](): Promise<void> {
    this.#runs.dispose();
  }

  /** What `JSON.stringify` and `console.log` show of it. */
  toJSON(): object {
    const { declared } = this.#runs.compiled.shapes;
    const about = {
      inputs: Object.fromEntries(declared.map(({ name, dtype, shape }) => [name, `${dtype} ${showShape(shape)}`])),
      outputs: Object.fromEntries(
        Object.entries(this.outputs).map(([name, shape]) => [name, `float32 [${shape.join(',')}]`]),
      ),
    };
    if (this.#runs.native === null) return { ...about, isDisposed: true };
    const { precision, threads } = this.settings;
    return { ...about, precision, threads, memory: sizeText(this.memory().totalBytes) };
  }

  /** What `console.log` shows. @internal */
  [inspect.custom](_depth: number, options: object): string {
    return `Session ${inspect(this.toJSON(), options)}`;
  }

  /** The plan for one image or, where more than the batch is open, that of the latest run. */
  #usualPlan(): Plan | undefined {
    const { oneImage } = this.#runs.compiled.shapes;
    return oneImage === null ? this.#runs.plans.latest : this.#runs.planFor(oneImage);
  }

  #timedRun(inputs: SessionInputs | undefined, operation: string): Required<Run> {
    const { declared, oneImage } = this.#runs.compiled.shapes;
    const given = inputs === undefined ? randomInputs(declared, oneImage, operation) : inputs;
    return this.#runs.timedRunOf(given, operation);
  }
}

/**
 * A property that whoever copies an object has to read: a structured clone (`postMessage`, `workerData`) and `{
 * ...session }` alike. Without it they would make an empty object, and not say so.
 */
const uncopiable: PropertyDescriptor = {
  enumerable: true,
  get(): never {
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      'session: cannot be copied, nor posted to a Worker: it belongs to the thread that compiled it. Compile the model in each Worker, or post the inputs to this thread',
    );
  },
};

function profileOf({ plan, nanoseconds }: Required<Run>, peak: number): StepProfile[] {
  return plan.steps.map((step, i) => {
    const milliseconds = nanoseconds[i] / 1e6;
    return { ...step, milliseconds, ...workRates(step.macs, milliseconds, peak) };
  });
}

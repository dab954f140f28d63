/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A session: a compiled model with its packed weights, its plans and its memory.
 *
 * Weights were packed when it was made: changing the model afterwards changes nothing here. Shapes that the inputs
 * leave open are bound by each run; a plan is made for each set of shapes and kept, the least recently used going
 * first.
 */
import {
  type NativeMemory,
  type NativeSession,
  type NativeSettings,
  nativeAddon,
  type StepDescription,
} from '../engine/addon.js';
import { knownPeak, type WorkRates, workRates } from '../engine/peak.js';
import { type BuilderValue, channelsLast } from '../engine/programBuilder.js';
import { RepconvError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { type Shape, sizeOf } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { type AbortSignalLike, onAbort } from './abort.js';
import {
  checkedInputs,
  checkedOutputs,
  type DeclaredInput,
  type GivenInput,
  randomInputs,
  type SessionInputs,
  type SessionOutputs,
} from './arguments.js';
import { InputShapes } from './inputShapes.js';
import { checkedRunOptions, checkedRunSyncOptions, type RunOptions, type RunSyncOptions } from './options.js';
import { type Plan, Plans } from './plans.js';

/**
 * When compiling runs over zeros: where inputs and outputs have at most so many bytes, which are copied on the
 * JavaScript thread, and no step so many multiply-adds that waiting for its end would be felt; and after how many
 * milliseconds the run is told to stop, which it does between two steps. Where runs take longer, what the first one
 * meets is a small part of it.
 */
const warmUp = { bytes: 4 << 20, macs: 5e8, milliseconds: 20 };

/**
 * What `using` and `await using` call. Before Node 24, realms of their own (Jest, `vm`) have no such symbols: there the
 * code that esbuild and Babel make of `using` asks for these.
 */
const syncDispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** One line of {@link Session.profile}. */
export interface StepProfile extends StepDescription, WorkRates {
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

/** What a session is made of. */
export interface SessionParts {
  readonly native: NativeSession;
  readonly graph: Graph;
  readonly origins: readonly BuilderValue[];
  readonly maxBatch: number;
  readonly maxQueue: number;
  readonly threadsBecause: string;
  /** Names of the inputs that come as bytes. */
  readonly byteInputs: ReadonlySet<string>;
}

/**
 * A compiled model; made by {@link compile}. Any number of runs may be under way at once. Give its memory back with
 * {@link dispose}.
 */
export class Session {
  #native: NativeSession | null;
  #queueDepth = 0;
  /** Runs whose plan is being made. */
  #planning = 0;
  readonly #plans: Plans;
  readonly #shapes: InputShapes;
  readonly #declared: readonly DeclaredInput[];
  readonly #maxQueue: number;
  readonly #threadsBecause: string;

  /** Use {@link compile}. */
  private constructor({ native, graph, origins, maxBatch, maxQueue, threadsBecause, byteInputs }: SessionParts) {
    this.#native = native;
    this.#maxQueue = maxQueue;
    this.#threadsBecause = threadsBecause;
    this.#plans = new Plans(native, graph, origins);
    this.#declared = graph.inputs.map(({ name, type }) =>
      byteInputs.has(name)
        ? { name, dtype: 'uint8', shape: channelsLast(type.shape) }
        : { name, dtype: 'float32', shape: type.shape },
    );
    this.#shapes = new InputShapes(this.#declared, maxBatch);
  }

  /**
   * Plans what is known now: weights are packed, and what cannot run is refused. After that nothing outside is read any
   * more.
   */
  static openSync(parts: SessionParts): Session {
    const session = new Session(parts);
    try {
      const known = session.#shapes.onlyOpenBatch;
      if (known !== null) session.#plans.make(session.#planFor(known));
      parts.native.keepConstants(known === null ? 'all' : 'used');
      return session;
    } catch (error) {
      session.#dispose();
      throw error;
    }
  }

  /**
   * {@link openSync} with the packing on the pool: the constants are copied as they are now, and those that were packed
   * are let go of in the end. Then the session is warmed up.
   */
  static async open(parts: SessionParts): Promise<Session> {
    const session = new Session(parts);
    try {
      const known = session.#shapes.onlyOpenBatch;
      parts.native.keepConstants(known === null ? 'all' : 'shared');
      if (known === null) return session;
      const plan = session.#planFor(known);
      await session.#plans.makeAsync(plan);
      const steps = parts.native.describe(plan.id as number);
      session.#plans.release(plan);
      parts.native.keepConstants('used');
      await session.#warmUp(known, steps);
      return session;
    } catch (error) {
      session.#dispose();
      throw error;
    }
  }

  /** Names and shapes of what runs take, bytes with channels last; letters are open extents. */
  get inputs(): Readonly<Record<string, Shape>> {
    return Object.fromEntries(this.#declared.map(({ name, shape }) => [name, shape]));
  }

  /** Runs that wait or compute, {@link runSync} not among them; at most `maxQueue`. */
  get queueDepth(): number {
    return this.#queueDepth;
  }

  /**
   * The instruction set and precision in use, and the threads that one run may take: what was asked for, or what this
   * processor and process allow, and which of these it was.
   * @throws ERR_DISPOSED
   */
  get settings(): SessionSettings {
    return { ...this.#alive('settings').settings(), threadsBecause: this.#threadsBecause };
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
    const native = this.#alive('run');
    if (this.#queueDepth >= this.#maxQueue)
      throw new RepconvError(
        'ERR_BUSY',
        `run: expects at most ${this.#maxQueue} runs waiting or computing (maxQueue), and there are ${this.#queueDepth}`,
      );
    const given = this.#checkedInputs(inputs, 'run');
    const plan = this.#planFor(given.map(({ shape }) => shape));
    const outputs = checkedOutputs(out, plan.outputs, 'run');
    this.#queueDepth++;
    try {
      const data = given.map((input) => input.data);
      const begun =
        plan.id !== null
          ? this.#begin(native, plan, data, outputs)
          : await this.#beginPlanned(native, plan, data, outputs, signal);
      await settled(begun, signal);
      return outputs;
    } finally {
      this.#queueDepth--;
    }
  }

  /**
   * {@link run} on the calling thread (and the pool's others), done when it returns: for workers and scripts. Reads the
   * inputs and writes the outputs where they lie.
   * @throws as {@link run}, but for aborts and ERR_BUSY
   */
  runSync(inputs: SessionInputs, options: RunSyncOptions = {}): SessionOutputs {
    const { out } = checkedRunSyncOptions(options);
    return this.#runHere(inputs, out, 'runSync').outputs;
  }

  /**
   * Runs once, on the calling thread, and tells what each step took, and which share of the processor's peak that is
   * (measured by the first call in a process, in a tenth of a second). Without inputs: on random ones of the largest
   * batch, the same each time.
   * @throws as {@link runSync}; ERR_INPUT for no inputs where more than the batch is open
   */
  profile(inputs?: SessionInputs): StepProfile[] {
    const { isa, threads } = this.#alive('profile').settings();
    const given = inputs === undefined ? randomInputs(this.#declared, this.#shapes.onlyOpenBatch, 'profile') : inputs;
    const { steps, nanoseconds } = this.#runHere(given, undefined, 'profile');
    const peak = threads * knownPeak(isa);
    return steps.map((step, i) => ({
      ...step,
      milliseconds: nanoseconds[i] / 1e6,
      ...workRates(step.macs, nanoseconds[i] / 1e6, peak),
    }));
  }

  /**
   * What was decided for the given inputs: per step the algorithm and why. Without inputs: for those of the largest
   * batch; where more than the batch is open, for those of the latest run, and nothing before the first.
   * @throws ERR_DISPOSED, and as {@link run} for the given inputs
   */
  describe(inputs?: SessionInputs): StepDescription[] {
    const native = this.#alive('describe');
    const largest = this.#shapes.onlyOpenBatch;
    if (inputs === undefined && largest === null) {
      const { latest } = this.#plans;
      return latest === undefined ? [] : native.describe(latest.id as number);
    }
    const shapes =
      inputs === undefined
        ? (largest as number[][])
        : this.#checkedInputs(inputs, 'describe').map(({ shape }) => shape);
    return native.describe(this.#plans.make(this.#planFor(shapes)));
  }

  /**
   * Bytes held outside the JavaScript heap: packed weights, constants, one arena for each run at a time so far, and the
   * copies of inputs and outputs of runs that wait or compute (some are kept for the next ones). What only larger
   * shapes needed goes when their plans go.
   */
  memory(): NativeMemory & { readonly totalBytes: number } {
    const memory = this.#native?.memory() ?? { packedBytes: 0, constantBytes: 0, arenaBytes: 0, stagingBytes: 0 };
    return {
      ...memory,
      totalBytes: memory.packedBytes + memory.constantBytes + memory.arenaBytes + memory.stagingBytes,
    };
  }

  /** Gives the memory back. Runs under way end well; new ones are refused. A second call does nothing. */
  async dispose(): Promise<void> {
    this.#dispose();
  }

  [syncDispose](): void {
    this.#dispose();
  }

  async [asyncDispose](): Promise<void> {
    this.#dispose();
  }

  #dispose(): void {
    const native = this.#native;
    this.#native = null;
    if (native !== null) this.#giveBack(native);
  }

  /** Once disposed, and as soon as no run waits for a plan. */
  #giveBack(native: NativeSession): void {
    if (this.#native !== null || this.#planning > 0) return;
    native.dispose();
    this.#plans.clear();
  }

  /**
   * Runs over zeros, of one image where the batch is open: what a first run meets (its plan, untouched memory, code
   * that was never called) is met now, by nobody who waits. Without it the first run of RepVGG-A0 took 4.1 times the
   * median of the next, that of MobileOne-s0 3.5 times; with it 1.1 and 1.2 (`bench/compile.mjs`, a process each time;
   * EPYC, Zen 5, two virtual processors). `known` and `steps` are of the largest batch.
   */
  async #warmUp(known: readonly Shape[], steps: readonly StepDescription[]): Promise<void> {
    try {
      const shapes = this.#shapes.smallest as readonly (readonly number[])[];
      const images = sizeOf(known[0] as readonly number[]) / sizeOf(shapes[0]);
      if (steps.some(({ macs }) => macs > images * warmUp.macs)) return;
      const made = this.#planFor(shapes).outputs.map(([, shape]) => shape);
      if ([...shapes, ...made].reduce((bytes, shape) => bytes + 4 * sizeOf(shape), 0) > warmUp.bytes) return;
      const zeros = Object.fromEntries(
        this.#declared.map(({ name, dtype }, i) => [name, new Tensor(dtype, shapes[i])]),
      );
      await this.run(zeros, { signal: AbortSignal.timeout(warmUp.milliseconds) });
    } catch {
      // Nobody asked for this run. What is wrong with one image, or zeros, or memory, the first one that somebody asks
      // for says.
    }
  }

  #alive(operation: string): NativeSession {
    if (this.#native === null) throw new RepconvError('ERR_DISPOSED', `${operation}: the session has been disposed`);
    return this.#native;
  }

  #begin(
    native: NativeSession,
    plan: Plan,
    data: readonly GivenInput['data'][],
    outputs: SessionOutputs,
  ): ReturnType<NativeSession['run']> {
    return native.run(plan.id as number, data, dataOf(outputs));
  }

  /** {@link #begin} after the plan was made on the pool. The inputs wait as copies: they are read as they are now. */
  async #beginPlanned(
    native: NativeSession,
    plan: Plan,
    data: readonly GivenInput['data'][],
    outputs: SessionOutputs,
    signal: AbortSignalLike | undefined,
  ): Promise<ReturnType<NativeSession['run']>> {
    const copies = data.map((numbers) => numbers.slice());
    this.#planning++;
    try {
      await unlessAborted(this.#plans.makeAsync(plan), signal);
      return this.#begin(native, plan, copies, outputs);
    } finally {
      this.#plans.release(plan);
      this.#planning--;
      this.#giveBack(native);
    }
  }

  #runHere(
    inputs: SessionInputs,
    out: RunSyncOptions['out'],
    operation: 'runSync' | 'profile',
  ): { outputs: SessionOutputs; steps: StepDescription[]; nanoseconds: Float64Array } {
    const native = this.#alive(operation);
    const given = this.#checkedInputs(inputs, operation);
    const plan = this.#planFor(given.map(({ shape }) => shape));
    const outputs = checkedOutputs(out, plan.outputs, operation);
    const id = this.#plans.make(plan);
    const steps = operation === 'profile' ? native.describe(id) : [];
    const nanoseconds = new Float64Array(steps.length);
    const data = given.map((input) => input.data);
    native.runSync(id, data, dataOf(outputs), ...(operation === 'profile' ? [nanoseconds] : []));
    return { outputs, steps, nanoseconds };
  }

  #checkedInputs(given: SessionInputs, operation: string): GivenInput[] {
    const inputs = checkedInputs(given, this.#declared, operation);
    this.#shapes.check(
      inputs.map(({ shape }) => shape),
      operation,
    );
    return inputs;
  }

  /** The plan for inputs of these shapes; it counts as the most recently used. */
  #planFor(shapes: readonly (readonly number[])[]): Plan {
    const graphShapes = (given: readonly (readonly number[])[]): (readonly number[])[] =>
      given.map((shape, i) => (this.#declared[i].dtype === 'uint8' ? [shape[0], shape[3], shape[1], shape[2]] : shape));
    return this.#plans.find(graphShapes(shapes), graphShapes(this.#shapes.withLargestBatch(shapes)));
  }
}

function dataOf(outputs: SessionOutputs): Float32Array[] {
  return Object.values(outputs).map(({ data }) => data);
}

/** Waits for a run; the signal ends it, also where it came while the run was begun. */
async function settled(
  { id, promise }: ReturnType<NativeSession['run']>,
  signal: AbortSignalLike | undefined,
): Promise<void> {
  const cancel = (): void => nativeAddon().cancel(id);
  const stop = signal === undefined ? undefined : onAbort(signal, cancel);
  if (signal?.aborted === true) cancel();
  try {
    await promise;
  } catch (error) {
    if ((error as { code?: string }).code === 'ABORT_ERR') throw signal?.reason ?? error;
    throw error;
  } finally {
    stop?.();
  }
}

/** Waits for what others may wait for too: the signal ends the waiting alone. */
async function unlessAborted(promise: Promise<void>, signal: AbortSignalLike | undefined): Promise<void> {
  if (signal === undefined) return promise;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = onAbort(signal, () => reject(signal.reason));
  });
  try {
    await Promise.race([promise, aborted]);
    signal.throwIfAborted();
  } finally {
    stop?.();
  }
}

/**
 * The runs of a session: what they bring is checked and planned, they wait and compute, they end well or are told to
 * end. After `dispose` the memory goes with the last of them.
 */
import { type NativeSession, nativeAddon } from '../engine/addon.js';
import type { BuilderValue } from '../engine/steps/step.js';
import { RepconvError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { type AbortSignalLike, onAbort, unlessAborted } from './abort.js';
import {
  checkedInputs,
  checkedOutputs,
  type GivenInput,
  type SessionInputs,
  type SessionOutputs,
} from './arguments.js';
import type { InputShapes, Shapes } from './inputShapes.js';
import type { RunSyncOptions } from './options.js';
import { type Plan, Plans } from './plans.js';

/** What compiling made of a model. */
export interface Compiled {
  readonly native: NativeSession;
  readonly graph: Graph;
  readonly origins: readonly BuilderValue[];
  readonly shapes: InputShapes;
  /** How many steps a run has. */
  readonly steps: number;
  readonly maxQueue: number;
  readonly threadsBecause: string;
}

/** One run: what it reads, and where it writes. */
export interface Run {
  readonly plan: Plan;
  readonly inputs: readonly GivenInput['data'][];
  readonly outputs: SessionOutputs;
  /** Where the time of each step goes, if somebody asks. */
  readonly nanoseconds?: Float64Array;
}

export class Runs {
  readonly plans: Plans;
  #native: NativeSession | null;
  #depth = 0;
  /** Runs whose plan is being made. */
  #planning = 0;

  constructor(readonly compiled: Compiled) {
    this.#native = compiled.native;
    this.plans = new Plans(compiled.native, compiled.graph, compiled.origins);
  }

  /** Runs that wait or compute. */
  get depth(): number {
    return this.#depth;
  }

  /** Null once disposed. */
  get native(): NativeSession | null {
    return this.#native;
  }

  /** @throws ERR_DISPOSED */
  alive(operation: string): NativeSession {
    if (this.#native === null) throw new RepconvError('ERR_DISPOSED', `${operation}: the session has been disposed`);
    return this.#native;
  }

  /** {@link alive}, where one more may wait. @throws ERR_DISPOSED, ERR_BUSY */
  admitting(operation: string): NativeSession {
    const native = this.alive(operation);
    const { maxQueue } = this.compiled;
    if (this.#depth >= maxQueue)
      throw new RepconvError(
        'ERR_BUSY',
        `${operation}: expects at most ${maxQueue} runs waiting or computing (maxQueue), and there are ${this.#depth}`,
      );
    return native;
  }

  /** A run of what a caller brings. @throws ERR_INPUT, ERR_SHAPE */
  runOf(given: SessionInputs, out: RunSyncOptions['out'], operation: string): Run {
    const inputs = this.#checked(given, operation);
    const plan = this.planFor(inputs.map(({ shape }) => shape));
    return { plan, inputs: inputs.map(({ data }) => data), outputs: checkedOutputs(out, plan.outputs, operation) };
  }

  /** The same, with a clock at every step. @throws ERR_INPUT, ERR_SHAPE */
  timedRunOf(given: SessionInputs, operation: string): Required<Run> {
    return { ...this.runOf(given, undefined, operation), nanoseconds: new Float64Array(this.compiled.steps) };
  }

  /** The plan for these inputs. @throws ERR_INPUT, ERR_SHAPE */
  planOf(given: SessionInputs, operation: string): Plan {
    return this.planFor(this.#checked(given, operation).map(({ shape }) => shape));
  }

  /** The plan for inputs of these shapes; it counts as the most recently used. */
  planFor(shapes: Shapes): Plan {
    const { shapes: declared } = this.compiled;
    return this.plans.find(declared.ofGraph(shapes), declared.ofGraph(declared.withLargestBatch(shapes)));
  }

  /** Computes on the pool; its plan is made there too, if it is not yet. @param native as {@link admitting} gave it */
  async run(native: NativeSession, run: Run, signal?: AbortSignalLike): Promise<void> {
    this.#depth++;
    try {
      await settled(run.plan.id === null ? await this.#beginPlanned(native, run, signal) : begin(native, run), signal);
    } finally {
      this.#depth--;
    }
  }

  /** Computes here and now. @param native as {@link alive} gave it */
  runSync(native: NativeSession, run: Run): void {
    this.plans.make(run.plan);
    native.runSync(...argumentsOf(run));
  }

  /** Refuses new runs. Native code keeps what those need that compute; those that wait for a plan are waited for. */
  dispose(): void {
    const native = this.#native;
    this.#native = null;
    if (native !== null) this.#giveBack(native);
  }

  #giveBack(native: NativeSession): void {
    if (this.#native !== null || this.#planning > 0) return;
    native.dispose();
    this.plans.clear();
  }

  /** Begins the run after its plan was made on the pool. The inputs wait as copies: they are read as they are now. */
  async #beginPlanned(native: NativeSession, run: Run, signal: AbortSignalLike | undefined): Promise<Begun> {
    const inputs = run.inputs.map((numbers) => numbers.slice());
    this.#planning++;
    try {
      await unlessAborted(this.plans.makeAsync(run.plan), signal);
      return begin(native, { ...run, inputs });
    } finally {
      this.plans.release(run.plan);
      this.#planning--;
      this.#giveBack(native);
    }
  }

  #checked(given: SessionInputs, operation: string): GivenInput[] {
    const { shapes } = this.compiled;
    const inputs = checkedInputs(given, shapes.declared, operation);
    shapes.check(
      inputs.map(({ shape }) => shape),
      operation,
    );
    return inputs;
  }
}

type Begun = ReturnType<NativeSession['run']>;

function begin(native: NativeSession, run: Run): Begun {
  return native.run(...argumentsOf(run));
}

function argumentsOf({ plan, inputs, outputs, nanoseconds }: Run): Parameters<NativeSession['run']> {
  const written = Object.values(outputs).map(({ data }) => data);
  return [plan.id as number, inputs, written, nanoseconds];
}

/** Waits for a run; the signal ends it, also where it came while the run was begun. */
async function settled({ id, promise }: Begun, signal: AbortSignalLike | undefined): Promise<void> {
  const cancel = (): void => nativeAddon().cancel(id);
  const stop = signal === undefined ? undefined : onAbort(signal, cancel);
  if (signal?.aborted === true) cancel();
  try {
    await promise;
  } catch (error) {
    throw (error as { code?: string }).code === 'ABORT_ERR' ? (signal?.reason ?? error) : error;
  } finally {
    stop?.();
  }
}

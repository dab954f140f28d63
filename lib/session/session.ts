/**
 * A session: a compiled model with its packed weights, its plans and its memory.
 *
 * Weights were packed when it was made: changing the model afterwards changes nothing here. Shapes that the inputs leave open are bound by each run;
 * a plan is made for each set of shapes and kept, the least recently used going first.
 */
import { debugLog, debugSettings } from '../debug.js';
import {
  callNative,
  type NativeMemory,
  type NativeSession,
  type NativeSettings,
  nativeAddon,
  nativeError,
  type StepDescription,
} from '../engine/addon.js';
import { type BuilderValue, concreteShapes } from '../engine/programBuilder.js';
import { RepconvError } from '../errors.js';
import { type Graph, inferTypes, type Value } from '../graph/graph.js';
import type { TensorType } from '../ops/operator.js';
import { sizeOf } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { InputShapes } from './inputShapes.js';

/** Tensors by input name; a model of one input also takes its tensor bare. */
export type SessionInputs = Tensor | Readonly<Record<string, Tensor>>;
/** Tensors by output name. */
export type SessionOutputs = Record<string, Tensor>;

/** Of one {@link Session.run}. */
export interface RunOptions {
  /** Ends the run: at once if it waits, after the layer it is in if it computes. The promise rejects with an AbortError. */
  readonly signal?: AbortSignal;
}

/** One line of {@link Session.profile}. */
export interface StepProfile extends StepDescription {
  readonly milliseconds: number;
  /** Of convolutions and linear layers, two operations per multiply-accumulate; 0 for others. */
  readonly gigaflopsPerSecond: number;
}

/** Shapes for which plans are kept. */
const maxPlans = 16;

interface Plan {
  readonly id: number;
  readonly outputs: readonly (readonly [string, readonly number[]])[];
}

/** A compiled model; made by {@link compile}. Any number of runs may be under way at once. Give its memory back with {@link dispose}. */
export class Session {
  #native: NativeSession | null;
  readonly #plans = new Map<string, Plan>();
  readonly #shapes: InputShapes;

  /** Use {@link compile}. */
  private constructor(
    native: NativeSession,
    private readonly graph: Graph,
    private readonly origins: readonly BuilderValue[],
    maxBatch: number,
  ) {
    this.#native = native;
    this.#shapes = new InputShapes(
      graph.inputs.map(({ name, type }) => ({ name, shape: type.shape })),
      maxBatch,
    );
  }

  /** Plans what is known now: weights are packed, and what cannot run is refused. After that nothing outside is read any more. */
  static openSync(native: NativeSession, graph: Graph, origins: readonly BuilderValue[], maxBatch: number): Session {
    const session = new Session(native, graph, origins, maxBatch);
    const known = session.#shapes.onlyOpenBatch;
    if (known !== null) session.#plan(known);
    callNative(() => native.keepConstants(known === null));
    return session;
  }

  /** {@link openSync} with the packing on the pool: the constants are copied as they are now, and those that were packed are let go of in the end. */
  static async open(native: NativeSession, graph: Graph, origins: readonly BuilderValue[], maxBatch: number): Promise<Session> {
    const session = new Session(native, graph, origins, maxBatch);
    const known = session.#shapes.onlyOpenBatch;
    callNative(() => native.keepConstants(true));
    if (known === null) return session;
    const { shapes, largest, outputs } = session.#planRequest(known);
    try {
      session.#keepPlan(known, { id: await native.prepareAsync(shapes, largest), outputs });
    } catch (error) {
      throw nativeError(error);
    }
    callNative(() => native.keepConstants(false));
    return session;
  }

  /** Names and shapes of the inputs; letters are open extents. */
  get inputs(): Readonly<Record<string, TensorType['shape']>> {
    return Object.fromEntries(this.graph.inputs.map(({ name, type }) => [name, type.shape]));
  }

  /**
   * The instruction set and precision in use, and the threads that one run may take: what was asked for, or what this processor and process allow.
   * @throws ERR_DISPOSED
   */
  get settings(): NativeSettings {
    return this.#alive('settings').settings();
  }

  /**
   * Computes on threads of the pool; the JavaScript thread stays free. The inputs are copied before the call returns, shared memory as it is then;
   * the outputs are fresh tensors.
   * @throws ERR_INPUT for missing, unknown or detached inputs, ERR_SHAPE for shapes other than declared, ERR_DISPOSED, ERR_OOM; what the signal says when it
   * aborts (an AbortError unless told otherwise)
   */
  async run(inputs: SessionInputs, { signal }: RunOptions = {}): Promise<SessionOutputs> {
    signal?.throwIfAborted();
    const { plan, data, outputs } = this.#prepare(inputs, 'run');
    const native = this.#alive('run');
    const { id, promise } = callNative(() =>
      native.run(
        plan.id,
        data,
        Object.values(outputs).map((output) => output.data),
      ),
    );
    const abort = (): void => nativeAddon().cancel(id);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await promise;
      return outputs;
    } catch (error) {
      if ((error as { code?: string }).code === 'ABORT_ERR') throw signal?.reason ?? error;
      throw nativeError(error);
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** {@link run} on the calling thread (and the pool's others), done when it returns: for workers and scripts. @throws as {@link run}, but for aborts */
  runSync(inputs: SessionInputs): SessionOutputs {
    const { plan, data, outputs } = this.#prepare(inputs, 'runSync');
    const native = this.#alive('runSync');
    callNative(() =>
      native.runSync(
        plan.id,
        data,
        Object.values(outputs).map((output) => output.data),
      ),
    );
    return outputs;
  }

  /** Runs once, on the calling thread, and tells what each step took. @throws as {@link runSync} */
  profile(inputs: SessionInputs): StepProfile[] {
    const { plan, data, outputs } = this.#prepare(inputs, 'profile');
    const native = this.#alive('profile');
    const steps = native.describe(plan.id);
    const nanoseconds = new Float64Array(steps.length);
    callNative(() =>
      native.runSync(
        plan.id,
        data,
        Object.values(outputs).map((output) => output.data),
        nanoseconds,
      ),
    );
    return steps.map((step, i) => ({
      ...step,
      milliseconds: nanoseconds[i] / 1e6,
      gigaflopsPerSecond: nanoseconds[i] === 0 ? 0 : (2 * step.macs) / nanoseconds[i],
    }));
  }

  /**
   * What was decided for the given inputs: per step the algorithm and why. Without inputs: for those of the largest batch; where more than the
   * batch is open, for those of the latest run, and nothing before the first.
   * @throws ERR_DISPOSED, and as {@link run} for the given inputs
   */
  describe(inputs?: SessionInputs): StepDescription[] {
    const native = this.#alive('describe');
    const largest = this.#shapes.onlyOpenBatch;
    const plan =
      inputs !== undefined
        ? this.#planFor(this.#checkInputs(inputs, 'describe').map(({ shape }) => shape))
        : largest !== null
          ? this.#planFor(largest)
          : [...this.#plans.values()].at(-1);
    return plan === undefined ? [] : native.describe(plan.id);
  }

  /** Bytes held outside the JavaScript heap: packed weights, constants, and one arena for each run at a time so far. */
  memory(): NativeMemory & { readonly totalBytes: number } {
    const memory = this.#native?.memory() ?? { packedBytes: 0, constantBytes: 0, arenaBytes: 0 };
    return { ...memory, totalBytes: memory.packedBytes + memory.constantBytes + memory.arenaBytes };
  }

  /** Gives the memory back. Runs under way end well; new ones are refused. A second call does nothing. */
  async dispose(): Promise<void> {
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#native?.dispose();
    this.#native = null;
    this.#plans.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
  }

  #alive(operation: string): NativeSession {
    if (this.#native === null) throw new RepconvError('ERR_DISPOSED', `${operation}: the session has been disposed`);
    return this.#native;
  }

  #prepare(given: SessionInputs, operation: string): { plan: Plan; data: Float32Array[]; outputs: SessionOutputs } {
    this.#alive(operation);
    const tensors = this.#checkInputs(given, operation);
    const plan = this.#planFor(tensors.map(({ shape }) => shape));
    return {
      plan,
      data: tensors.map(({ data }) => data),
      outputs: Object.fromEntries(plan.outputs.map(([name, shape]) => [name, new Tensor('float32', shape)])),
    };
  }

  #checkInputs(given: SessionInputs, operation: string): Tensor[] {
    const names = this.graph.inputs.map(({ name }) => name);
    const record: Readonly<Record<string, unknown>> =
      given instanceof Tensor && names.length === 1 ? { [names[0]]: given } : (given as Record<string, Tensor>);
    const isRecord = typeof record === 'object' && record !== null && !(record instanceof Tensor);
    const unknown = isRecord ? Object.keys(record).filter((name) => !names.includes(name)) : [];
    if (!isRecord || unknown.length > 0)
      throw new RepconvError(
        'ERR_INPUT',
        `${operation}: expects the inputs ${names.join(', ')}${unknown.length > 0 ? `, got also ${unknown.join(', ')}` : ''}`,
      );
    const tensors = names.map((name) => {
      const tensor = record[name];
      if (!(tensor instanceof Tensor))
        throw new RepconvError('ERR_INPUT', `${operation}: input ${name} expects a Tensor, got ${typeof tensor}`);
      if (tensor.dtype !== 'float32')
        throw new RepconvError('ERR_INPUT', `${operation}: input ${name} expects float32, got ${tensor.dtype}`);
      const size = sizeOf(tensor.shape);
      if (tensor.data.length !== size) {
        throw new RepconvError(
          'ERR_INPUT',
          `${operation}: input ${name} expects ${size} elements, got ${tensor.data.length}: its buffer was detached or resized`,
        );
      }
      return tensor as Tensor;
    });
    this.#shapes.check(
      tensors.map(({ shape }) => shape),
      operation,
    );
    return tensors;
  }

  /** The plan for these shapes, made now or kept; it counts as the most recently used. */
  #planFor(shapes: readonly (readonly number[])[]): Plan {
    const plan = this.#plans.get(shapes.join(' ')) ?? this.#plan(shapes);
    // Most recently used last.
    this.#plans.delete(shapes.join(' '));
    this.#plans.set(shapes.join(' '), plan);
    return plan;
  }

  #plan(given: readonly (readonly number[])[]): Plan {
    const native = this.#alive('plan');
    const { shapes, largest, outputs } = this.#planRequest(given);
    return this.#keepPlan(given, { id: callNative(() => native.prepare(shapes, largest)), outputs });
  }

  /** Shapes of all values of the program for inputs of these shapes, and with the largest batch; and the shapes of the outputs. */
  #planRequest(given: readonly (readonly number[])[]): { shapes: number[][]; largest: number[][]; outputs: Plan['outputs'] } {
    const types = this.#typesFor(given);
    const shapesOf = (all: ReadonlyMap<Value, TensorType>): number[][] =>
      concreteShapes(this.origins, (value) => (all.get(value as Value) ?? value.type).shape);
    const outputs = [...this.graph.outputs].map(
      ([name, value]) => [name, (types.get(value) ?? value.type).shape as readonly number[]] as const,
    );
    return { shapes: shapesOf(types), largest: shapesOf(this.#typesFor(this.#shapes.withLargestBatch(given))), outputs };
  }

  #keepPlan(given: readonly (readonly number[])[], plan: Plan): Plan {
    const native = this.#alive('plan');
    this.#plans.set(given.join(' '), plan);
    if (debugSettings().level >= 1)
      for (const step of native.describe(plan.id))
        debugLog(1, () => `${step.label || step.operation}: ${step.algorithm || '–'} ${step.why}`);
    const [oldest] = this.#plans;
    if (this.#plans.size > maxPlans && oldest !== undefined) {
      native.forget(oldest[1].id);
      this.#plans.delete(oldest[0]);
    }
    return plan;
  }

  #typesFor(shapes: readonly (readonly number[])[]): ReadonlyMap<Value, TensorType> {
    return inferTypes(
      this.graph,
      shapes.map((shape) => ({ dtype: 'float32', shape })),
    );
  }
}

/**
 * The plans of a session: one for each set of shapes that came, the least recently used going first.
 *
 * A plan is made where it is asked for (`runSync`), or on the pool (`run`), once for however many runs wait for it.
 */
import { debugLog, debugSettings } from '../debug.js';
import type { NativeSession } from '../engine/addon.js';
import { concreteShapes } from '../engine/programBuilder.js';
import type { BuilderValue } from '../engine/steps/step.js';
import { type Graph, inferTypes, type Value } from '../graph/graph.js';
import type { TensorType } from '../ops/operator.js';
import { showShape } from '../tensor/shape.js';
import { describedSteps, type StepDescription } from './steps.js';

/** Shapes for which plans are kept. */
const maxPlans = 16;

/** Inputs as the graph has them: images [N, C, H, W]. */
type GraphShapes = readonly (readonly number[])[];

/** One set of shapes: what is known at once, and what native code makes of it. */
export interface Plan {
  readonly key: string;
  /** Names and shapes of the outputs. */
  readonly outputs: readonly (readonly [string, readonly number[]])[];
  /** Shapes of all values of the program, for these inputs and with the largest batch; needed until it is made. */
  request: { readonly shapes: number[][]; readonly largest: number[][] } | null;
  /** Number of the native plan, from when it is made until it is let go of. */
  id: number | null;
  /** What was decided, once it is made. */
  steps: readonly StepDescription[];
  making: Promise<void> | null;
  /** Runs that wait until it is made: it is not let go of before they have begun. */
  waiting: number;
}

export class Plans {
  /** Most recently used last. */
  readonly #plans = new Map<string, Plan>();

  constructor(
    private readonly native: NativeSession,
    private readonly graph: Graph,
    private readonly origins: readonly BuilderValue[],
  ) {}

  /**
   * The plan for these shapes, made or not; it counts as the most recently used. @throws ERR_SHAPE for shapes that do
   * not go together
   */
  find(shapes: GraphShapes, largest: GraphShapes): Plan {
    const key = shapes.join(' ');
    const plan = this.#plans.get(key) ?? this.#describe(key, shapes, largest);
    this.#plans.delete(key);
    this.#plans.set(key, plan);
    this.#dropOldest(plan);
    return plan;
  }

  /** Makes the plan here and now, unless it is made. @throws what native code refuses */
  make(plan: Plan): void {
    if (plan.id !== null) return;
    try {
      const { shapes, largest } = plan.request as NonNullable<Plan['request']>;
      const start = performance.now();
      const id = this.native.prepare(shapes, largest);
      this.#made(plan, id, performance.now() - start);
    } catch (error) {
      this.#drop(plan);
      throw error;
    }
  }

  /**
   * Makes the plan on the pool, once for all who ask meanwhile. Each of them calls {@link release} when its run has
   * begun, or will not.
   */
  async makeAsync(plan: Plan): Promise<void> {
    plan.waiting++;
    if (plan.id !== null) return;
    plan.making ??= this.#makeOnPool(plan);
    return plan.making;
  }

  release(plan: Plan): void {
    plan.waiting--;
    this.#forgetUnused(plan);
  }

  /** The plan that was made and used last. */
  get latest(): Plan | undefined {
    return [...this.#plans.values()].findLast(({ id }) => id !== null);
  }

  clear(): void {
    this.#plans.clear();
  }

  async #makeOnPool(plan: Plan): Promise<void> {
    try {
      const { shapes, largest } = plan.request as NonNullable<Plan['request']>;
      const start = performance.now();
      const id = await this.native.prepareAsync(shapes, largest);
      // Made by runSync meanwhile?
      if (plan.id === null) this.#made(plan, id, performance.now() - start);
      else this.native.forget(id);
    } catch (error) {
      this.#drop(plan);
      throw error;
    } finally {
      plan.making = null;
      // Nobody waits for it any more, and it was dropped meanwhile?
      this.#forgetUnused(plan);
    }
  }

  #made(plan: Plan, id: number, milliseconds: number): void {
    const shapes = plan.request?.shapes;
    plan.id = id;
    plan.request = null;
    plan.steps = describedSteps(this.native, id);
    if (debugSettings().level >= 1) this.#explain(plan, shapes, milliseconds);
  }

  #explain(plan: Plan, shapes: readonly (readonly number[])[] | undefined, milliseconds: number): void {
    debugLog(1, () => `planned ${plan.key} in ${milliseconds.toFixed(1)} ms`);
    for (const [i, { label, operation, algorithm, why, costs }] of plan.steps.entries())
      debugLog(1, () => `  ${i} ${label || operation}: ${why || algorithm || '–'}${costsText(costs)}`);
    debugLog(3, () => {
      const values = [...this.native.arena(plan.id as number)].sort((a, b) => a.from - b.from || a.offset - b.offset);
      const end = Math.max(0, ...values.map(({ offset, bytes }) => offset + bytes));
      const lines = values.map(
        ({ value, offset, bytes, from, to }) =>
          `  ${showShape(shapes?.[value])}: ${bytes} bytes at ${offset}, steps ${from} to ${to}`,
      );
      return [`memory plan: ${values.length} values in ${end} bytes`, ...lines].join('\n');
    });
  }

  /** Keeps as many as may be kept; the newest stays, and those that somebody waits for. */
  #dropOldest(newest: Plan): void {
    for (const plan of this.#plans.values()) {
      if (this.#plans.size <= maxPlans) break;
      if (plan !== newest && plan.making === null && plan.waiting === 0) this.#drop(plan);
    }
  }

  #drop(plan: Plan): void {
    if (this.#plans.get(plan.key) === plan) this.#plans.delete(plan.key);
    this.#forgetUnused(plan);
  }

  /** Gives back a plan that is kept no more and that nobody waits for. */
  #forgetUnused(plan: Plan): void {
    if (plan.id === null || plan.waiting > 0 || this.#plans.get(plan.key) === plan) return;
    this.native.forget(plan.id);
    plan.id = null;
  }

  #describe(key: string, shapes: GraphShapes, largest: GraphShapes): Plan {
    const types = this.#typesFor(shapes);
    const shapesOf = (all: ReadonlyMap<Value, TensorType>): number[][] =>
      concreteShapes(this.origins, (value) => (all.get(value as Value) ?? value.type).shape);
    const outputs = [...this.graph.outputs].map(
      ([name, value]) => [name, (types.get(value) ?? value.type).shape as readonly number[]] as const,
    );
    const request = { shapes: shapesOf(types), largest: shapesOf(this.#typesFor(largest)) };
    return { key, outputs, request, id: null, steps: [], making: null, waiting: 0 };
  }

  #typesFor(shapes: GraphShapes): ReadonlyMap<Value, TensorType> {
    return inferTypes(
      this.graph,
      shapes.map((shape) => ({ dtype: 'float32', shape })),
    );
  }
}

/** ` (estimated vector multiply-adds: winograd4 1.2e+6, direct 2.5e+6)` */
function costsText(costs: StepDescription['costs']): string {
  const all = Object.entries(costs).map(([algorithm, cost]) => `${algorithm} ${cost.toPrecision(3)}`);
  return all.length === 0 ? '' : ` (estimated vector multiply-adds: ${all.join(', ')})`;
}

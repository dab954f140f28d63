/**
 * Opening a session: what is known of its shapes is planned, which packs the weights and refuses what cannot run; after
 * that nothing outside is read any more.
 */
import { sizeOf } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import type { Shapes } from './inputShapes.js';
import { type Compiled, Runs } from './runs.js';
import type { StepDescription } from './steps.js';

/**
 * When opening runs over zeros: where inputs and outputs have at most so many bytes, which are copied on the JavaScript
 * thread, and no step so many multiply-adds that waiting for its end would be felt; and after how many milliseconds the
 * run is told to stop, which it does between two steps. Where runs take longer, what the first one meets is a small
 * part of it.
 */
const warmUp = { bytes: 4 << 20, macs: 5e8, milliseconds: 20 };

/** Opens on the calling thread. @throws what native code refuses */
export function openSync(compiled: Compiled): Runs {
  const { native, shapes } = compiled;
  const runs = new Runs(compiled);
  try {
    const known = shapes.largestBatch;
    if (known !== null) runs.plans.make(runs.planFor(known));
    native.keepConstants(known === null ? 'all' : 'used');
    return runs;
  } catch (error) {
    runs.dispose();
    throw error;
  }
}

/**
 * {@link openSync} with the packing on the pool: the constants are copied as they are now, and those that were packed
 * are let go of in the end. Then the session is warmed up.
 */
export async function open(compiled: Compiled): Promise<Runs> {
  const { native, shapes } = compiled;
  const runs = new Runs(compiled);
  try {
    const known = shapes.largestBatch;
    native.keepConstants(known === null ? 'all' : 'shared');
    if (known === null) return runs;
    const plan = runs.planFor(known);
    await runs.plans.makeAsync(plan);
    runs.plans.release(plan);
    native.keepConstants('used');
    await runOverZeros(compiled, runs, known, plan.steps);
    return runs;
  } catch (error) {
    runs.dispose();
    throw error;
  }
}

/**
 * One image, where the batch is open: what a first run meets (its plan, untouched memory, code that was never called)
 * is met now, by nobody who waits. Without it the first run of RepVGG-A0 took 4.1 times the median of the next, that of
 * MobileOne-s0 3.5 times; with it 1.1 and 1.2 (`bench/compile.mjs`, a process each time; EPYC, Zen 5, two virtual
 * processors).
 *
 * @param largest the shapes of the largest batch, and `steps` its plan's
 */
async function runOverZeros(
  { shapes }: Compiled,
  runs: Runs,
  largest: Shapes,
  steps: readonly StepDescription[],
): Promise<void> {
  try {
    const image = shapes.oneImage as Shapes;
    const images = sizeOf(largest[0]) / sizeOf(image[0]);
    if (steps.some(({ macs }) => macs > images * warmUp.macs)) return;
    const made = runs.planFor(image).outputs.map(([, shape]) => shape);
    if ([...image, ...made].reduce((bytes, shape) => bytes + 4 * sizeOf(shape), 0) > warmUp.bytes) return;
    const zeros = shapes.declared.map(({ name, dtype }, i) => [name, new Tensor(dtype, image[i])] as const);
    const native = runs.admitting('compile');
    const run = runs.runOf(Object.fromEntries(zeros), undefined, 'compile');
    await runs.run(native, run, AbortSignal.timeout(warmUp.milliseconds));
  } catch {
    // Nobody asked for this run. What is wrong with one image, or zeros, or memory, the first one that somebody asks
    // for says.
  }
}

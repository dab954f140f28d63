/**
 * `compile`: a model becomes a session that runs it, any number of times, on threads of its own.
 *
 *     record → fold constants → remove identities → fold batch norms → spell out padding → lower → plan for each shape
 *     that comes
 *
 * It compiles what it is given: constants and batch norms are folded and what follows a convolution is done as it
 * stores, but branches are never merged. That is `repconv`'s act, so that fused against unfused stays a fair question.
 */
import { entriesOf, isInstance, refused } from '../checks.js';
import { debugLog } from '../debug.js';
import { nativeAddon } from '../engine/addon.js';
import { nativeOptions } from '../engine/eager.js';
import { channelsLast } from '../engine/steps/step.js';
import { chosenThreads } from '../engine/threads.js';
import { listed, printable, RepconvError } from '../errors.js';
import { Graph, hasInputs } from '../graph/graph.js';
import { foldBatchNorm } from '../graph/passes/foldBatchNorm.js';
import { foldConstants } from '../graph/passes/foldConstants.js';
import { removeIdentity } from '../graph/passes/removeIdentity.js';
import { spellOutPadding } from '../graph/passes/spellOutPadding.js';
import { printGraph } from '../graph/print.js';
import { recorded } from '../graph/record.js';
import type { Traceable } from '../ops/traceable.js';
import { showShape } from '../tensor/shape.js';
import type { DeclaredInput } from './arguments.js';
import { InputShapes } from './inputShapes.js';
import { lower } from './lower.js';
import { open, openSync } from './opening.js';
import { type CompileOptions, checkedCompileOptions } from './options.js';
import { checkedPreprocess } from './preprocess.js';
import type { Compiled } from './runs.js';
import { Session } from './session.js';

/**
 * Compiles a module (or anything with a `compute`, or a graph) into a session that takes and returns float32 and
 * computes in the precision asked for. Weights are read now and packed; changing the model afterwards does not
 * change the session. Where all of the inputs' shapes but the batch is known, and small, it ends with a run over zeros,
 * told to stop after 20 ms, so that the first one asked for finds its memory and its plan.
 * @throws ERR_TRAIN_MODE in training mode; ERR_SHAPE for shapes that do not go together; ERR_INPUT for options that
 * none could be; ERR_UNSUPPORTED for a precision this processor has no kernels for (the message says what it has), or
 * an operator there is no native code for; ERR_OOM; ERR_NATIVE where the addon cannot be loaded
 * @example
 * ```ts
 * import { compile, createMobileOne, randn, repconv } from 'repconv';
 *
 * const { model } = repconv(createMobileOne('mobileone-s0'));
 * const session = await compile(model, { inputs: { images: ['N', 3, 224, 224] }, maxBatch: 4 });
 * const { output } = await session.run({ images: randn([2, 3, 224, 224]) });
 * console.log(output.shape); // [ 2, 1000 ]
 * await session.dispose();
 * ```
 */
export async function compile(model: Traceable | Graph, options: CompileOptions): Promise<Session> {
  return new Session(await open(translate(model, options)));
}

/** {@link compile}, done when it returns, without that run: for scripts and workers. @throws as {@link compile} */
export function compileSync(model: Traceable | Graph, options: CompileOptions): Session {
  return new Session(openSync(translate(model, options)));
}

/** All but the planning: a program in native hands. */
function translate(model: Traceable | Graph, given: CompileOptions): Compiled {
  const { inputs, outputs, precision, maxBatch, maxQueue, ...options } = checkedCompileOptions(given);
  const source = isInstance(model, Graph)
    ? checkedGraph(model, inputs, outputs)
    : recorded(model, inputs, outputs, 'compile');
  checkNoneIsEmpty(source);
  debugLog(2, () => `recorded\n${printGraph(source)}`);
  const graph = passes(options.foldBatchNorm).reduce((current, pass) => {
    const start = performance.now();
    const next = pass(current);
    debugLog(1, () => `${pass.name} in ${(performance.now() - start).toFixed(1)} ms`);
    debugLog(2, () => `after ${pass.name}\n${printGraph(next)}`);
    return next;
  }, source);
  const preprocess = checkedPreprocess(options.preprocess, graph.inputs);
  const { program, origins } = lower(graph, preprocess);
  const { threads, because: threadsBecause } = chosenThreads(options.threads);
  const settings = nativeOptions({
    precision,
    ...(options.isa === undefined ? {} : { isa: options.isa }),
    ...(options.conv === undefined ? {} : { conv: options.conv }),
    threads,
  });
  const { Session: NativeSession } = nativeAddon();
  const native = new NativeSession(program, settings);
  const declared = graph.inputs.map(({ name, type: { shape } }): DeclaredInput => {
    const isBytes = preprocess.has(name);
    return { name, dtype: isBytes ? 'uint8' : 'float32', shape: isBytes ? channelsLast(shape) : shape };
  });
  const shapes = new InputShapes(declared, maxBatch, graph.conditions);
  return { native, graph, origins, shapes, steps: program.steps.length, maxQueue, threadsBecause };
}

/** A graph has its inputs and outputs already; a caller who states others means another graph. */
function checkedGraph(graph: Graph, inputs: unknown, outputs: unknown): Graph {
  if (!hasInputs(graph, inputs)) {
    const own = graph.inputs.map(({ name, type }) => `${name} ${showShape(type.shape)}`);
    throw refused('compile: inputs', `those of the graph, ${listed(own)}`, inputs);
  }
  const names = [...graph.outputs.keys()];
  const given = outputs === undefined ? names : entriesOf(outputs, names.length);
  if (given?.length !== names.length || given.some((name, i) => name !== names[i]))
    throw refused('compile: outputs', `those of the graph, ${listed(names)}`, outputs);
  return graph;
}

/** Shapes in which no run can be. @throws ERR_SHAPE */
function checkNoneIsEmpty({ inputs }: Graph): void {
  const empty = inputs.find(({ type }) => type.shape.includes(0));
  if (empty !== undefined)
    throw new RepconvError(
      'ERR_SHAPE',
      `compile: input ${printable(empty.name, 60)} expects extents of at least 1, got ${showShape(empty.type.shape)}`,
    );
}

/**
 * In this order: what is computed from parameters may turn out to be a 1 or a weight, and what does nothing may stand
 * between a convolution and its batch norm.
 */
function passes(folds: boolean): ((graph: Graph) => Graph)[] {
  return [foldConstants, removeIdentity, ...(folds ? [foldBatchNorm] : []), spellOutPadding];
}

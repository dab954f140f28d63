/**
 * `compile`: a model becomes a session that runs it, any number of times, on threads of its own.
 *
 *     record → fold constants → remove identities → fold batch norms → spell out padding → lower → plan for each shape
 *     that comes
 *
 * It compiles what it is given: constants and batch norms are folded and what follows a convolution is done as it
 * stores, but branches are never merged. That is `repconv`'s act, so that fused against unfused stays a fair question.
 */
import { debugLog } from '../debug.js';
import { nativeAddon } from '../engine/addon.js';
import { nativeOptions } from '../engine/eager.js';
import { chosenThreads } from '../engine/threads.js';
import { listed, printable, RepconvError, shown } from '../errors.js';
import { Graph } from '../graph/graph.js';
import { foldBatchNorm } from '../graph/passes/foldBatchNorm.js';
import { foldConstants } from '../graph/passes/foldConstants.js';
import { removeIdentity } from '../graph/passes/removeIdentity.js';
import { spellOutPadding } from '../graph/passes/spellOutPadding.js';
import { printGraph } from '../graph/print.js';
import { trace } from '../graph/record.js';
import type { Traceable } from '../ops/traceable.js';
import { showShape } from '../tensor/shape.js';
import { lower } from './lower.js';
import { type CompileOptions, checkCompileOptions } from './options.js';
import { checkedPreprocess } from './preprocess.js';
import { Session, type SessionParts } from './session.js';

/**
 * Compiles a module (or anything that states its computation, or a graph) into a session that takes and returns float32
 * and computes in the precision asked for. Weights are read now and packed; changing the model afterwards does not
 * change the session. Where all of the inputs' shapes but the batch is known, and small, it ends with a run over zeros,
 * told to stop after 20 ms, so that the first one asked for finds its memory and its plan.
 * @throws ERR_TRAIN_MODE in training mode; ERR_SHAPE for shapes that do not go together; ERR_INPUT for options that
 * none could be; ERR_UNSUPPORTED for a precision this processor has no kernels for (the message says what it has), or
 * an operator there is no native code for; ERR_OOM; ERR_NATIVE where the addon cannot be loaded
 */
export async function compile(model: Traceable | Graph, options: CompileOptions): Promise<Session> {
  return Session.open(translate(model, options));
}

/** {@link compile}, done when it returns, without that run: for scripts and workers. */
export function compileSync(model: Traceable | Graph, options: CompileOptions): Session {
  return Session.openSync(translate(model, options));
}

/** All but the planning: a program in native hands. */
function translate(model: Traceable | Graph, options: CompileOptions): SessionParts {
  checkCompileOptions(options);
  const { precision = 'float32', maxBatch = 8, maxQueue = 1024 } = options;
  const recorded =
    model instanceof Graph ? checkedGraph(model, options) : trace(model, options.inputs, options.outputs, 'compile');
  checkNoneIsEmpty(recorded);
  debugLog(2, () => `recorded\n${printGraph(recorded)}`);
  const graph = passes(options).reduce((current, pass) => {
    const start = performance.now();
    const next = pass(current);
    debugLog(1, () => `${pass.name} in ${(performance.now() - start).toFixed(1)} ms`);
    debugLog(2, () => `after ${pass.name}\n${printGraph(next)}`);
    return next;
  }, recorded);
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
  return { native, graph, origins, maxBatch, maxQueue, threadsBecause, byteInputs: new Set(preprocess.keys()) };
}

/** A graph has its inputs and outputs already; a caller who states others means another graph. */
function checkedGraph(graph: Graph, { inputs, outputs }: CompileOptions): Graph {
  const own = graph.inputs.map(({ name, type }) => `${name} ${showShape(type.shape)}`);
  const declared = Object.entries(inputs ?? {}).map(
    ([name, shape]) => `${name} ${Array.isArray(shape) ? showShape(shape) : shown(shape)}`,
  );
  if (!isSame(own, declared))
    throw new RepconvError(
      'ERR_INPUT',
      `compile: inputs expects those of the graph, ${listed(own)}, got ${listed(declared) || shown(inputs)}`,
    );
  const names = [...graph.outputs.keys()];
  if (outputs !== undefined && !(Array.isArray(outputs) && isSame(outputs, names)))
    throw new RepconvError(
      'ERR_INPUT',
      `compile: outputs expects those of the graph, ${listed(names)}, got ${shown(outputs)}`,
    );
  return graph;
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
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
function passes(options: CompileOptions): ((graph: Graph) => Graph)[] {
  return [foldConstants, removeIdentity, ...(options.foldBatchNorm === false ? [] : [foldBatchNorm]), spellOutPadding];
}

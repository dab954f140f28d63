/**
 * `compile`: a model becomes a session that runs it, any number of times, on threads of its own.
 *
 *     record → fold constants → remove identities → fold batch norms → spell out padding → lower → plan for each shape that comes
 *
 * It compiles what it is given: constants and batch norms are folded and what follows a convolution is done as it stores, but branches are never merged. That is
 * `repconv`'s act, so that fused against unfused stays a fair question.
 */
import { debugLog } from '../debug.js';
import { callNative, type NativeSession } from '../engine/addon.js';
import { nativeOptions } from '../engine/eager.js';
import { RepconvError } from '../errors.js';
import { Graph } from '../graph/graph.js';
import { foldBatchNorm } from '../graph/passes/foldBatchNorm.js';
import { foldConstants } from '../graph/passes/foldConstants.js';
import { removeIdentity } from '../graph/passes/removeIdentity.js';
import { spellOutPadding } from '../graph/passes/spellOutPadding.js';
import { printGraph } from '../graph/print.js';
import { type InputSpec, trace } from '../graph/record.js';
import type { Traceable } from '../ops/traceable.js';
import { type Shape, showShape } from '../tensor/shape.js';
import { lower } from './lower.js';
import { checkedPreprocess, type PreprocessSpec } from './preprocess.js';
import { Session, type SessionParts } from './session.js';

/** What {@link CompileOptions.precision} may be. */
export const precisions = ['float32', 'bfloat16x3', 'bfloat16', 'fastest'] as const;

/** What {@link compile} makes the session for. */
export interface CompileOptions {
  /** Inputs by name: `{ images: ['N', 3, 224, 224] }`; a letter stands for an extent that each run brings along, the first one for the batch. */
  readonly inputs: InputSpec;
  /** Names of the outputs; default: those the model gives, or `output`. */
  readonly outputs?: readonly string[];
  /**
   * What convolutions of at least 32 channels (in each group) may be computed in; everything else, and all that lies between layers, stays float32.
   *
   * | precision    | products                                            | error over RepVGG-A0 (relative, root mean square) |
   * |--------------|-----------------------------------------------------|---------------------------------------------------|
   * | `float32`    | float32; the default                                | below 5e-6                                        |
   * | `bfloat16x3` | each number as the sum of two bfloat16, 16 bits      | below 5e-5                                        |
   * | `bfloat16`   | rounded to bfloat16, 8 bits, summed in float32       | below 2e-2                                        |
   * | `fastest`    | `bfloat16` where the processor has it, else `float32` |                                                   |
   *
   * Per layer the estimate chooses the fastest algorithm that is at least as exact, so a layer may stay float32; {@link Session.describe} names each,
   * {@link Session.settings} the precision. In both bfloat16 precisions numbers below 2⁻¹²⁶ count as zero, and an infinite input may give NaN. They
   * need AMX (Intel, Linux) or AVX512_BF16 (AMD).
   */
  readonly precision?: (typeof precisions)[number];
  /** Threads that one run may use; default: as many as this process may (affinity, container quota), or `REPCONV_THREADS`. */
  readonly threads?: number;
  /** The largest batch that runs will bring: algorithms are chosen for it, so that an image's result never depends on its company. Default 8. */
  readonly maxBatch?: number;
  /** Inputs that come as decoded images, by name; the model's input stays [N, C, H, W] in `inputs`, runs bring bytes [N, H, W, C]. */
  readonly preprocess?: PreprocessSpec;
  /**
   * Runs that may wait or compute at a time; one more is refused with ERR_BUSY. Default 1024: enough for any burst that is meant, and an end for one that is
   * not, since each holds a copy of its inputs and outputs. Services set it to what they can answer in time.
   */
  readonly maxQueue?: number;
  /** Default true. Benches turn it off to show what it saves. */
  readonly foldBatchNorm?: boolean;
  /** The most the kernels may use: `scalar`, `avx2`, `avx512`. Default: what the processor has, or `REPCONV_ISA`. */
  readonly isa?: string;
  /** A convolution algorithm to use wherever it fits. Default: the estimate's choice, or `REPCONV_CONV`. */
  readonly conv?: string;
}

/**
 * Compiles a module (or anything that states its computation, or a graph) into a session that takes and returns float32 and computes in the precision asked
 * for. Weights are read now and packed; changing the model afterwards does not change the session.
 * @throws ERR_TRAIN_MODE in training mode; ERR_SHAPE for shapes that do not go together; ERR_INPUT for options that none could be; ERR_UNSUPPORTED for a
 * precision this processor has no kernels for (the message says what it has), or an operator there is no native code for; ERR_OOM; ERR_NATIVE where the addon cannot be loaded
 */
export async function compile(model: Traceable | Graph, options: CompileOptions): Promise<Session> {
  return Session.open(translate(model, options));
}

/** {@link compile}, done when it returns: for scripts and workers. */
export function compileSync(model: Traceable | Graph, options: CompileOptions): Session {
  return Session.openSync(translate(model, options));
}

/** All but the planning: a program in native hands. */
function translate(model: Traceable | Graph, options: CompileOptions): SessionParts {
  const { precision = 'float32', maxBatch = 8, maxQueue = 1024 } = options;
  if (!(precisions as readonly unknown[]).includes(precision))
    throw new RepconvError('ERR_INPUT', `compile: precision expects one of ${precisions.join(', ')}, got ${String(precision)}`);
  if (!Number.isInteger(maxBatch) || maxBatch < 1 || maxBatch > 65536)
    throw new RepconvError('ERR_INPUT', `compile: maxBatch expects a whole number from 1 to 65536, got ${maxBatch}`);
  if (!Number.isInteger(maxQueue) || maxQueue < 1 || maxQueue > 65536)
    throw new RepconvError('ERR_INPUT', `compile: maxQueue expects a whole number from 1 to 65536, got ${String(maxQueue)}`);
  if (options.threads !== undefined && !(Number.isInteger(options.threads) && options.threads >= 1 && options.threads <= 64))
    throw new RepconvError('ERR_INPUT', `compile: threads expects a whole number from 1 to 64, got ${String(options.threads)}`);
  const recorded = model instanceof Graph ? checkedGraph(model, options) : trace(model, options.inputs, options.outputs);
  debugLog(2, () => `recorded\n${printGraph(recorded)}`);
  const graph = passes(options).reduce((current, pass) => {
    const next = pass(current);
    debugLog(2, () => `after ${pass.name}\n${printGraph(next)}`);
    return next;
  }, recorded);
  const preprocess = checkedPreprocess(options.preprocess, graph.inputs);
  const { program, origins } = lower(graph, preprocess);
  const settings = nativeOptions({
    precision,
    ...(options.isa === undefined ? {} : { isa: options.isa }),
    ...(options.conv === undefined ? {} : { conv: options.conv }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  });
  const native: NativeSession = callNative((addon) => new addon.Session(program, settings));
  return { native, graph, origins, maxBatch, maxQueue, byteInputs: new Set(preprocess.keys()) };
}

/** A graph has its inputs and outputs already; a caller who states others means another graph. */
function checkedGraph(graph: Graph, { inputs, outputs }: CompileOptions): Graph {
  const show = (names: readonly (readonly [string, Shape])[]): string =>
    names.map(([name, shape]) => `${name} ${showShape(shape)}`).join(', ');
  const own = show(graph.inputs.map(({ name, type }) => [name, type.shape]));
  const declared = show(Object.entries(inputs));
  if (own !== declared) throw new RepconvError('ERR_INPUT', `compile: inputs expects those of the graph, ${own}, got ${declared}`);
  const names = [...graph.outputs.keys()].join(', ');
  if (outputs !== undefined && outputs.join(', ') !== names)
    throw new RepconvError('ERR_INPUT', `compile: outputs expects those of the graph, ${names}, got ${outputs.join(', ')}`);
  return graph;
}

/** In this order: what is computed from parameters may turn out to be a 1 or a weight, and what does nothing may stand between a convolution and its batch norm. */
function passes(options: CompileOptions): ((graph: Graph) => Graph)[] {
  return [foldConstants, removeIdentity, ...(options.foldBatchNorm === false ? [] : [foldBatchNorm]), spellOutPadding];
}

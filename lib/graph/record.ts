/** The recording reading: a sentence becomes a graph. */
import { entriesOf, hasMethod, isIterable, isWholeNumber, refused } from '../checks.js';
import { listed, printable, RepconvError, shown } from '../errors.js';
import { batchNormTraining } from '../ops/norm/batchNormTraining.js';
import type { TensorType } from '../ops/operator.js';
import type { OperatorName } from '../ops/registry.js';
import { type Traceable, withinStack } from '../ops/traceable.js';
import { vocabulary } from '../ops/vocabulary.js';
import { isPlainObject } from '../options.js';
import { checkedSize, isConcrete, maxRank, type OpenShape, type Shape, shapeOf, showShape } from '../tensor/shape.js';
import { type AnyTensor, checkIntact, isTensor } from '../tensor/tensor.js';
import { type Condition, collecting } from './conditions.js';
import { Graph, type Node, type Value } from './graph.js';

/**
 * Inputs by name, with their shapes; a letter stands for an extent that is known only later: `{ images: ['N', 3, 224,
 * 224] }`.
 */
export type InputSpec = Readonly<Record<string, OpenShape>>;

/**
 * Records what `model` computes, as a graph that can be printed, compiled and exported.
 * @param model a module, or any object with a `compute`
 * @param inputs what it reads, by name, with shapes
 * @param outputs names for what it gives; where they are missing, those of the record that `compute` returns, or
 * `output`
 * @throws ERR_TRAIN_MODE for a model in training mode, ERR_UNSUPPORTED for a batch norm that tracks no statistics,
 * ERR_INPUT for arguments and results that are none of these and for an input that `compute` never takes, ERR_SHAPE
 * where shapes do not go together, ERR_LIMIT
 * @example
 * ```ts
 * import { Conv2d, printGraph, ReLU, Sequential, trace } from 'repconv';
 *
 * const net = new Sequential(new Conv2d(3, 8, 3, { padding: 1 }), new ReLU()).eval();
 * console.log(printGraph(trace(net, { x: ['N', 3, 'H', 'W'] })).split('\n')[1]);
 * //   %0 = conv2d(x, 0.weight, 0.bias) { padding 1,1,1,1 } : [N,8,H,W]
 * ```
 */
export function trace(model: Traceable, inputs: InputSpec, outputs?: readonly string[]): Graph {
  return recorded(model, inputs, outputs, 'trace');
}

/** {@link trace} for whoever asks. @param operation how messages begin */
export function recorded(
  model: Traceable,
  inputs: InputSpec | undefined,
  outputs: readonly string[] | undefined,
  operation: string,
): Graph {
  if (!hasMethod(model, 'compute'))
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: model expects a module, or an object with compute(f, …), got ${shown(model)}`,
    );
  const values = checkedInputs(inputs, operation).map(
    ([name, shape]): Value => ({ name, type: { dtype: 'float32', shape } }),
  );
  const recorder = new Recorder(registeredIn(model, operation), values, operation);
  const result = withinStack(model, operation, () => model.compute(vocabulary<Value>(recorder), ...values));
  const graph = new Graph(
    values,
    namedOutputs(result, outputs, recorder, operation),
    recorder.nodes,
    recorder.conditions,
  );
  checkInputsAreTaken(model, graph, operation);
  return graph;
}

/** Names of the model's tensors, each the first of its names; null for a model that names none. @throws ERR_INPUT */
function registeredIn(model: Traceable, operation: string): ReadonlyMap<AnyTensor, string> | null {
  if (model.namedTensors === undefined) return null;
  const names = new Map<AnyTensor, string>();
  const given: unknown = hasMethod(model, 'namedTensors') ? model.namedTensors() : model.namedTensors;
  if (!isIterable(given)) throw refused(`${operation}: namedTensors`, 'to give pairs of a name and a tensor', given);
  for (const pair of given) {
    const [name, tensor] = entriesOf(pair, 2) ?? [];
    if (typeof name !== 'string' || !isTensor(tensor))
      throw refused(`${operation}: namedTensors`, 'to give pairs of a name and a tensor', pair);
    if (!names.has(tensor)) names.set(tensor, name);
  }
  return names;
}

/**
 * An input that nothing reads, given to a sentence that names fewer, is a mistake; one that it names it may well
 * ignore.
 */
function checkInputsAreTaken(model: Traceable, graph: Graph, operation: string): void {
  const uses = graph.useCounts();
  const surplus = graph.inputs.slice(Math.max(0, model.compute.length - 1)).filter((input) => !uses.has(input));
  if (surplus.length === 0) return;
  const names = listed(surplus.map(({ name }) => name));
  throw new RepconvError('ERR_INPUT', `${operation}: inputs expects only what compute takes, got ${names}`);
}

class Recorder {
  readonly nodes: Node[] = [];
  readonly conditions: Condition[] = [];
  readonly #constants = new Map<AnyTensor, Value>();
  /** Those of this recording: one kept from another would be read before it is made. */
  readonly #values: Set<unknown>;

  constructor(
    private readonly names: ReadonlyMap<AnyTensor, string> | null,
    inputs: readonly Value[],
    private readonly operation: string,
  ) {
    this.#values = new Set(inputs);
  }

  isValue(value: unknown): value is Value {
    return this.#values.has(value);
  }

  lift(tensor: AnyTensor): Value {
    const known = this.#constants.get(tensor);
    if (known !== undefined) return known;
    const name = this.names?.get(tensor) ?? '';
    checkIntact(tensor, () => `${this.operation}: ${printable(name) || `a constant ${showShape(tensor.shape)}`}`);
    const value: Value = {
      name,
      type: { dtype: tensor.dtype, shape: tensor.shape },
      constant: tensor,
    };
    this.#constants.set(tensor, value);
    this.#values.add(value);
    return value;
  }

  apply(operator: Node['operator'] | { name: string }, inputs: readonly (Value | null)[], attributes: object): Value[] {
    if (operator === batchNormTraining) {
      const statistics = inputs[3] !== null && inputs[4] !== null ? inputs[3] : null;
      if (statistics !== null) {
        const isReached = this.names?.has(statistics.constant as AnyTensor) ?? true;
        throw new RepconvError(
          'ERR_TRAIN_MODE',
          isReached
            ? 'trace: the model is in training mode; call eval() first'
            : 'trace: a batch norm is in training mode where eval() does not reach it, since its module is not registered; register each module with this.child(name, module), then call eval()',
        );
      }
      throw new RepconvError(
        'ERR_UNSUPPORTED',
        'trace: a batch norm without running statistics uses those of the batch, which a graph cannot express',
      );
    }
    const checked = operator as Node['operator'] & { name: OperatorName };
    const label = this.#label(inputs);
    const types: TensorType[] = checked.infer(
      inputs.map((input) => input?.type ?? null),
      attributes,
      collecting(this.conditions, label === '' ? operator.name : `${operator.name} of ${printable(label, 60)}`),
    );
    const outputs = types.map((type): Value => ({ name: '', type }));
    for (const output of outputs) this.#values.add(output);
    this.nodes.push({ operator: checked, inputs, outputs, attributes, label });
    return outputs;
  }

  /** `stage1.0.rbr_dense.conv` from the key `stage1.0.rbr_dense.conv.weight`. */
  #label(inputs: readonly (Value | null)[]): string {
    const key = inputs.find((input) => input?.constant !== undefined && input.name !== '')?.name ?? '';
    return key.slice(0, Math.max(0, key.lastIndexOf('.')));
  }
}

function checkedInputs(inputs: unknown, operation: string): (readonly [string, Shape])[] {
  const entries = isPlainObject(inputs) ? Object.entries(inputs) : [];
  if (entries.length === 0)
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: inputs expects at least one input, such as { images: ['N', 3, 224, 224] }, got ${shown(inputs)}`,
    );
  return entries.map(([name, shape]) => [name, checkedInput(name, shape, operation)] as const);
}

function checkedInput(name: string, given: unknown, operation: string): Shape {
  const isExtent = (extent: unknown): extent is number | string =>
    isWholeNumber(extent, 0) || (typeof extent === 'string' && /^[A-Za-z_]\w{0,59}$/.test(extent));
  const what = `${operation}: input ${printable(name, 60)}`;
  const shape = entriesOf(given, maxRank);
  if (shape === null || !shape.every(isExtent))
    throw refused(what, "a list of whole numbers and names such as 'N'", given);
  const read = shapeOf(shape);
  if (isConcrete(read)) checkedSize(read, what);
  return read;
}

function namedOutputs(
  result: unknown,
  names: readonly string[] | undefined,
  recorder: Recorder,
  operation: string,
): ReadonlyMap<string, Value> {
  const record = recorder.isValue(result) ? { output: result } : isPlainObject(result) ? result : {};
  const entries = Object.entries(record);
  if (entries.length === 0 || !entries.every((entry): entry is [string, Value] => recorder.isValue(entry[1])))
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: compute expects to return a value or a record of values, got ${shown(result, { depth: 0 })}`,
    );
  if (names === undefined) return new Map(entries);
  const given = entriesOf(names, entries.length) ?? [];
  const isNames = given.every((name) => typeof name === 'string');
  if (!isNames || given.length !== entries.length || new Set(given).size !== given.length)
    throw refused(`${operation}:`, `${entries.length} different output name${entries.length === 1 ? '' : 's'}`, names);
  return new Map(entries.map(([, value], i) => [given[i], value]));
}

/**
 * A model as an ONNX file: `toOnnx` gives its bytes, `exportOnnx` writes them.
 *
 *     record → spell out padding → every node as its row in ops.ts says → Protocol Buffers
 *
 * The model is written as it is, branches, batch norms and all. The same model and options give the same bytes.
 */
import { entriesOf, hasMethod, isInstance, refused } from '../checks.js';
import { printable, RepconvError, shown } from '../errors.js';
import { Graph, hasInputs, type Value } from '../graph/graph.js';
import { spellOutPadding } from '../graph/passes/spellOutPadding.js';
import { type InputSpec, recorded } from '../graph/record.js';
import type { Traceable } from '../ops/traceable.js';
import { isPlainObject, optionsOf } from '../options.js';
import { type FloatDType, isFloatDType } from '../tensor/dtype.js';
import { type Shape, showShape } from '../tensor/shape.js';
import { elementTypes } from './elementTypes.js';
import { ModelWriter, maxModelBytes } from './modelWriter.js';
import { onnxOperators } from './ops.js';
import { defaultOpset, formatVersionOf } from './opset.js';
import type { WriteOperator } from './row.js';
import { encodeModel, type OnnxMessage } from './schema.js';

/** Options of `toOnnx` and `exportOnnx`. */
export interface OnnxOptions {
  /** Inputs by name, with their shapes; a letter stays open: `{ images: ['N', 3, 224, 224] }`. A graph has its own. */
  readonly inputs?: InputSpec;
  /** Names of the outputs; default: those the model gives, or `output`. */
  readonly outputs?: readonly string[];
  /** Version of ONNX's operator set, 11 to 26. Default 17. */
  readonly opset?: number;
  /**
   * Format of all numbers. Default: that of the parameters, or float32 where there are none; parameters of another
   * format are rounded once. bfloat16 needs opset 22.
   */
  readonly dtype?: FloatDType;
  /** Texts to keep with the model (`metadata_props`). */
  readonly metadata?: Readonly<Record<string, string>>;
}

const defaults = {
  inputs: undefined,
  outputs: undefined,
  opset: defaultOpset,
  dtype: undefined,
  metadata: undefined,
} as const;

/**
 * The bytes of an ONNX file (onnx.ai) of `model`: a module, or anything with a `compute`, or a graph. It is written as
 * it is, branches and batch norms and all; initializers are named by their state-dict keys. The same model and options
 * give the same bytes.
 * @throws ERR_TRAIN_MODE for a model in training mode; ERR_INPUT, ERR_SHAPE for inputs and outputs that are none;
 * ERR_UNSUPPORTED for an opset or format that cannot be had; ERR_LIMIT for 2 GiB of weights or more
 * @example
 * ```ts
 * import { ConvBlock, repconv, toOnnx } from 'repconv';
 *
 * const { model } = repconv(new ConvBlock(3, 8));
 * const bytes = toOnnx(model, { inputs: { images: ['N', 3, 'H', 'W'] }, outputs: ['features'] });
 * console.log(bytes.length > 1000); // true
 * ```
 */
export function toOnnx(model: Traceable | Graph, options: OnnxOptions = {}): ReturnType<Uint8ArrayConstructor['of']> {
  return modelBytes(model, options, 'toOnnx');
}

/** {@link toOnnx} for a caller whose name stands in messages. @internal */
export function modelBytes(model: Traceable | Graph, options: OnnxOptions, operation: string): Uint8Array<ArrayBuffer> {
  const { inputs, outputs, opset, dtype: wanted, metadata } = optionsOf(options, defaults, operation);
  const formatVersion = formatVersionOf(opset, operation);
  const graph = spellOutPadding(graphOf(model, inputs, outputs, operation));
  const dtype = dtypeOf(graph, wanted, operation);
  if (dtype === 'bfloat16' && opset < 22)
    throw new RepconvError('ERR_UNSUPPORTED', `${operation}: bfloat16 expects opset 22 or above, got ${opset}`);
  const message: OnnxMessage<'ModelProto'> = {
    irVersion: BigInt(formatVersion),
    opsetImport: [{ domain: '', version: BigInt(opset) }],
    producerName: 'repconv',
    producerVersion: (require('../../package.json') as { version: string }).version,
    graph: graphMessage(graph, opset, dtype, operation),
    metadataProps: metadataMessages(metadata, operation),
  };
  const bytes = encoded(message, operation);
  if (bytes.length > maxModelBytes)
    throw new RepconvError(
      'ERR_LIMIT',
      `${operation}: an ONNX file holds less than 2 GiB, and this one would have ${bytes.length} bytes`,
    );
  return bytes;
}

function encoded(message: OnnxMessage<'ModelProto'>, operation: string): Uint8Array<ArrayBuffer> {
  try {
    return encodeModel(message);
  } catch (cause) {
    if ((cause as Error | undefined)?.name !== 'RangeError') throw cause;
    throw new RepconvError('ERR_OOM', `${operation}: no memory for the bytes of the model`, { cause });
  }
}

function graphOf(
  model: Traceable | Graph,
  inputs: OnnxOptions['inputs'],
  outputs: OnnxOptions['outputs'],
  operation: string,
): Graph {
  if (!isInstance(model, Graph)) {
    if (!hasMethod(model, 'compute')) throw refused(`${operation}: model`, 'a module or a graph', model);
    return recorded(model, inputs, outputs, operation);
  }
  const own = model.inputs.map(({ name, type }) => `${name}: ${showShape(type.shape)}`).join(', ');
  if (inputs !== undefined && !hasInputs(model, inputs))
    throw refused(`${operation}: inputs`, `those of the graph or none, { ${printable(own)} }`, inputs);
  if (outputs === undefined) return model;
  const values = [...model.outputs.values()];
  const names = entriesOf(outputs, values.length) ?? [];
  const isNames = names.every((name) => typeof name === 'string');
  if (!isNames || names.length !== values.length || new Set(names).size !== names.length)
    throw refused(`${operation}: outputs`, `${values.length} different names`, outputs);
  return new Graph(model.inputs, new Map(names.map((name, i) => [name, values[i]])), model.nodes, model.conditions);
}

/** The format of the model's numbers: one for all. */
function dtypeOf(graph: Graph, wanted: FloatDType | undefined, operation: string): FloatDType {
  if (wanted !== undefined && !(typeof wanted === 'string' && isFloatDType(wanted)))
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: dtype expects float32, float64, float16 or bfloat16, got ${shown(wanted)}`,
    );
  for (const { name, type } of [...graph.inputs, ...constantsOf(graph)]) {
    if (!isFloatDType(type.dtype))
      throw new RepconvError(
        'ERR_UNSUPPORTED',
        `${operation}: ${printable(name) || 'a constant'} expects floating-point numbers, got ${type.dtype}`,
      );
  }
  if (wanted !== undefined) return wanted;
  // Recorded inputs are float32 whatever the parameters are, so these decide.
  const constants = constantsOf(graph);
  const found = new Map((constants.length > 0 ? constants : graph.inputs).map(({ name, type }) => [type.dtype, name]));
  if (found.size > 1) {
    const list = [...found].map(([dtype, name]) => `${dtype} (${printable(name)})`).join(', ');
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${operation}: parameters expect one format, or the option dtype that says which; got ${list}`,
    );
  }
  return ([...found.keys()][0] ?? 'float32') as FloatDType;
}

function constantsOf(graph: Graph): Value[] {
  return [...new Set([...graph.constants(), ...graph.outputs.values()])].filter(
    ({ constant }) => constant !== undefined,
  );
}

function graphMessage(graph: Graph, opset: number, dtype: FloatDType, operation: string): OnnxMessage<'GraphProto'> {
  const keys = new Set(constantsOf(graph).map(({ name }) => name));
  const ends = checkedNames(graph, keys, operation);
  const writer = new ModelWriter(opset, dtype, operation, [...ends, ...keys]);
  const names = new Map<Value | null, string>([
    [null, ''],
    ...graph.inputs.map((input) => [input, input.name] as const),
  ]);
  const nameOf = (value: Value | null): string => {
    const name =
      names.get(value) ?? writer.constant(value?.name as string, value?.constant as NonNullable<Value['constant']>);
    names.set(value, name);
    return name;
  };
  const wanted = new Map([...graph.outputs].map(([name, value]) => [value, name]).reverse() as [Value, string][]);
  for (const { operator, inputs, outputs, attributes, label } of graph.nodes) {
    const inputNames = inputs.map(nameOf);
    const write = onnxOperators[operator.name] as WriteOperator;
    const shapes = inputs.map((input) => input?.type.shape ?? []);
    const made = write(writer.scope(label), { inputs: inputNames, shapes, result: outputs[0].type.shape, attributes });
    const asked = wanted.get(outputs[0]);
    const isNamed = asked !== undefined && !inputNames.includes(made) && writer.renameLast(made, asked);
    names.set(outputs[0], isNamed ? asked : made);
  }
  // What is an input, a constant or already another output.
  for (const [name, value] of graph.outputs) if (nameOf(value) !== name) writer.identity(nameOf(value), name);
  return {
    name: 'main_graph',
    node: writer.nodes,
    initializer: writer.initializers,
    input: graph.inputs.map(({ name, type }) => valueInfo(name, type.shape, dtype)),
    output: [...graph.outputs].map(([name, { type }]) => valueInfo(name, type.shape, dtype)),
  };
}

/** Names of inputs and outputs. @throws ERR_INPUT for one that is empty, no text, used twice or a parameter's */
function checkedNames(graph: Graph, keys: ReadonlySet<string>, operation: string): ReadonlySet<string> {
  const seen = new Set<string>();
  for (const name of [...graph.inputs.map((input) => input.name), ...graph.outputs.keys()]) {
    if (typeof name !== 'string' || name === '' || !name.isWellFormed())
      throw new RepconvError('ERR_INPUT', `${operation}: names of inputs and outputs expect text, got ${shown(name)}`);
    if (seen.has(name) || keys.has(name))
      throw new RepconvError(
        'ERR_INPUT',
        `${operation}: inputs, outputs and parameters expect different names, got ${printable(name)} for ${seen.has(name) ? 'two inputs or outputs' : 'a parameter too'}`,
      );
    seen.add(name);
  }
  return seen;
}

function valueInfo(name: string, shape: Shape, dtype: FloatDType): OnnxMessage<'ValueInfoProto'> {
  const dim = shape.map((extent) =>
    typeof extent === 'number' ? { dimValue: BigInt(extent) } : { dimParam: extent.text },
  );
  return { name, type: { tensorType: { elemType: elementTypes[dtype] as number, shape: { dim } } } };
}

function metadataMessages(
  metadata: Readonly<Record<string, string>> | undefined,
  operation: string,
): OnnxMessage<'StringStringEntryProto'>[] {
  if (metadata !== undefined && !isPlainObject(metadata))
    throw refused(`${operation}: metadata`, 'a plain object of texts', metadata);
  const entries = Object.entries(metadata ?? {});
  for (const [key, value] of entries) {
    if (typeof value !== 'string' || !value.isWellFormed() || !key.isWellFormed())
      throw new RepconvError(
        'ERR_INPUT',
        `${operation}: metadata expects texts, got ${shown(value)} for ${printable(key)}`,
      );
  }
  return entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => ({ key, value }));
}

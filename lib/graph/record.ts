/** The recording reading: a sentence becomes a graph. */
import { inspect } from 'node:util';
import { RepconvError } from '../errors.js';
import { batchNormTraining } from '../ops/batchNormTraining.js';
import type { TensorType } from '../ops/operator.js';
import type { Traceable } from '../ops/traceable.js';
import { type OperatorName, vocabulary } from '../ops/vocabulary.js';
import { type Extent, isConcrete, showShape, sizeOf } from '../tensor/shape.js';
import type { AnyTensor } from '../tensor/tensor.js';
import { Graph, type Node, type Value } from './graph.js';

/** Inputs by name, with their shapes; a letter stands for an extent that is known only later: `{ images: ['N', 3, 224, 224] }`. */
export type InputSpec = Readonly<Record<string, readonly Extent[]>>;

/**
 * Records what `model` computes. Outputs are named by the record the sentence returns, or by `outputs`, or `output`.
 * @throws ERR_TRAIN_MODE for a model in training mode, ERR_UNSUPPORTED for a batch norm that tracks no statistics, ERR_INPUT for a spec or a
 *   result that is none, ERR_SHAPE where shapes do not go together
 */
export function trace(model: Traceable, inputs: InputSpec, outputs?: readonly string[]): Graph {
  const values = Object.entries(inputs).map(
    ([name, shape]): Value => ({ name, type: { dtype: 'float32', shape: checkedInput(name, shape) } }),
  );
  if (values.length === 0) throw new RepconvError('ERR_INPUT', 'trace: expects at least one input, such as { images: [1, 3, 224, 224] }');
  const names = new Map<AnyTensor, string>();
  for (const [name, tensor] of model.namedTensors?.() ?? []) if (!names.has(tensor)) names.set(tensor, name);
  const recorder = new Recorder(names);
  const result = model.compute(vocabulary<Value>(recorder), ...values);
  return new Graph(values, namedOutputs(result, outputs), recorder.nodes);
}

class Recorder {
  readonly nodes: Node[] = [];
  readonly #constants = new Map<AnyTensor, Value>();

  constructor(private readonly names: ReadonlyMap<AnyTensor, string>) {}

  lift(tensor: AnyTensor): Value {
    const known = this.#constants.get(tensor);
    if (known !== undefined) return known;
    const value: Value = { name: this.names.get(tensor) ?? '', type: { dtype: tensor.dtype, shape: tensor.shape }, constant: tensor };
    this.#constants.set(tensor, value);
    return value;
  }

  apply(operator: Node['operator'] | { name: string }, inputs: readonly (Value | null)[], attributes: object): Value[] {
    if (operator === batchNormTraining) {
      const hasStatistics = inputs[3] !== null && inputs[4] !== null;
      if (hasStatistics) throw new RepconvError('ERR_TRAIN_MODE', 'trace: the model is in training mode; call eval() first');
      throw new RepconvError(
        'ERR_UNSUPPORTED',
        'trace: a batch norm without running statistics uses those of the batch, which a graph cannot',
      );
    }
    const checked = operator as Node['operator'] & { name: OperatorName };
    const types: TensorType[] = checked.infer(
      inputs.map((input) => input?.type ?? null),
      attributes,
    );
    const outputs = types.map((type): Value => ({ name: '', type }));
    this.nodes.push({ operator: checked, inputs, outputs, attributes, label: this.#label(inputs) });
    return outputs;
  }

  /** `stage1.0.rbr_dense.conv` from the key `stage1.0.rbr_dense.conv.weight`. */
  #label(inputs: readonly (Value | null)[]): string {
    const key = inputs.find((input) => input?.constant !== undefined && input.name !== '')?.name ?? '';
    return key.slice(0, Math.max(0, key.lastIndexOf('.')));
  }
}

function checkedInput(name: string, shape: unknown): readonly Extent[] {
  const isExtent = (extent: unknown): boolean =>
    (typeof extent === 'number' && Number.isInteger(extent) && extent >= 0) ||
    (typeof extent === 'string' && /^[A-Za-z_]\w*$/.test(extent));
  if (!Array.isArray(shape) || !shape.every(isExtent)) {
    throw new RepconvError(
      'ERR_INPUT',
      `trace: input ${name} expects a list of whole numbers and names such as 'N', got ${JSON.stringify(shape)}`,
    );
  }
  if (isConcrete(shape) && !Number.isSafeInteger(sizeOf(shape)))
    throw new RepconvError('ERR_LIMIT', `trace: input ${name} of shape ${showShape(shape)} is too large`);
  return shape;
}

function namedOutputs(result: unknown, names: readonly string[] | undefined): ReadonlyMap<string, Value> {
  const entries = isValue(result) ? [['output', result] as const] : Object.entries(result ?? {});
  if (entries.length === 0 || !entries.every((entry): entry is [string, Value] => isValue(entry[1]))) {
    const found = inspect(result, { depth: 0, compact: true, breakLength: Infinity });
    throw new RepconvError('ERR_INPUT', `trace: compute expects to return a value or a record of values, got ${found}`);
  }
  if (names === undefined) return new Map(entries);
  if (names.length !== entries.length || new Set(names).size !== names.length) {
    throw new RepconvError(
      'ERR_INPUT',
      `trace: expects ${entries.length} different output name${entries.length === 1 ? '' : 's'}, got ${JSON.stringify(names)}`,
    );
  }
  return new Map(entries.map(([, value], i) => [names[i], value]));
}

/** Whether it is a value, not a record of them (which may well have one called `type` or `name`). */
function isValue(result: unknown): result is Value {
  return typeof result === 'object' && result !== null && 'type' in result && 'name' in result && typeof result.name === 'string';
}

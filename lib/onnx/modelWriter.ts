/**
 * Collects the nodes and initializers of an ONNX graph, and gives everything a name: parameters their state-dict keys,
 * nodes the path of their module and their operator (`/stage0/rbr_dense/conv/Conv`), the rest names made from those.
 */
import { printable, RepconvError } from '../errors.js';
import type { FloatDType } from '../tensor/dtype.js';
import { type AnyTensor, Tensor, tensor } from '../tensor/tensor.js';
import { tensorProto } from './elementTypes.js';
import type { OnnxMessage } from './schema.js';

/** Protocol Buffers readers take no message of 2 GiB or more. */
export const maxModelBytes = 2 ** 31 - 1;

/**
 * Kind of each attribute that is written, so that a whole number is not taken for an integer. One name has one kind in
 * all operators used here.
 */
const attributeKinds = {
  alpha: 'float',
  approximate: 'string',
  axes: 'ints',
  axis: 'int',
  beta: 'float',
  ceil_mode: 'int',
  count_include_pad: 'int',
  dilations: 'ints',
  epsilon: 'float',
  group: 'int',
  kernel_shape: 'ints',
  keepdims: 'int',
  mode: 'string',
  output_padding: 'ints',
  pads: 'ints',
  perm: 'ints',
  strides: 'ints',
  transB: 'int',
} as const;

type AttributeKinds = typeof attributeKinds;
interface AttributeValues {
  float: number;
  int: number;
  string: string;
  ints: readonly number[];
}
export type Attributes = { readonly [A in keyof AttributeKinds]?: AttributeValues[AttributeKinds[A]] };

/** Where one operator writes the nodes that spell it. Values are names; the empty name is an absent optional input. */
export interface NodeScope {
  readonly opset: number;
  /** Format of every number in the model. */
  readonly dtype: FloatDType;
  /** Adds a node with one output; returns the output's name. */
  node(opType: string, inputs: readonly string[], attributes?: Attributes): string;
  /** A list of int64 numbers that the nodes need. */
  integers(role: string, values: readonly number[]): string;
  /** Numbers in the model's format that the nodes need. */
  numbers(role: string, values: number | readonly number[]): string;
}

export class ModelWriter {
  readonly nodes: OnnxMessage<'NodeProto'>[] = [];
  readonly initializers: OnnxMessage<'TensorProto'>[] = [];
  readonly #taken: Set<string>;
  readonly #constants = new Map<AnyTensor, string>();
  readonly #usedKeys = new Set<string>();
  readonly #lastSuffix = new Map<string, number>();
  #weightBytes = 0;

  /** @param reserved names that nothing else may get: those of inputs and outputs, and all keys */
  constructor(
    readonly opset: number,
    readonly dtype: FloatDType,
    private readonly operation: string,
    reserved: Iterable<string>,
  ) {
    this.#taken = new Set(reserved);
  }

  /**
   * A parameter under its key (one that is reserved), or an unnamed constant; the same tensor is written once. @throws
   * ERR_UNSUPPORTED, ERR_LIMIT
   */
  constant(name: string, value: AnyTensor): string {
    const known = this.#constants.get(value);
    if (known !== undefined) return known;
    // Two tensors under one key: passes that fold a layer twice make such.
    const isFree = name !== '' && !this.#usedKeys.has(name);
    const chosen = isFree ? name : this.#unique(name || 'constant');
    this.#usedKeys.add(chosen);
    this.#constants.set(value, chosen);
    return this.#initialize(chosen, value.dtype === this.dtype ? value : value.to(this.dtype));
  }

  /** For the nodes of one operator, asked for by the module at `label`. */
  scope(label: string): NodeScope {
    const path = label === '' ? '/' : `/${label.replaceAll('.', '/')}/`;
    const named = (role: string, value: AnyTensor): string => this.#initialize(this.#unique(path + role), value);
    return {
      opset: this.opset,
      dtype: this.dtype,
      node: (opType, inputs, attributes = {}) => this.#node(this.#unique(path + opType), opType, inputs, attributes),
      integers: (role, values) => named(role, new Tensor('int64', [values.length], BigInt64Array.from(values, BigInt))),
      numbers: (role, values) => named(role, tensor(values as number | number[]).to(this.dtype)),
    };
  }

  /** Calls the value that the last node made by another name; false when the last node did not make it. */
  renameLast(from: string, to: string): boolean {
    const last = this.nodes.at(-1);
    if (last?.output?.[0] !== from) return false;
    last.output[0] = to;
    return true;
  }

  /** A second name for a value. */
  identity(from: string, to: string): void {
    this.nodes.push({
      name: this.#unique('/Identity'),
      opType: 'Identity',
      input: [from],
      output: [to],
      attribute: [],
    });
  }

  #node(name: string, opType: string, inputs: readonly string[], attributes: Attributes): string {
    const output = this.#unique(`${name}_output`);
    const used = inputs.slice(0, inputs.findLastIndex((input) => input !== '') + 1);
    const entries = Object.entries(attributes) as [keyof Attributes, AttributeValues[keyof AttributeValues]][];
    this.nodes.push({
      name,
      opType,
      input: used,
      output: [output],
      attribute: entries.map(([key, value]) => attribute(key, value)),
    });
    return output;
  }

  #initialize(name: string, value: AnyTensor): string {
    this.#weightBytes += value.data.byteLength;
    if (this.#weightBytes > maxModelBytes)
      throw new RepconvError(
        'ERR_LIMIT',
        `${this.operation}: an ONNX file holds less than 2 GiB, and the weights up to ${printable(name)} have ${this.#weightBytes} bytes`,
      );
    this.initializers.push(tensorProto(name, value));
    return name;
  }

  #unique(base: string): string {
    let name = base;
    let suffix = this.#lastSuffix.get(base) ?? 0;
    while (this.#taken.has(name)) name = `${base}_${++suffix}`;
    this.#lastSuffix.set(base, suffix);
    this.#taken.add(name);
    return name;
  }
}

/** AttributeProto.AttributeType */
const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;

function attribute(
  name: keyof Attributes,
  value: AttributeValues[keyof AttributeValues],
): OnnxMessage<'AttributeProto'> {
  const kind = attributeKinds[name];
  const common = { name, type: attributeTypes[kind] };
  switch (kind) {
    case 'float':
      return { ...common, f: Math.fround(value as number) };
    case 'int':
      return { ...common, i: BigInt(value as number) };
    case 'string':
      return { ...common, s: new TextEncoder().encode(value as string) };
    case 'ints':
      return { ...common, ints: (value as readonly number[]).map(BigInt) };
  }
}

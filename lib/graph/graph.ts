/**
 * The graph: what a model computes, as operators over values, in an order in which every value is made before it is
 * read.
 *
 * It is recorded from a sentence (record.ts), rewritten by passes (passes/), printed (print.ts), exported (onnx/) and
 * lowered (session/).
 */

import { entriesOf } from '../checks.js';
import { printable, RepconvError } from '../errors.js';
import type { TensorType } from '../ops/operator.js';
import type { KnownOperator } from '../ops/registry.js';
import { isPlainObject } from '../options.js';
import { showShape, writtenShape } from '../tensor/shape.js';
import type { AnyTensor } from '../tensor/tensor.js';
import type { Condition } from './conditions.js';

/** An input, a constant, or a result of a node. */
export interface Value {
  /** What it is called: an input's or output's name, a constant's state-dict key; empty where nobody named it. */
  name: string;
  /** Number format and shape. */
  type: TensorType;
  /** The numbers, where they are known already: a parameter or buffer. */
  readonly constant?: AnyTensor;
  /** Whether the constant's memory is the graph's alone: a pass made it, and nobody else can write it. */
  readonly isPrivate?: boolean;
}

/** One application of an operator. */
export interface Node {
  /** What is applied; `operator.name` is a word of {@link Ops}. */
  readonly operator: KnownOperator;
  /** What it is applied to; null where an optional one is absent. */
  readonly inputs: readonly (Value | null)[];
  /** What it gives. */
  readonly outputs: readonly Value[];
  /** How it is applied: strides, an axis, … */
  readonly attributes: object;
  /** Path of the module that asked for it, as far as its parameters tell; for people. */
  readonly label: string;
}

/**
 * What a model computes, as nodes in order; made by {@link trace}, read by `compile`, {@link printGraph} and the ONNX
 * export.
 */
export class Graph {
  /** @throws ERR_INPUT where a value is read that nothing makes, or that is made later */
  constructor(
    /** What it reads, in the order of `inputs`. */
    readonly inputs: readonly Value[],
    /** What it gives, by name, in order. */
    readonly outputs: ReadonlyMap<string, Value>,
    /** What it computes: no node reads what a later one makes. */
    readonly nodes: readonly Node[],
    /** What has to hold of the sizes that come. */
    readonly conditions: readonly Condition[] = [],
  ) {
    const made = new Set(inputs);
    const checkMade = (value: Value | null, reader: string): void => {
      if (value === null || value.constant !== undefined || made.has(value)) return;
      throw new RepconvError(
        'ERR_INPUT',
        `graph: ${reader} expects an input, a constant or a result of a node before it, got another value of shape ${showShape(value.type.shape)}`,
      );
    };
    for (const { operator, inputs: operands, outputs: results } of nodes) {
      for (const operand of operands) checkMade(operand, operator.name);
      for (const result of results) made.add(result);
    }
    for (const [name, value] of outputs) checkMade(value, `output ${printable(name, 60)}`);
  }

  /** Constants that nodes read, in the order of first reading. */
  constants(): Value[] {
    return [...new Set(this.nodes.flatMap((node) => node.inputs))].filter(
      (value): value is Value => value?.constant !== undefined,
    );
  }

  /** How often each value is read, by nodes and as an output. */
  useCounts(): ReadonlyMap<Value, number> {
    const counts = new Map<Value, number>();
    const read = [...this.nodes.flatMap((node) => node.inputs), ...this.outputs.values()];
    for (const value of read) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
    return counts;
  }

  /** The node that makes each value. */
  producers(): ReadonlyMap<Value, Node> {
    return new Map(this.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  }
}

/** Whether `inputs` are those of the graph: names, order and shapes. */
export function hasInputs(graph: Graph, inputs: unknown): boolean {
  const given = isPlainObject(inputs) ? Object.entries(inputs) : [];
  return (
    given.length === graph.inputs.length &&
    given.every(([name, shape], i) => {
      const { name: own, type } = graph.inputs[i];
      const wanted = writtenShape(type.shape);
      const extents = entriesOf(shape, wanted.length);
      return (
        name === own && extents?.length === wanted.length && extents.every((extent, axis) => extent === wanted[axis])
      );
    })
  );
}

/**
 * Types of all values when the inputs have the given ones: the shape rules, applied again in order. @throws ERR_SHAPE
 */
export function inferTypes(graph: Graph, inputs: readonly TensorType[]): ReadonlyMap<Value, TensorType> {
  const types = new Map<Value, TensorType>(graph.inputs.map((input, i) => [input, inputs[i]]));
  const typeOf = (value: Value): TensorType => types.get(value) ?? value.type;
  for (const node of graph.nodes) {
    const results = node.operator.infer(
      node.inputs.map((input) => input && typeOf(input)),
      node.attributes,
    );
    for (const [i, output] of node.outputs.entries()) types.set(output, results[i]);
  }
  return types;
}

/** Multiply-accumulates of a node, 0 where the papers count none. NaN where extents are symbolic. */
export function macsOf({ operator, inputs, outputs }: Node): number {
  const [read, made] = [inputs.map((input) => input?.type ?? null), outputs.map(({ type }) => type)];
  return operator.macs?.(read, made) ?? 0;
}

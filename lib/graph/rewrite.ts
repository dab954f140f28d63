/**
 * The rewriter: what passes share. A pass looks at the nodes in order and answers for each with what takes its place;
 * types are inferred again as the new graph is built, so a pass cannot leave a shape that is not true.
 */
import type { AnyTensor } from '../tensor/tensor.js';
import { granted } from './conditions.js';
import { Graph, type Node, type Value } from './graph.js';

/** Builds the new graph behind a pass. */
export interface Rewriter {
  /** The value that now stands for one of the old graph. */
  now(value: Value): Value;
  /** A new constant, in memory that nobody else has. */
  constant(tensor: AnyTensor, name: string): Value;
  /** Adds a node; returns its outputs. */
  apply(
    operator: Node['operator'],
    inputs: readonly (Value | null)[],
    attributes: object,
    label: string,
  ): readonly Value[];
}

/**
 * Rewrites a graph node by node. `replace` returns what takes the place of the node's outputs, one for each, or
 * undefined to keep the node. Nodes whose results nobody reads any more are dropped.
 */
export function rewrite(
  graph: Graph,
  replace: (node: Node, rewriter: Rewriter) => readonly Value[] | undefined,
): Graph {
  const current = new Map<Value, Value>();
  const nodes: Node[] = [];
  const assume = granted(graph.conditions);
  const now = (value: Value): Value => current.get(value) ?? value;
  const rewriter: Rewriter = {
    now,
    constant: (tensor, name) => ({
      name,
      type: { dtype: tensor.dtype, shape: tensor.shape },
      constant: tensor,
      isPrivate: true,
    }),
    apply(operator, inputs, attributes, label) {
      const types = operator.infer(
        inputs.map((input) => input?.type ?? null),
        attributes,
        assume,
      );
      const outputs = types.map((type): Value => ({ name: '', type }));
      nodes.push({ operator, inputs, outputs, attributes, label });
      return outputs;
    },
  };
  for (const node of graph.nodes) {
    const inputs = (): (Value | null)[] => node.inputs.map((input) => input && now(input));
    const outputs = replace(node, rewriter) ?? rewriter.apply(node.operator, inputs(), node.attributes, node.label);
    if (outputs.length !== node.outputs.length)
      throw new TypeError(
        `${node.operator.name} has ${node.outputs.length} outputs, and ${outputs.length} replace them`,
      );
    for (const [i, output] of node.outputs.entries()) current.set(output, outputs[i]);
  }
  const outputs = new Map([...graph.outputs].map(([name, value]) => [name, now(value)]));
  return withoutDeadNodes(new Graph(graph.inputs, outputs, nodes, graph.conditions));
}

function withoutDeadNodes(graph: Graph): Graph {
  const needed = new Set<Value>(graph.outputs.values());
  const kept: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const input of node.inputs) if (input !== null) needed.add(input);
  }
  return new Graph(graph.inputs, graph.outputs, kept.reverse(), graph.conditions);
}

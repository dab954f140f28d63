/**
 * A graph as text, for people and for tests:
 *
 *     graph (images: float32 [N,3,8,8])
 *       %0 = conv2d(images, features.0.conv.weight, features.0.conv.bias) { padding 1,1,1,1 } : [N,16,8,8]
 *       %1 = relu(%0) : [N,16,8,8]
 *       return output = %1
 */
import { isInstance, refused } from '../checks.js';
import { printable } from '../errors.js';
import { showShape } from '../tensor/shape.js';
import { Graph, type Value } from './graph.js';

/**
 * The graph as text, one line for each node: name, operator, operands, attributes that say something, shape of the
 * result.
 * @throws ERR_INPUT
 */
export function printGraph(graph: Graph): string {
  if (!isInstance(graph, Graph)) throw refused('printGraph:', 'a Graph, such as trace gives', graph);
  const names = new Map<Value, string>();
  for (const input of graph.inputs) names.set(input, printable(input.name));
  const nameOf = (value: Value | null): string => {
    if (value === null) return '–';
    const known = names.get(value);
    if (known !== undefined) return known;
    const name =
      value.constant !== undefined
        ? printable(value.name) || `constant ${showShape(value.constant.shape)}`
        : `%${names.size - graph.inputs.length}`;
    if (value.constant === undefined) names.set(value, name);
    return name;
  };
  const inputs = graph.inputs.map(({ name, type }) => `${printable(name)}: ${type.dtype} ${showShape(type.shape)}`);
  const lines = graph.nodes.map((node) => {
    const left = node.outputs.map(nameOf).join(', ');
    const types = node.outputs.map(({ type }) => showShape(type.shape)).join(', ');
    return `  ${left} = ${node.operator.name}(${node.inputs.map(nameOf).join(', ')})${printAttributes(node.attributes)} : ${types}`;
  });
  const conditions = graph.conditions.map(({ left, right }) => `  where ${left} = ${right}`);
  const outputs = [...graph.outputs].map(([name, value]) => `${printable(name)} = ${nameOf(value)}`);
  return [`graph (${inputs.join(', ')})`, ...conditions, ...lines, `  return ${outputs.join(', ')}`].join('\n');
}

/** Attributes that say something: those at their usual values are left out. */
function printAttributes(attributes: object): string {
  const usual: Readonly<Record<string, string>> = {
    stride: '1,1',
    padding: '0,0,0,0',
    dilation: '1,1',
    groups: '1',
    paddingMode: 'zeros',
    outputPadding: '0,0',
    ceilMode: 'false',
  };
  const shown = Object.entries(attributes).flatMap(([name, value]) =>
    String(value) === usual[name] ? [] : [`${name} ${String(value)}`],
  );
  return shown.length === 0 ? '' : ` { ${shown.join(', ')} }`;
}

/** How tests of graphs make one, and run it: node by node, in float64, by the reference. */
import { expect } from 'vitest';
import type { Graph, Value } from '../../lib/graph/graph.js';
import { printGraph } from '../../lib/graph/print.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import { difference } from '../../lib/tensor/compare.js';
import { Random, rand, randn } from '../../lib/tensor/random.js';
import type { AnyTensor, Tensor } from '../../lib/tensor/tensor.js';

/** A model of named tensors and a sentence that takes them by name. */
export function model(
  tensors: Readonly<Record<string, AnyTensor>>,
  sentence: <X>(f: Ops<X>, parameter: (name: string) => X, ...inputs: X[]) => X | Record<string, X>,
): Traceable {
  return {
    namedTensors: () => Object.entries(tensors),
    compute: <X>(f: Ops<X>, ...inputs: X[]) => sentence<X>(f, (name) => f.lift(tensors[name]), ...inputs),
  };
}

/** Seeded parameters of a convolution [O, C/G, K, L] and of a batch norm behind it, under PyTorch's names. */
export function convAndNorm(
  shape: readonly [number, number, number, number],
  { prefix = '', seed = 1, channels = shape[0] } = {},
): Record<string, AnyTensor> {
  const generator = new Random(seed);
  const normal = (...extents: number[]): Tensor => randn(extents, { generator });
  return {
    [`${prefix}conv.weight`]: normal(...shape),
    [`${prefix}conv.bias`]: normal(channels),
    [`${prefix}bn.weight`]: normal(channels),
    [`${prefix}bn.bias`]: normal(channels),
    [`${prefix}bn.running_mean`]: normal(channels),
    [`${prefix}bn.running_var`]: rand([channels], { low: 0.5, high: 2, generator }),
  };
}

/** The four parameters of a batch norm, by its prefix. */
export function normOf<X>(
  parameter: (name: string) => X,
  prefix: string,
): { weight: X; bias: X; runningMean: X; runningVariance: X } {
  return {
    weight: parameter(`${prefix}.weight`),
    bias: parameter(`${prefix}.bias`),
    runningMean: parameter(`${prefix}.running_mean`),
    runningVariance: parameter(`${prefix}.running_var`),
  };
}

/** What a graph gives for these inputs. */
export function computeGraph(graph: Graph, inputs: readonly AnyTensor[]): Record<string, Tensor<'float64'>> {
  const values = new Map<Value, Tensor<'float64'>>(graph.inputs.map((input, i) => [input, inputs[i].to('float64')]));
  const numbersOf = (value: Value): Tensor<'float64'> =>
    values.get(value) ?? (value.constant as AnyTensor).to('float64');
  for (const { operator, inputs: read, outputs, attributes } of graph.nodes) {
    const operands = read.map((value) => value && numbersOf(value));
    operator.infer(operands, attributes);
    for (const [i, result] of operator.reference(operands, attributes).entries()) values.set(outputs[i], result);
  }
  return Object.fromEntries([...graph.outputs].map(([name, value]) => [name, numbersOf(value)]));
}

/** The pass must turn the one text into the other, and both must compute the same on random images. */
export function expectPass(
  pass: (graph: Graph) => Graph,
  graph: Graph,
  texts: { before: string; after: string },
  { size = 6, tolerance = 1e-6 } = {},
): Graph {
  const text = printGraph(graph);
  expect(text).toBe(unindented(texts.before));
  const result = pass(graph);
  expect(printGraph(result)).toBe(unindented(texts.after));
  expect(printGraph(graph)).toBe(text);
  const generator = new Random(7);
  const inputs = graph.inputs.map(({ type }) =>
    randn(
      type.shape.map((extent, axis) => (typeof extent === 'number' ? extent : axis === 0 ? 2 : size + axis)),
      { generator },
    ),
  );
  const [expected, found] = [computeGraph(graph, inputs), computeGraph(result, inputs)];
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  for (const name of Object.keys(expected))
    expect(difference(found[name], expected[name]).relative).toBeLessThanOrEqual(tolerance);
  return result;
}

/** Text of several lines as it stands in a test, without the test's own indentation. */
export function unindented(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const indentation = Math.min(...lines.map((line) => line.length - line.trimStart().length));
  return lines.map((line) => line.slice(indentation)).join('\n');
}

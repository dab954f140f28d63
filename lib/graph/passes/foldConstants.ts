/**
 * before   v = mul(w, s)    y = conv2d(x, v)
 * after    y = conv2d(x, v)                  (v a constant)
 * when     all that v is computed from are constants, whoever reads it
 *
 * The reference computes them, in float64, and in float64 they stay: they are rounded once, where their numbers are
 * used.
 */
import type { AnyTensor, Tensor } from '../../tensor/tensor.js';
import type { Graph, Node, Value } from '../graph.js';
import { rewrite } from '../rewrite.js';

export function foldConstants(graph: Graph): Graph {
  /** Which layer asked for a constant that was computed: readers without a name of their own take it. */
  const labels = new Map<Value, string>();
  return rewrite(graph, (node, rewriter) => {
    const inputs = node.inputs.map((input) => input && rewriter.now(input));
    const label = node.label || (inputs.flatMap((input) => (input && labels.get(input)) || [])[0] ?? '');
    if (inputs.every((input) => input === null || input.constant !== undefined)) {
      return computed(node, inputs).map((tensor) => {
        const folded = rewriter.constant(tensor, '');
        labels.set(folded, label);
        return folded;
      });
    }
    return label === node.label ? undefined : rewriter.apply(node.operator, inputs, node.attributes, label);
  });
}

function computed({ operator, attributes }: Node, inputs: readonly (Value | null)[]): Tensor<'float64'>[] {
  const numbers = inputs.map((input) => input && (input.constant as AnyTensor).to('float64'));
  return operator.reference(numbers, attributes);
}

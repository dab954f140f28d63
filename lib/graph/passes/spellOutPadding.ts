/**
 * before   y = conv2d(x, w, b) { paddingMode reflect }
 * after    p = pad(x) { mode reflect }    y = conv2d(p, w, b)
 * when     the mode is not zeros: what lowers and exports knows borders of zeros only (without padding
 *          the mode is all that goes)
 */
import { type Conv2dAttributes, conv2d } from '../../ops/conv/conv2d.js';
import { pad } from '../../ops/move/pad.js';
import type { Graph, Node, Value } from '../graph.js';
import { rewrite } from '../rewrite.js';

export function spellOutPadding(graph: Graph): Graph {
  return rewrite(graph, (node, rewriter) => {
    const { padding, paddingMode, ...rest } = node.attributes as Conv2dAttributes;
    if (node.operator.name !== 'conv2d' || paddingMode === 'zeros') return undefined;
    const [x, ...parameters] = node.inputs.map((input) => input && rewriter.now(input));
    const [padded] = padding.some((p) => p !== 0)
      ? rewriter.apply(pad as Node['operator'], [x as Value], { padding, mode: paddingMode, value: 0 }, node.label)
      : [x as Value];
    const attributes = { ...rest, padding: [0, 0, 0, 0], paddingMode: 'zeros' };
    return rewriter.apply(conv2d as Node['operator'], [padded, ...parameters], attributes, node.label);
  });
}

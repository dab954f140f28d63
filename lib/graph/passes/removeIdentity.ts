/**
 * before   b = pad(a) { padding 0 }    y = relu(b)
 * after    y = relu(a)
 * when     b is a to the bit, NaN and −0 included; whoever reads either of them
 *
 * That is: padding by nothing; reshape, flatten and adaptive maximum that keep the shape; a maximum over windows of one
 * pixel; the concatenation of one value; x·1; x + (−0) (x + 0 makes 0 of −0, and so does a mean over one pixel, which
 * begins its sum at 0); leaky ReLU of slope 1; ReLU and ReLU6 of what is in their range already.
 */

import type { PadAttributes } from '../../ops/move/pad.js';
import type { LeakyReluAttributes } from '../../ops/pointwise/unary.js';
import type { PoolingAttributes } from '../../ops/pool/pooling.js';
import type { OperatorName } from '../../ops/registry.js';
import { sameShape } from '../../tensor/shape.js';
import type { Graph, Node, Value } from '../graph.js';
import { rewrite } from '../rewrite.js';

export function removeIdentity(graph: Graph): Graph {
  const producers = graph.producers();
  /** What each value that goes stands for. */
  const origins = new Map<Value, Value>();
  const originOf = (value: Value): Value => origins.get(value) ?? value;
  return rewrite(graph, (node, { now }) => {
    const same = rules[node.operator.name]?.(node, (value) => producers.get(originOf(value))?.operator.name);
    if (same === undefined) return undefined;
    origins.set(node.outputs[0], originOf(same));
    return [now(same)];
  });
}

/** Gives the input that the node's output is, if it is. */
type Rule = (node: Node, makerOf: (value: Value) => OperatorName | undefined) => Value | undefined;

const firstIf =
  (isIdentity: (node: Node, makerOf: Parameters<Rule>[1]) => boolean): Rule =>
  (node, makerOf) =>
    isIdentity(node, makerOf) ? (node.inputs[0] as Value) : undefined;

const keepsShape = firstIf(({ inputs, outputs }) => sameShape((inputs[0] as Value).type.shape, outputs[0].type.shape));

const rangeIsIn = (...makers: readonly OperatorName[]): Rule =>
  firstIf(({ inputs }, makerOf) => makers.includes(makerOf(inputs[0] as Value) as OperatorName));

/** Either operand, where the other is nothing but `neutral` and does not stretch it. */
const besideNeutral =
  (neutral: number): Rule =>
  ({ inputs, outputs }) => {
    const [a, b] = inputs as [Value, Value];
    const isNeutral = ({ constant }: Value): boolean =>
      constant?.to('float64').data.every((x) => Object.is(x, neutral)) ?? false;
    const stays = ({ type }: Value): boolean => sameShape(type.shape, outputs[0].type.shape);
    return stays(a) && isNeutral(b) ? a : stays(b) && isNeutral(a) ? b : undefined;
  };

const rules: { readonly [N in OperatorName]?: Rule } = {
  adaptiveMaxPool2d: keepsShape,
  add: besideNeutral(-0),
  concat: firstIf(({ inputs }) => inputs.length === 1),
  flatten: keepsShape,
  globalMaxPool2d: keepsShape,
  leakyRelu: firstIf(({ attributes }) => (attributes as LeakyReluAttributes).negativeSlope === 1),
  // A window of one pixel has no padding: that is at most half of it.
  maxPool2d: firstIf(({ attributes }) => {
    const { kernelSize, stride } = attributes as PoolingAttributes;
    return [...kernelSize, ...stride].every((n) => n === 1);
  }),
  mul: besideNeutral(1),
  pad: firstIf(({ attributes }) => (attributes as PadAttributes).padding.every((p) => p === 0)),
  relu: rangeIsIn('relu', 'relu6', 'sigmoid', 'hardSigmoid', 'softmax'),
  relu6: rangeIsIn('relu6', 'sigmoid', 'hardSigmoid', 'softmax'),
  reshape: keepsShape,
};

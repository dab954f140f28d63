/**
 * before   a = conv2d(x, w, b)    y = batchNorm(a)          (or convTranspose2d)
 * after    y = conv2d(x, w', b')
 * when     a has no other user, and all parameters are constants; what cannot be folded (a NaN, a
 *          negative variance) stays as it is
 *
 * The new parameters are rounded to float32, in which sessions compute, whatever format the old ones are kept in.
 */

import type { Conv2dAttributes } from '../../ops/conv/conv2d.js';
import type { ConvTranspose2dAttributes } from '../../ops/conv/convTranspose2d.js';
import type { BatchNormAttributes } from '../../ops/norm/batchNorm.js';
import { compose } from '../../reparam/algebra.js';
import {
  batchNormMap,
  convMap,
  convTransposeMap,
  type RoundedParameters,
  roundedParameters,
} from '../../reparam/convMap.js';
import { isReason, Reason } from '../../reparam/reason.js';
import type { AnyTensor } from '../../tensor/tensor.js';
import type { Graph, Node, Value } from '../graph.js';
import { rewrite } from '../rewrite.js';

export function foldBatchNorm(graph: Graph): Graph {
  const [producers, uses] = [graph.producers(), graph.useCounts()];
  return rewrite(graph, (node, rewriter) => {
    if (node.operator.name !== 'batchNorm') return undefined;
    const input = node.inputs[0] as Value;
    const conv = producers.get(input);
    if (conv === undefined || uses.get(input) !== 1) return undefined;
    const folded = foldedParameters(conv, node);
    if (isReason(folded)) return undefined;
    const inputs = [
      rewriter.now(conv.inputs[0] as Value),
      rewriter.constant(folded.weight, `${conv.label}.weight`),
      rewriter.constant(folded.bias, `${conv.label}.bias`),
    ];
    return rewriter.apply(conv.operator, inputs, conv.attributes, conv.label);
  });
}

function foldedParameters(conv: Node, norm: Node): RoundedParameters<'float32'> | Reason {
  const isConvolution = conv.operator.name === 'conv2d' || conv.operator.name === 'convTranspose2d';
  const parameters = [...conv.inputs.slice(1), ...norm.inputs.slice(1)];
  if (!isConvolution || parameters.some((value) => value !== null && value.constant === undefined))
    return new Reason('NOT_CONSTANT', conv.operator.name);
  const [weight, bias, gamma, beta, mean, variance] = parameters.map((value) => value?.constant ?? null);
  const first =
    conv.operator.name === 'conv2d'
      ? convMap(weight as AnyTensor, bias, conv.attributes as Conv2dAttributes)
      : convTransposeMap(weight as AnyTensor, bias, conv.attributes as ConvTranspose2dAttributes);
  if (isReason(first)) return first;
  const statistics = {
    weight: gamma,
    bias: beta,
    runningMean: mean as AnyTensor,
    runningVariance: variance as AnyTensor,
  };
  const second = batchNormMap(statistics, (norm.attributes as BatchNormAttributes).eps, first.axes.length);
  if (isReason(second)) return second;
  const map = compose(second, first);
  return isReason(map) ? map : roundedParameters(map, 'float32');
}

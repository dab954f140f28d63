/**
 * The operator table: what each of our operators is in ONNX.
 *
 * Each row says how ONNX spells the meaning, in every operator set of opset.ts. What changed between these:
 *
 *     Softmax     before 13 over all axes from `axis` on, taken as one
 *     HardSwish   from 14
 *     Reduce…     axes are an attribute before 18, an input from there on
 *     Pad         wraps around (mode `wrap`) from 19
 *     Gelu        from 20
 *     bfloat16    in convolutions, pooling and hard sigmoids from 22
 *
 * Attributes of ONNX that are real numbers are float32, in models of any format: eps, slopes.
 */
import { RepconvError } from '../errors.js';
import { checkedAxis } from '../ops/operator.js';
import type { OperatorName, operators } from '../ops/registry.js';
import type { NodeScope } from './modelWriter.js';
import { writeFlatten, writePad, writeReshape } from './movement.js';
import { writeAdaptivePooling, writeAveragePool, writeMaxPool } from './pooling.js';
import type { Application, AttributesOf, WriteOperator } from './row.js';

export const onnxOperators: { readonly [N in OperatorName]: WriteOperator<AttributesOf<(typeof operators)[N]>> } = {
  conv2d: (f, { inputs, shapes, attributes: { stride, padding, dilation, groups } }) =>
    f.node('Conv', inputs, {
      dilations: dilation,
      group: groups,
      kernel_shape: shapes[1].slice(2) as number[],
      pads: padding,
      strides: stride,
    }),
  convTranspose2d: (f, { inputs, shapes, attributes: { stride, padding, outputPadding, dilation, groups } }) =>
    f.node('ConvTranspose', inputs, {
      dilations: dilation,
      group: groups,
      kernel_shape: shapes[1].slice(2) as number[],
      output_padding: outputPadding,
      pads: padding,
      strides: stride,
    }),
  linear: writeLinear,
  batchNorm(f, { inputs: [input, weight, bias, mean, variance], shapes, attributes: { eps } }) {
    const perChannel = (role: string, value: number): string =>
      f.numbers(role, new Array<number>(shapes[3][0] as number).fill(value));
    const parameters = [weight || perChannel('weight', 1), bias || perChannel('bias', 0), mean, variance];
    return f.node('BatchNormalization', [input, ...parameters], { epsilon: eps });
  },
  batchNormTraining() {
    throw new RepconvError(
      'ERR_TRAIN_MODE',
      'toOnnx: the graph has a batch norm in training mode; call eval() on the model first',
    );
  },

  add: (f, { inputs }) => f.node('Add', inputs),
  mul: (f, { inputs }) => f.node('Mul', inputs),
  concat: (f, { inputs, attributes: { axis } }) => f.node('Concat', inputs, { axis }),
  pad: writePad,

  relu: (f, { inputs }) => f.node('Relu', inputs),
  relu6: (f, { inputs: [x] }) => f.node('Clip', [x, f.numbers('min', 0), f.numbers('max', 6)]),
  leakyRelu: (f, { inputs, attributes: { negativeSlope } }) => f.node('LeakyRelu', inputs, { alpha: negativeSlope }),
  prelu: writePrelu,
  sigmoid: (f, { inputs }) => f.node('Sigmoid', inputs),
  silu: (f, { inputs: [x] }) => f.node('Mul', [x, f.node('Sigmoid', [x])]),
  hardSigmoid: (f, { inputs: [x] }) => hardSigmoid(f, x),
  hardSwish: (f, { inputs: [x] }) => (f.opset >= 14 ? f.node('HardSwish', [x]) : f.node('Mul', [x, hardSigmoid(f, x)])),
  gelu: writeGelu,
  tanh: (f, { inputs }) => f.node('Tanh', inputs),
  softmax: writeSoftmax,

  maxPool2d: writeMaxPool,
  averagePool2d: writeAveragePool,
  globalAveragePool2d: (f, { inputs }) => f.node('GlobalAveragePool', inputs),
  globalMaxPool2d: (f, { inputs }) => f.node('GlobalMaxPool', inputs),
  adaptiveAveragePool2d: (f, application) => writeAdaptivePooling(f, application, 'average'),
  adaptiveMaxPool2d: (f, application) => writeAdaptivePooling(f, application, 'max'),

  flatten: writeFlatten,
  reshape: writeReshape,
};

/** Gemm takes matrices; anything else is MatMul, with the weight turned. */
function writeLinear(f: NodeScope, { inputs: [x, weight, bias], shapes }: Application): string {
  if (shapes[0].length === 2) return f.node('Gemm', [x, weight, bias], { transB: 1 });
  const product = f.node('MatMul', [x, f.node('Transpose', [weight], { perm: [1, 0] })]);
  return bias === '' ? product : f.node('Add', [product, bias]);
}

/** ONNX aligns slopes with the last axes, so one per channel needs an axis for each that follows the channels. */
function writePrelu(f: NodeScope, { inputs: [x, slope], shapes: [input, slopes] }: Application): string {
  const following = input.length - 2;
  if (slopes[0] === 1 || following <= 0) return f.node('PRelu', [x, slope]);
  return f.node('PRelu', [x, f.node('Reshape', [slope, f.integers('shape', [-1, ...new Array(following).fill(1)])])]);
}

/** ONNX's default slope of 0.2 is another function. */
function hardSigmoid(f: NodeScope, x: string): string {
  return f.node('HardSigmoid', [x], { alpha: 1 / 6, beta: 0.5 });
}

/** Before opset 20: ½·x·(1 + erf(x / √2)), or ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))). */
function writeGelu(
  f: NodeScope,
  { inputs: [x], attributes: { approximate } }: Application<{ approximate: 'none' | 'tanh' }>,
): string {
  if (f.opset >= 20) return f.node('Gelu', [x], { approximate });
  const times = (a: string, factor: number): string => f.node('Mul', [a, f.numbers('factor', factor)]);
  const cubed = (): string => f.node('Mul', [f.node('Mul', [x, x]), x]);
  const bell =
    approximate === 'none'
      ? f.node('Erf', [times(x, Math.SQRT1_2)])
      : f.node('Tanh', [times(f.node('Add', [x, times(cubed(), 0.044715)]), Math.sqrt(2 / Math.PI))]);
  return f.node('Mul', [times(x, 0.5), f.node('Add', [bell, f.numbers('one', 1)])]);
}

/** Before opset 13 an axis that is not the last has to be moved there. */
function writeSoftmax(f: NodeScope, { inputs: [x], result, attributes }: Application<{ axis: number }>): string {
  const rank = result.length;
  const axis = checkedAxis(attributes.axis, rank, 'softmax');
  const last = rank - 1;
  if (f.opset >= 13 || axis === last) return f.node('Softmax', [x], { axis });
  // Exchanging two axes undoes itself.
  const perm = result.map((_, i) => (i === axis ? last : i === last ? axis : i));
  return f.node('Transpose', [f.node('Softmax', [f.node('Transpose', [x], { perm })], { axis: last })], { perm });
}

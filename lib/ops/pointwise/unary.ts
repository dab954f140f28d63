/**
 * The operators of one input that work element by element, each a row: its formula in float64, and its options where it
 * has any. Native code has their formulas in float32 under the same names (native/kernels/body/elementwise.inl).
 */
import { finiteNumber, oneOf } from '../../checks.js';
import { optionsOf } from '../../options.js';
import { Tensor } from '../../tensor/tensor.js';
import { type NoAttributes, type Operator, required, withoutOptions } from '../operator.js';
import { exactGelu, tanhGelu } from './gelu.js';

export interface LeakyReluAttributes {
  readonly negativeSlope: number;
}

export interface GeluAttributes {
  readonly approximate: 'none' | 'tanh';
}

/** max(x, 0). NaN stays NaN and −0 stays −0, as in PyTorch. */
const relu = unary('relu', (x) => (x < 0 ? 0 : x));

/** min(max(x, 0), 6). */
const relu6 = unary('relu6', (x) => (x < 0 ? 0 : x > 6 ? 6 : x));

/** x for x > 0, else negativeSlope · x. */
const leakyRelu = unary(
  'leakyRelu',
  (x, { negativeSlope }) => (x > 0 ? x : negativeSlope * x),
  (options: { negativeSlope?: number } = {}): LeakyReluAttributes => {
    const { negativeSlope } = optionsOf(options, { negativeSlope: 0.01 }, 'leakyRelu');
    return { negativeSlope: finiteNumber(negativeSlope, 'leakyRelu: negativeSlope') };
  },
);

/** 1 / (1 + e^−x). */
const sigmoid = unary('sigmoid', (x) => 1 / (1 + Math.exp(-x)));

/** x · sigmoid(x), also called swish. */
const silu = unary('silu', (x) => x / (1 + Math.exp(-x)));

/** min(max(x + 3, 0), 6) / 6 (PyTorch and MobileNetV3; ONNX's default slope of 0.2 is another function). */
const hardSigmoid = unary('hardSigmoid', (x) => Math.min(Math.max(x + 3, 0), 6) / 6);

/** x · hardSigmoid(x). Howard et al. 2019, section 5.2. */
const hardSwish = unary('hardSwish', (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6);

/** x · Φ(x), with the normal distribution Φ exactly or by its tanh approximation. Hendrycks and Gimpel 2016. */
export const gelu = unary(
  'gelu',
  (x, { approximate }) => (approximate === 'none' ? exactGelu(x) : tanhGelu(x)),
  (options: { approximate?: 'none' | 'tanh' } = {}): GeluAttributes => {
    const { approximate } = optionsOf(options, { approximate: 'none' }, 'gelu');
    return { approximate: oneOf(approximate, ['none', 'tanh'], 'gelu: approximate') };
  },
);

/** Hyperbolic tangent. */
const tanh = unary('tanh', Math.tanh);

/** All of them by name. */
export const unaryOperators = { relu, relu6, leakyRelu, sigmoid, silu, hardSigmoid, hardSwish, gelu, tanh } as const;

/** An operator that applies one function to every element. */
function unary(name: string, formula: (x: number) => number): Operator<NoAttributes, NoAttributes>;
function unary<A extends object, O>(
  name: string,
  formula: (x: number, attributes: A) => number,
  complete: (options?: O) => A,
): Operator<A, O>;
function unary(
  name: string,
  formula: (x: number, attributes: never) => number,
  complete: (options?: never) => object = withoutOptions(name),
): Operator {
  return {
    name,
    inputs: [{ name: 'input' }],
    complete,
    infer: (inputs) => [required(inputs, 0, name, 'input')],
    reference([input], attributes) {
      const { shape, data } = input as Tensor<'float64'>;
      return [
        new Tensor(
          'float64',
          shape,
          data.map((x) => formula(x, attributes as never)),
        ),
      ];
    },
  };
}

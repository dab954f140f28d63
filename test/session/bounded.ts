/**
 * How far float32 may be from float64 over a whole network: a reading whose values carry their exact number and the
 * most that a float32 computation of it may be off, element by element.
 *
 * With u = 2⁻²⁴: a sum of n products adds (n + 6)·u·Σ|x||w| (4 for the sum, 2 for weights and bias rounded after a
 * batch norm was folded into them) and passes on Σ|w|·e; everything else adds a few u of its result and passes e on,
 * times its steepest slope. The shift of a batch norm behind a sum of n products is folded into that sum and takes part
 * in its n roundings.
 */

import type { Operator } from '../../lib/ops/operator.js';
import type { OperatorName } from '../../lib/ops/registry.js';
import { type Reading, vocabulary } from '../../lib/ops/vocabulary.js';
import type { AnyTensor } from '../../lib/tensor/tensor.js';
import { Tensor } from '../../lib/tensor/tensor.js';

type T = Tensor<'float64'>;

export interface Bounded {
  readonly value: T;
  readonly error: T;
  /** How many products were summed to make it: a shift that is folded into that sum takes part in all its roundings. */
  readonly products: number;
}

const unit = 2 ** -24;

/** Reads sentences over exact numbers and their float32 bounds. */
export const boundedOps = vocabulary<Bounded>({
  lift: (tensor) => exact(tensor),
  apply(operator, inputs, attributes) {
    const values = inputs.map((input) => input?.value ?? null);
    operator.infer(values, attributes);
    const [value] = operator.reference(values, attributes);
    const rule = rules[operator.name as OperatorName];
    if (rule === undefined) throw new TypeError(`no bound is known for ${operator.name}`);
    const products = productsOf[operator.name as OperatorName]?.(inputs as Bounded[]) ?? 0;
    return [{ value, error: rule(inputs as Bounded[], value, operator, attributes), products }];
  },
} satisfies Reading<Bounded>);

export function exact(tensor: AnyTensor): Bounded {
  return { value: tensor.to('float64'), error: new Tensor('float64', tensor.shape), products: 0 };
}

type Rule = (inputs: readonly Bounded[], value: T, operator: Operator, attributes: object) => T;

const productsOf: { readonly [N in OperatorName]?: (inputs: readonly Bounded[]) => number } = {
  conv2d: ([, weight]) => extents(weight.value, 1),
  convTranspose2d: ([, weight]) => extents(weight.value, 0),
  linear: ([, weight]) => extents(weight.value, 1),
  averagePool2d: () => 32,
  globalAveragePool2d: ([x]) => extents(x.value, 2),
};

/** Σ|w|·e + (n + 6)·u·Σ|x||w|, by the operator itself on magnitudes. */
const sumOfProducts: Rule = (inputs, _value, operator, attributes) => {
  const [x, ...parameters] = inputs;
  const factor = ((productsOf[operator.name as OperatorName]?.(inputs) ?? 0) + 6) * unit;
  const carried = mapped(x.value, (value, i) => x.error.data[i] + factor * (Math.abs(value) + x.error.data[i]));
  const [weight, bias] = parameters.map((parameter) => parameter && mapped(parameter.value, Math.abs));
  return operator.reference([carried, weight ?? null, bias ? mapped(bias, (b) => factor * b) : null], attributes)[0];
};

const slope =
  (steepest: number, units: number): Rule =>
  ([x], value) =>
    mapped(value, (y, i) => steepest * x.error.data[i] + units * unit * Math.max(1, Math.abs(y)));

/** What moves elements or takes the largest moves their errors, or takes the largest of them. */
const asItself: Rule = (inputs, _value, operator, attributes) =>
  operator.reference(
    inputs.map(({ error }) => error),
    attributes,
  )[0];

const rules: { readonly [N in OperatorName]?: Rule } = {
  conv2d: sumOfProducts,
  convTranspose2d: sumOfProducts,
  linear: sumOfProducts,
  averagePool2d: sumOfProducts,
  globalAveragePool2d: sumOfProducts,
  batchNorm: ([x, weight, bias, mean, variance], value) => {
    const [, C, H, W] = value.shape;
    return mapped(value, (_, i) => {
      const c = Math.floor(i / (H * W)) % C;
      const scale = Math.abs(weight.value.data[c]) / Math.sqrt(variance.value.data[c]);
      const magnitude =
        scale * (Math.abs(x.value.data[i]) + Math.abs(mean.value.data[c])) + Math.abs(bias.value.data[c]);
      return scale * x.error.data[i] + (x.products + 8) * unit * magnitude;
    });
  },
  add: ([a, b], value, operator) => {
    const [carried] = operator.reference([a.error, b.error], {});
    return mapped(value, (y, i) => carried.data[i] + unit * (Math.abs(y) + carried.data[i]));
  },
  mul: ([a, b], value, operator) => {
    const times = (p: T, q: T): T => operator.reference([p, q], {})[0];
    const terms = [
      times(mapped(a.value, Math.abs), b.error),
      times(a.error, mapped(b.value, Math.abs)),
      times(a.error, b.error),
    ];
    return mapped(value, (y, i) => terms.reduce((sum, term) => sum + term.data[i], unit * Math.abs(y)));
  },
  concat: asItself,
  pad: asItself,
  flatten: asItself,
  reshape: asItself,
  maxPool2d: asItself,
  relu: slope(1, 0),
  relu6: slope(1, 0),
  leakyRelu: slope(1, 1),
  sigmoid: slope(0.25, 4),
  silu: slope(1.1, 4),
  hardSigmoid: slope(1 / 6, 2),
  hardSwish: slope(1.5, 3),
  gelu: slope(1.13, 4),
  tanh: slope(1, 4),
};

function extents(tensor: T, from: number): number {
  return tensor.shape.slice(from).reduce((a, b) => a * b, 1);
}

function mapped(tensor: T, change: (value: number, i: number) => number): T {
  return new Tensor('float64', tensor.shape, tensor.data.map(change));
}

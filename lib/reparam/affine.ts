/**
 * The affine reading: every word gives the ConvMaps it amounts to, over the value it starts from, or a reason why it
 * amounts to none.
 *
 * A convolution composes, add collects terms, whatever is not affine is a barrier. A block's equivalent kernel is its
 * own sentence, read so.
 */

import { isInstance } from '../checks.js';
import { RepconvError, shown } from '../errors.js';
import { type Conv2dAttributes, conv2d } from '../ops/conv/conv2d.js';
import { type ConvTranspose2dAttributes, convTranspose2d } from '../ops/conv/convTranspose2d.js';
import { type PadAttributes, pad } from '../ops/move/pad.js';
import { type BatchNormAttributes, batchNorm } from '../ops/norm/batchNorm.js';
import { batchNormTraining } from '../ops/norm/batchNormTraining.js';
import type { Operator, TensorType } from '../ops/operator.js';
import { add as addOperator, mul } from '../ops/pointwise/binary.js';
import { type AveragePool2dAttributes, averagePool2d } from '../ops/pool/averagePool2d.js';
import { type Ops, type Reading, vocabulary } from '../ops/vocabulary.js';
import { isPlainObject } from '../options.js';
import { differ, type Extent } from '../tensor/extent.js';
import { sameShape, showShape, sizeOf } from '../tensor/shape.js';
import type { AnyTensor } from '../tensor/tensor.js';
import { add, type Context, compose } from './algebra.js';
import {
  averagePoolMap,
  batchNormMap,
  type ConvMap,
  convMap,
  convTransposeMap,
  identityMap,
  padMap,
  scaleMap,
} from './convMap.js';
import { isReason, Reason } from './reason.js';

/** The sum of some maps of one source; `null` is its identity. */
export interface AffineSum {
  readonly kind: 'sum';
  /** Stands, by its identity, for the value the maps read. */
  readonly source: TensorType;
  readonly terms: readonly (ConvMap | null)[];
  readonly type: TensorType;
}

/** A parameter, not yet used. */
export interface AffineConstant {
  readonly kind: 'constant';
  readonly tensor: AnyTensor;
  readonly type: TensorType;
}

export type Affine = AffineSum | AffineConstant | Reason;

/**
 * The maps that a sentence of one input is the sum of. Where the type states height and width, sums that hold for this
 * size only count too.
 */
export function affineSum(sentence: <X>(f: Ops<X>, x: X) => X, type: TensorType): AffineSum | Reason {
  const input = affineSource(type);
  const result: unknown = sentence<Affine>(vocabulary(affineReading()), input);
  if (!isAffine(result))
    throw new RepconvError('ERR_INPUT', `branches: expects to return a value, got ${shown(result, { depth: 0 })}`);
  if (isReason(result)) return result;
  if (result.kind === 'constant') return new Reason('NOT_CONSTANT', 'the result does not depend on the input');
  return result.source === input.source ? result : new Reason('DIFFERENT_SOURCES', 'a value of an earlier reading');
}

/** A value that maps are formed over. */
export function affineSource(type: TensorType): AffineSum {
  return { kind: 'sum', source: { ...type }, terms: [null], type };
}

/** All terms of a sum as one map. */
export function mergedTerms({ source, terms }: AffineSum, context: Context = {}): ConvMap | Reason {
  const channels = source.shape[1] as number;
  const inputSize = source.shape.slice(2);
  return terms
    .map((term): ConvMap | Reason => term ?? identityMap(channels, inputSize.length))
    .reduce((sum, term) => (isReason(sum) ? sum : isReason(term) ? term : add(sum, term, { ...context, inputSize })));
}

export function affineReading(context: Context = {}): Reading<Affine> {
  return {
    isValue: isAffine,
    lift: (tensor) => ({ kind: 'constant', tensor, type: tensor }),
    apply(operator, inputs, attributes) {
      const blocked = inputs.find(isReason);
      if (blocked !== undefined) return [blocked, blocked, blocked];
      const present = inputs as readonly (AffineSum | AffineConstant | null)[];
      const inputTypes = present.map((input) => input?.type ?? null);
      const sizes = operator === addOperator || operator === mul ? openSizes(inputTypes) : null;
      if (sizes !== null) return [new Reason('SHAPE_DEPENDENT', sizes)];
      // What may be unequal for some sizes was answered above, where it matters.
      const types = operator.infer(inputTypes, attributes, (a, b) => !differ(a, b));
      if (operator === batchNormTraining) {
        const hasStatistics = inputs[3] !== null && inputs[4] !== null;
        return types.map(() => new Reason(hasStatistics ? 'TRAIN_MODE' : 'NO_RUNNING_STATISTICS', ''));
      }
      const rule = rules.get(operator);
      const result = rule?.(present, attributes as never, types[0], context) ?? new Reason('NONLINEAR', operator.name);
      return [result];
    },
  };
}

function isAffine(value: unknown): value is Affine {
  return isInstance(value, Reason) || (isPlainObject(value) && (value.kind === 'sum' || value.kind === 'constant'));
}

type Rule = (
  inputs: readonly (AffineSum | AffineConstant | null)[],
  attributes: never,
  type: TensorType,
  context: Context,
) => Affine;

const rules = new Map<Operator, Rule>([
  [
    conv2d,
    ([x, weight, bias], attributes: Conv2dAttributes, type, context) =>
      applied(
        x,
        constants([weight, bias], ([w, b]) => convMap(w as AnyTensor, b, attributes)),
        type,
        context,
      ),
  ],
  [
    convTranspose2d,
    ([x, weight, bias], attributes: ConvTranspose2dAttributes, type, context) =>
      applied(
        x,
        constants([weight, bias], ([w, b]) => convTransposeMap(w as AnyTensor, b, attributes)),
        type,
        context,
      ),
  ],
  [
    batchNorm,
    ([x, ...parameters], { eps }: BatchNormAttributes, type, context) => {
      const map = constants(parameters, ([weight, bias, mean, variance]) =>
        batchNormMap(
          { weight, bias, runningMean: mean as AnyTensor, runningVariance: variance as AnyTensor },
          eps,
          rankOf(type),
        ),
      );
      return applied(x, map, type, context);
    },
  ],
  [
    averagePool2d,
    ([x], attributes: AveragePool2dAttributes, type, context) =>
      applied(x, averagePoolMap(type.shape[1] as number, attributes), type, context),
  ],
  [
    pad,
    ([x], { padding, mode, value }: PadAttributes, type, context) =>
      applied(
        x,
        mode === 'zeros' && value !== 0
          ? new Reason('BORDER_BIAS', `a border of ${value}`)
          : padMap(type.shape[1] as number, padding, mode),
        type,
        context,
      ),
  ],
  [
    addOperator,
    ([a, b], _, type, context) => {
      if (a?.kind === 'sum' && b?.kind === 'sum') {
        if (a.source !== b.source) return new Reason('DIFFERENT_SOURCES', '');
        if (!sameShape(a.type.shape, b.type.shape)) return broadcast(a.type, b.type);
        return { kind: 'sum', source: a.source, terms: [...a.terms, ...b.terms], type };
      }
      return withConstant([a, b], type, context, (values, channels) =>
        scaleMap(new Float64Array(channels).fill(1), values, rankOf(type)),
      );
    },
  ],
  [
    mul,
    ([a, b], _, type, context) =>
      withConstant([a, b], type, context, (values, channels) =>
        scaleMap(values, new Float64Array(channels), rankOf(type)),
      ),
  ],
] as const as readonly [Operator, Rule][]);

/** `map` after everything `x` is. */
function applied(
  x: AffineSum | AffineConstant | null,
  map: ConvMap | Reason,
  type: TensorType,
  context: Context,
): Affine {
  if (isReason(map)) return map;
  if (x?.kind !== 'sum') return new Reason('NOT_CONSTANT', 'a constant input');
  if (x.terms.length === 1 && x.terms[0] === null) return { ...x, terms: [map], type };
  const inner = mergedTerms(x, context);
  if (isReason(inner)) return inner;
  const composed = compose(map, inner, context);
  return isReason(composed) ? composed : { ...x, terms: [composed], type };
}

/** A map made of parameters, all of which must be constants. */
function constants(
  values: readonly (AffineSum | AffineConstant | null)[],
  make: (tensors: (AnyTensor | null)[]) => ConvMap | Reason,
): ConvMap | Reason {
  if (values.some((value) => value?.kind === 'sum')) return new Reason('NOT_CONSTANT', '');
  return make(values.map((value) => (value as AffineConstant | null)?.tensor ?? null));
}

/** A sum and a constant of one number or one per channel. */
function withConstant(
  operands: readonly (AffineSum | AffineConstant | null)[],
  type: TensorType,
  context: Context,
  make: (values: Float64Array, channels: number) => ConvMap | Reason,
): Affine {
  const sum = operands.find((operand) => operand?.kind === 'sum');
  const constant = operands.find((operand) => operand?.kind === 'constant');
  if (sum === undefined || constant === undefined || type.shape.length < 2)
    return new Reason('NONLINEAR', 'a product of two values');
  if (!sameShape(sum.type.shape, type.shape)) return broadcast(sum.type, constant.type);
  const channels = type.shape[1] as number;
  const values = perChannel(constant.tensor, channels, rankOf(type));
  if (values === null) return new Reason('NOT_CONSTANT', `a constant of shape [${constant.tensor.shape.join(',')}]`);
  return applied(sum as AffineSum, make(values, channels), type, context);
}

/** Two extents that may be equal for some inputs, and are not for others; null where there are none. */
function openSizes([a, b]: readonly (TensorType | null)[]): string | null {
  if (a === null || b === null) return null;
  const isOpen = (extent: Extent, axis: number): boolean => {
    const other = b.shape[axis];
    return extent !== other && extent !== 1 && other !== 1 && (typeof extent !== 'number' || typeof other !== 'number');
  };
  return a.shape.length === b.shape.length && a.shape.some(isOpen)
    ? `sizes ${showShape(a.shape)} and ${showShape(b.shape)}`
    : null;
}

function broadcast(a: TensorType, b: TensorType): Reason {
  return new Reason('BROADCAST', `${showShape(a.shape)} and ${showShape(b.shape)}`);
}

/** Axes behind the channels: 2 of images, 0 of what linear layers read. */
function rankOf({ shape }: TensorType): number {
  return shape.length - 2;
}

/**
 * The numbers of [1], or of [C, 1, …] with as many axes behind the channels as the value has, one for each channel;
 * null for other shapes.
 */
function perChannel(tensor: AnyTensor, channels: number, rank: number): Float64Array | null {
  const { shape } = tensor;
  const { data } = tensor.to('float64');
  if (sizeOf(shape) === 1) return new Float64Array(channels).fill(data[0]);
  const isPerChannel = sizeOf(shape) === channels && shape[shape.length - 1 - rank] === channels;
  return isPerChannel ? data : null;
}

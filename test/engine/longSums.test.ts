/**
 * Sums of very many numbers of one sign, where a single accumulator would lose several digits: right to a few units in
 * the last place, a linear layer (which adds stretches of 256 products) to one part in 10⁵ at worst. */
import { describe, expect, it } from 'vitest';
import { nativeReading } from '../../lib/engine/eager.js';
import { isIdentical, Random, rand, randn, Tensor } from '../../lib/index.js';
import { operators } from '../../lib/ops/registry.js';
import { type OperatorCase, referenceOf } from '../cases/case.js';
import { usableIsas } from './isas.js';

type Row = Pick<OperatorCase, 'operator' | 'options'>;
const globalMean: Row = { operator: 'globalAveragePool2d', options: {} };
const softmax: Row = { operator: 'softmax', options: {} };
const linear: Row = { operator: 'linear', options: {} };

const isas = usableIsas();
const compute = ({ operator }: Row, attributes: object, inputs: (Tensor | null)[], isa: string, threads = 2): Tensor =>
  nativeReading({ isa, threads }).apply(operators[operator], inputs, attributes)[0];

const filled = (shape: readonly number[], value: number): Tensor => {
  const result = new Tensor('float32', shape);
  result.data.fill(value);
  return result;
};
const uniform = (shape: readonly number[]): Tensor => rand(shape, { generator: new Random(1) });

/** The largest error of an element in units of its last place. */
function unitsOff(result: Tensor, expected: { readonly data: ArrayLike<number> }): number {
  let most = 0;
  for (const [i, y] of result.data.entries()) {
    const exact = expected.data[i];
    most = Math.max(most, Math.abs(y - exact) / 2 ** (Math.floor(Math.log2(Math.abs(exact))) - 23));
  }
  return most;
}

describe.each(isas)('with %s', (isa) => {
  it.each([56, 112, 224, 448])('the mean of a square image of %i rows', (extent) => {
    const shape = [1, 17, extent, extent];
    for (const x of [filled(shape, 0.1), uniform(shape)])
      expect(unitsOff(compute(globalMean, {}, [x], isa), referenceOf(globalMean, [x])[0])).toBeLessThanOrEqual(2);
  });

  it.each([1000, 50_000, 1_000_000])('softmax over %i equal numbers', (size) => {
    const result = compute(softmax, { axis: 1 }, [filled([1, size], 3)], isa);
    expect(unitsOff(result, { data: new Float64Array(size).fill(1 / size) })).toBeLessThanOrEqual(2);
  });

  it.each([1280, 4608, 25_088, 100_000])('a linear layer of %i features', (features) => {
    const weight = filled([5, features], 0.3);
    for (const x of [filled([2, features], 0.1), uniform([2, features])]) {
      const result = compute(linear, {}, [x, weight, null], isa);
      expect(unitsOff(result, referenceOf(linear, [x, weight, null])[0])).toBeLessThanOrEqual(64);
    }
  });
});

it('the order of a mean follows from the number of pixels alone: the same bits on every instruction set, for 1 to 4 threads', () => {
  const x = randn([3, 40, 61, 47], { generator: new Random(2) });
  const expected = compute(globalMean, {}, [x], 'scalar', 1);
  for (const isa of isas) {
    for (const threads of [1, 2, 3, 4])
      expect(isIdentical(compute(globalMean, {}, [x], isa, threads), expected)).toBe(true);
  }
});

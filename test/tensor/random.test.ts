import { describe, expect, it } from 'vitest';
import { isIdentical } from '../../lib/tensor/compare.js';
import { defaultGenerator, manualSeed, Random, rand, randn } from '../../lib/tensor/random.js';

const take = <T>(count: number, draw: () => T): T[] => Array.from({ length: count }, draw);

describe('Random', () => {
  // From sfc32 written anew in another language; seeds are the 64 bits of a double.
  it.each([
    [0, [3300212312, 1743954244, 207519241, 3716241083]],
    [1, [43291499, 2506724923, 3220411554, 1612142398]],
    [42, [1172452175, 4159830335, 3758805033, 533275785]],
    [-1.5, [3861966178, 1630313258, 3476035540, 2894653918]],
  ])('gives the numbers of sfc32 for seed %d', (seed, expected) => {
    const generator = new Random(seed);
    expect(take(4, () => generator.uniform() * 2 ** 32)).toEqual(expected);
  });

  it('gives the same normal deviates everywhere', () => {
    const generator = new Random(42);
    expect(take(5, () => generator.normal())).toEqual([
      -1.2126567674725803, -0.6424247697528939, 0.06090937374110528, 0.9140503125336101, -0.6057660815516361,
    ]);
  });

  it('draws normal deviates of mean 0 and variance 1, with the tails that belong to them', () => {
    const generator = new Random(7);
    const draws = take(100_000, () => generator.normal());
    const moment = (power: number): number => draws.reduce((sum, x) => sum + x ** power, 0) / draws.length;
    expect(moment(1)).toBeCloseTo(0, 1);
    expect(moment(2)).toBeCloseTo(1, 1);
    expect(moment(4) / 3).toBeCloseTo(1, 1);
  });

  it('draws whole numbers from low to high, both included', () => {
    const generator = new Random(3);
    expect(new Set(take(500, () => generator.integer(-2, 2)))).toEqual(new Set([-2, -1, 0, 1, 2]));
  });
});

describe('randn and rand', () => {
  it('repeat themselves after the same manualSeed, and differ without', () => {
    manualSeed(5);
    const [first, second] = [randn([3, 4]), randn([3, 4])];
    manualSeed(5);
    expect(isIdentical(randn([3, 4]), first)).toBe(true);
    expect(isIdentical(first, second)).toBe(false);
    expect(defaultGenerator()).toBe(defaultGenerator());
  });

  it('draw from the generator they are given, and leave the default alone', () => {
    manualSeed(5);
    const expected = randn([3]);
    manualSeed(5);
    randn([3], { generator: new Random(1) });
    expect(isIdentical(randn([3]), expected)).toBe(true);
  });

  it('are float32 unless asked otherwise, rounded from the same draws', () => {
    const [single, double] = [
      randn([9], { generator: new Random(2) }),
      randn([9], { generator: new Random(2), dtype: 'float64' }),
    ];
    expect([single.dtype, double.dtype]).toEqual(['float32', 'float64']);
    expect(isIdentical(double.to('float32'), single)).toBe(true);
  });

  it('keep to the interval', () => {
    const { data } = rand([10_000], { low: -3, high: 2, generator: new Random(1), dtype: 'float64' });
    expect(Math.min(...data)).toBeGreaterThanOrEqual(-3);
    expect(Math.max(...data)).toBeLessThan(2);
    expect(data.reduce((a, b) => a + b) / data.length).toBeCloseTo(-0.5, 1);
    const unit = rand([10_000], { generator: new Random(1) }).data;
    expect(unit.every((x) => x >= 0 && x <= 1)).toBe(true);
    expect(unit.reduce((a, b) => a + b) / unit.length).toBeCloseTo(0.5, 1);
  });
});

/** How new layers are filled: in PyTorch's distributions, each parameter from its own stream, when it is first read. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Conv2d, createRepVGG, Linear, manualSeed, Random, RepVGGBlock, repconv, Sequential } from '../../lib/index.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { rand } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';

/** Three layers, always with the same seed. */
function seeded(): Sequential {
  manualSeed(11);
  return new Sequential(new Conv2d(3, 4, 3), new Conv2d(4, 4, 3, { bias: false }), new Linear(4, 2));
}

const tensorsOf = (model: Sequential): Tensor[] => [...model.stateDict().values()] as Tensor[];

afterEach(() => vi.restoreAllMocks());

describe('the numbers of new layers', () => {
  it('are the same in whatever order they are read', () => {
    const [forwards, backwards] = [tensorsOf(seeded()), tensorsOf(seeded())];
    for (const { data } of forwards) expect(data.length).toBeGreaterThan(0);
    for (const { data } of [...backwards].reverse()) expect(data.length).toBeGreaterThan(0);
    for (const [i, tensor] of forwards.entries()) expect(isIdentical(tensor, backwards[i]), `${i}`).toBe(true);
  });

  it('are the same whether others are read or not, and leave what is drawn next as it is', () => {
    const read = seeded();
    for (const { data } of tensorsOf(read)) expect(data.length).toBeGreaterThan(0);
    const next = rand([5]);
    const unread = seeded();
    expect(isIdentical(rand([5]), next)).toBe(true);
    expect(isIdentical(tensorsOf(unread)[2], tensorsOf(read)[2])).toBe(true);
  });

  it('differ from parameter to parameter, and from seed to seed', () => {
    const alike = (): Conv2d => new Conv2d(4, 4, 3);
    manualSeed(1);
    const [first, second] = [alike(), alike()];
    manualSeed(2);
    const third = alike();
    const firsts = [first, second, third].map(({ weight }) => (weight as Tensor).data[0]);
    expect(new Set([...firsts, ...[first, second, third].map(({ bias }) => (bias as Tensor).data[0])]).size).toBe(6);
  });

  it('are uniform in ±1/√fanIn', () => {
    manualSeed(3);
    const { data } = new Conv2d(16, 64, 3).weight as Tensor;
    const bound = 1 / Math.sqrt(16 * 9);
    expect(Math.max(...data.map(Math.abs))).toBeLessThanOrEqual(bound);
    expect(data.reduce((sum, x) => sum + x) / data.length / bound).toBeCloseTo(0, 1);
    expect(data.reduce((sum, x) => sum + x * x, 0) / data.length / bound ** 2).toBeCloseTo(1 / 3, 2);
  });

  it('stay once they are read, and what is written into them stays too', () => {
    const weight = new Conv2d(2, 2, 1).weight as Tensor;
    const { data } = weight;
    data[1] = 7;
    expect(weight.data).toBe(data);
    expect(weight.data[1]).toBe(7);
  });

  it('are those of the original in a copy, in memory of its own, whichever is read first', () => {
    for (const isCopyFirst of [true, false]) {
      const model = seeded();
      const copy = model.copy();
      const [first, second] = isCopyFirst ? [copy, model] : [model, copy];
      const read = tensorsOf(first).map(({ data }) => data);
      for (const [i, { data }] of tensorsOf(second).entries()) {
        expect(data).toEqual(read[i]);
        expect(data).not.toBe(read[i]);
      }
    }
  });

  it('are there for who posts, spreads or compares a tensor that was not read', () => {
    const [posted, spread, compared] = [0, 1, 2].map(() => tensorsOf(seeded())[0]);
    const { data } = tensorsOf(seeded())[0];
    expect(structuredClone(posted)).toEqual({ dtype: 'float32', shape: [4, 3, 3, 3], data });
    expect({ ...spread }.data).toEqual(data);
    expect(compared).toEqual(posted);
  });
});

describe('a network that is made to be loaded', () => {
  it('draws nothing when it is put into another format, and then has the numbers converted', () => {
    const model = seeded();
    const draws = vi.spyOn(Random.prototype, 'uniform');
    model.to('float16');
    expect(draws).not.toHaveBeenCalled();
    const expected = tensorsOf(seeded()).map(({ shape, data }) => new Tensor('float32', shape, data).to('float16'));
    for (const [i, tensor] of tensorsOf(model).entries()) expect(tensor.data).toEqual(expected[i].data);
  });

  it('draws nothing but the seeds of its parameters, and takes no memory for them', () => {
    const before = process.memoryUsage().arrayBuffers;
    const draws = vi.spyOn(Random.prototype, 'uniform');
    const model = createRepVGG('repvgg-b3');
    expect(draws.mock.calls.length).toBeLessThan(1000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4e6);
    expect(model.parameterCount()).toBeGreaterThan(1.2e8);
  });

  it('draws nothing when it is loaded, and has the numbers of the file', () => {
    const source = seeded();
    const dict = new Map([...source.stateDict()].map(([key, tensor]) => [key, tensor.clone()]));
    for (const { data } of dict.values()) expect(data.length).toBeGreaterThan(0);
    const model = seeded();
    const draws = vi.spyOn(Random.prototype, 'uniform');
    model.loadStateDict(dict);
    for (const [key, tensor] of model.stateDict()) {
      expect(isIdentical(tensor, dict.get(key) as Tensor), key).toBe(true);
      expect(tensor.data, key).not.toBe(dict.get(key)?.data);
    }
    expect(draws).not.toHaveBeenCalled();
  });

  it('keeps the arrays that somebody has already, and writes into them', () => {
    const model = seeded();
    const held = tensorsOf(model).map(({ data }) => data);
    model.loadStateDict(new Map([...model.stateDict()].map(([key, tensor]) => [key, tensor.clone()])));
    for (const [i, tensor] of tensorsOf(model).entries()) expect(tensor.data).toBe(held[i]);
  });
});

it('fusing draws nothing, and leaves the generator where it was', () => {
  manualSeed(4);
  new RepVGGBlock(4, 4);
  const next = rand([3]);
  manualSeed(4);
  expect(repconv(new RepVGGBlock(4, 4).eval()).report.fused).toBe(1);
  expect(isIdentical(rand([3]), next)).toBe(true);
});

/**
 * Whole networks: the same bits on 1 to 4 threads, at any position of a batch, on every instruction set, synchronously
 * and not.
 */
import { describe, expect, it } from 'vitest';
import {
  compileSync,
  createMobileOne,
  createRepVGG,
  isIdentical,
  type Module,
  Random,
  randn,
  repconv,
  Tensor,
} from '../../lib/index.js';
import { usableIsas } from '../engine/isas.js';
import { trained } from '../nn/trained.js';

const isas = usableIsas();
const maxBatch = 5;

const networks: readonly (readonly [string, () => Module])[] = [
  ['RepVGG-A0', () => createRepVGG('repvgg-a0', { numClasses: 10 })],
  [
    'RepVGG-A0, fused',
    () => repconv(trained(createRepVGG('repvgg-a0', { numClasses: 10 })), { certificateBudget: 1e5 }).model,
  ],
  [
    'RepVGG-B1g4, fused',
    () => repconv(trained(createRepVGG('repvgg-b1g4', { numClasses: 10 })), { certificateBudget: 1e5 }).model,
  ],
  ['MobileOne-s0', () => createMobileOne('mobileone-s0', { numClasses: 10 })],
  [
    'MobileOne-s0, fused',
    () => repconv(trained(createMobileOne('mobileone-s0', { numClasses: 10 })), { certificateBudget: 1e5 }).model,
  ],
];

describe.each(networks)('%s', (_, make) => {
  const model = trained(make());
  it.each(isas)('gives the same bits on 1 to 4 threads and at any position of a batch, with %s', async (isa) => {
    const x = randn([maxBatch, 3, 47, 61], { generator: new Random(4) });
    const sessionOf = (threads: number) =>
      compileSync(model, { inputs: { images: ['N', 3, 'H', 'W'] }, outputs: ['logits'], isa, threads, maxBatch });
    using one = sessionOf(1);
    const expected = one.runSync(x).logits as Tensor;
    expect(expected.data.every(Number.isFinite)).toBe(true);
    for (const threads of [2, 3, 4]) {
      using session = sessionOf(threads);
      expect(isIdentical(session.runSync(x).logits as Tensor, expected), `${threads} threads`).toBe(true);
      const results = await Promise.all(Array.from({ length: 6 }, () => session.run(x)));
      for (const { logits } of results)
        expect(isIdentical(logits, expected), `${threads} threads, six runs at once`).toBe(true);
    }
    const [imageSize, rowSize] = [x.size / maxBatch, expected.size / maxBatch];
    for (let n = 0; n < maxBatch; n++) {
      const image = new Tensor('float32', [1, 3, 47, 61], x.data.slice(n * imageSize, (n + 1) * imageSize));
      const row = new Tensor('float32', [1, rowSize], expected.data.slice(n * rowSize, (n + 1) * rowSize));
      expect(isIdentical(one.runSync(image).logits as Tensor, row), `image ${n} alone`).toBe(true);
    }
  });
});

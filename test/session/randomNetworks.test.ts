/** Sessions on random networks: within the bounds of float32, on every instruction set, and always the same bits. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nativeOps } from '../../lib/engine/eager.js';
import { ConvBlock } from '../../lib/nn/blocks/convBlock.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { compileSync } from '../../lib/session/compile.js';
import type { Session } from '../../lib/session/session.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';
import { usableIsas } from '../engine/isas.js';
import { type Bounded, boundedOps, exact } from './bounded.js';
import { networkOf, networks } from './networks.js';

const ways = fc.record({
  isa: fc.constantFrom(...usableIsas()),
  conv: fc.constantFrom('', '', 'im2col', 'direct', 'pointwise', 'depthwise'),
  threads: fc.integer({ min: 1, max: 4 }),
  foldBatchNorm: fc.boolean(),
});

/** `batch` images for a network, of which each is what it is whatever stands beside it. */
function images([, ...shape]: readonly number[], batch: number, seed: number): Tensor {
  return randn([batch, ...shape], { generator: new Random(seed) });
}

function expectWithin(results: Readonly<Record<string, Tensor>>, expected: Readonly<Record<string, Bounded>>): void {
  expect(Object.keys(results)).toEqual(Object.keys(expected));
  for (const [name, { value, error }] of Object.entries(expected)) {
    const { shape, data } = results[name];
    expect(shape).toEqual(value.shape);
    const beyond = data.findIndex((y, i) => !(Math.abs(y - value.data[i]) <= error.data[i]));
    expect(beyond, `${name}[${beyond}] is ${data[beyond]} for ${value.data[beyond]} ± ${error.data[beyond]}`).toBe(-1);
  }
}

describe('a session of a random network', () => {
  it('computes what the reference and the eager engine compute', () => {
    fc.assert(
      fc.property(networks, ways, (network, way) => {
        const { model, inputShape } = networkOf(network);
        const x = images(inputShape, 2, network.seed);
        const expected = model.compute(boundedOps, exact(x)) as Record<string, Bounded>;
        using session = compileSync(model, { inputs: { x: ['N', ...inputShape.slice(1)] }, maxBatch: 3, ...way });
        expectWithin(session.runSync(x), expected);
        expectWithin(model.compute(nativeOps(way), x) as Record<string, Tensor>, expected);
      }),
      { numRuns: 150 },
    );
  });

  it('gives the same bits for every number of threads, every place in a batch, and from run', async () => {
    await fc.assert(
      fc.asyncProperty(networks, ways, fc.integer({ min: 1, max: 4 }), async (network, way, batch) => {
        const { model, inputShape } = networkOf(network);
        const inputs = { x: ['N', ...inputShape.slice(1)] };
        const x = images(inputShape, batch, network.seed);
        const sessions = [1, 2, 3, 4].map((threads) => compileSync(model, { inputs, maxBatch: 4, ...way, threads }));
        const expected = sessions[0].runSync(x);
        for (const session of sessions) {
          expectSame(session.runSync(x), expected);
          expectSame(await session.run(x), expected);
          expectSame(alone(session, x), expected);
        }
        for (const session of sessions) await session.dispose();
      }),
      { numRuns: 40 },
    );
  });

  it('gives each image of a batch that leaves the caches the bits it has alone', () => {
    // Images of 8 MB and more behind the first convolution: these steps run for a part of the batch at a time
    // (native/executor/parts.h).
    const model = new Sequential(
      new Conv2d(3, 24, 3, { stride: 2, padding: 1 }),
      new Conv2d(24, 24, 3, { padding: 1 }),
      new ConvBlock(24, 8),
    ).eval();
    const x = randn([6, 3, 401, 395], { generator: new Random(4) });
    for (const threads of [1, 2, 3, 4]) {
      using session = compileSync(model, { inputs: { images: ['N', 3, 401, 395] }, maxBatch: 6, threads });
      expectSame(session.runSync(x), alone(session, x));
    }
  });

  it('takes height and width as they come', () => {
    fc.assert(
      fc.property(
        networks,
        fc.array(fc.tuple(fc.integer({ min: 4, max: 14 }), fc.integer({ min: 4, max: 14 })), {
          minLength: 2,
          maxLength: 4,
        }),
        (network, sizes) => {
          // Nothing depends on the size but whether windows fit, and all fit into 4×4 that fit into 1×1.
          const { model } = networkOf({ ...network, size: [4, 4] }, { isOpen: true });
          using session = compileSync(model, {
            inputs: { x: ['N', network.channels, 'H', 'W'] },
            maxBatch: 2,
            threads: 2,
          });
          for (const [i, size] of sizes.entries()) {
            const x = images([1, network.channels, ...size], 1 + (i % 2), i);
            expectWithin(session.runSync(x), model.compute(boundedOps, exact(x)) as Record<string, Bounded>);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

function expectSame(results: Readonly<Record<string, Tensor>>, expected: Readonly<Record<string, Tensor>>): void {
  expect(Object.keys(results)).toEqual(Object.keys(expected));
  for (const name of Object.keys(expected)) expect(isIdentical(results[name], expected[name]), name).toBe(true);
}

/** Every image by itself, and the results put together again. */
function alone(session: Session, x: Tensor): Record<string, Tensor> {
  const [batch, ...shape] = x.shape;
  const size = x.size / batch;
  const results = Array.from({ length: batch }, (_, n) =>
    session.runSync(new Tensor('float32', [1, ...shape], x.data.slice(n * size, (n + 1) * size))),
  );
  return Object.fromEntries(
    Object.entries(results[0]).map(([name, first]) => {
      const data = Float32Array.from(results.flatMap((result) => [...result[name].data]));
      return [name, new Tensor('float32', [batch, ...first.shape.slice(1)], data)];
    }),
  );
}

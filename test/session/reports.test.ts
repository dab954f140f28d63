/** What sessions say about themselves is true: steps, algorithms, times, memory. */
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { knownPeakSync } from '../../lib/engine/peak.js';
import { chosenThreads } from '../../lib/engine/threads.js';
import { sizeText } from '../../lib/errors.js';
import { macsOf } from '../../lib/graph/graph.js';
import { trace } from '../../lib/graph/record.js';
import { ConvBlock } from '../../lib/nn/blocks/convBlock.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { ConvTranspose2d } from '../../lib/nn/layers/convTranspose2d.js';
import { compileSync } from '../../lib/session/compile.js';
import type { Session, StepProfile } from '../../lib/session/session.js';
import { manualSeed, randn } from '../../lib/tensor/random.js';
import type { Tensor } from '../../lib/tensor/tensor.js';

const inputs = { x: ['N', 16, 12, 14] } as const;

describe('describe', () => {
  manualSeed(1);
  const model = new Sequential(
    new ConvBlock(16, 24),
    new Conv2d(24, 24, 3, { groups: 24 }),
    new ConvTranspose2d(24, 8, 2, { stride: 2 }),
  ).eval();

  it('names every layer with its algorithm, and counts as the graph does', () => {
    const steps = compileSync(model, { inputs, maxBatch: 3 }).describe(randn([3, 16, 12, 14]));
    const layers = steps.filter(({ macs }) => macs > 0);
    expect(layers.map(({ label, operation, algorithm }) => [label, operation, algorithm !== ''])).toEqual([
      ['0.conv3_3.conv', 'conv2d', true],
      ['0.conv1_1.conv', 'conv2d', true],
      ['1', 'conv2d', true],
      ['2', 'convTranspose2d', true],
    ]);
    expect(layers[2].algorithm).toBe('depthwise');
    const counted = trace(model, { x: [3, 16, 12, 14] })
      .nodes.map(macsOf)
      .filter((macs) => macs > 0);
    expect(layers.map(({ macs }) => macs)).toEqual(counted);
  });

  it.each(['direct', 'im2col'])('says that %s was forced', (conv) => {
    const chosen = compileSync(model, { inputs, conv })
      .describe()
      .filter(({ operation }) => operation === 'conv2d');
    expect(chosen.map(({ algorithm, why }) => [algorithm, why])).toEqual(
      chosen.map(() => [conv, `${conv}, as was asked for`]),
    );
  });

  it('is about one image, whatever ran since, or about the inputs it is given', () => {
    const session = compileSync(model, { inputs, maxBatch: 4 });
    const [one] = session.describe().filter(({ macs }) => macs > 0);
    expect(one.macs).toBe(24 * 16 * 9 * 12 * 14);
    session.runSync(randn([4, 16, 12, 14]));
    expect(session.describe().find(({ macs }) => macs > 0)).toEqual(one);
    expect(session.describe(randn([3, 16, 12, 14])).find(({ macs }) => macs > 0)).toEqual({
      ...one,
      macs: 3 * one.macs,
    });
  });

  it('is about as many images as were declared', () => {
    const [declared] = compileSync(new Conv2d(3, 4, 3), { inputs: { x: [2, 3, 8, 8] } })
      .describe()
      .filter(({ macs }) => macs > 0);
    expect(declared.macs).toBe(2 * 4 * 27 * 36);
  });

  it('gives a list of its own each time', () => {
    const session = compileSync(model, { inputs });
    const expected = session.describe();
    for (const step of session.describe()) Object.assign(step, { label: 'changed' });
    expect(session.describe()).toEqual(expected);
  });

  it('chooses for maxBatch, so that an image never depends on its company', () => {
    const session = compileSync(model, { inputs, maxBatch: 8 });
    const ways = [1, 3, 8].map((batch) =>
      session.describe(randn([batch, 16, 12, 14])).map(({ algorithm, why }) => `${algorithm} ${why}`),
    );
    expect(ways[0]).toEqual(ways[2]);
    expect(ways[1]).toEqual(ways[2]);
  });

  it('says nothing before the first run where more than the batch is open, and then what ran', () => {
    const session = compileSync(new Conv2d(3, 4, 3), { inputs: { x: ['N', 3, 'H', 'W'] } });
    expect(session.describe()).toEqual([]);
    for (const size of [8, 5, 8]) {
      session.runSync(randn([2, 3, size, size]));
      expect(session.describe().find(({ macs }) => macs > 0)?.macs).toBe(2 * 4 * 27 * (size - 2) ** 2);
    }
  });
});

describe('profile', () => {
  const layers = new Sequential(...Array.from({ length: 6 }, () => new Conv2d(32, 32, 3, { padding: 1 })));
  const options = { inputs: { x: [1, 32, 40, 40] }, threads: 1, isa: 'scalar' };
  const ways: [string, (session: Session, x?: Tensor) => StepProfile[] | Promise<StepProfile[]>][] = [
    ['profile', (session, x) => session.profile(x)],
    ['profileSync', (session, x) => session.profileSync(x)],
  ];

  it.each(ways)(
    'measures the steps that describe names, and they take the time that the run takes: %s',
    async (_, act) => {
      const session = compileSync(layers, options);
      const x = randn([1, 32, 40, 40]);
      await act(session, x);
      const start = performance.now();
      const steps = await act(session, x);
      const elapsed = performance.now() - start;
      expect(steps.map(({ milliseconds: _, gigaflopsPerSecond: __, shareOfPeak: ___, ...step }) => step)).toEqual(
        session.describe(),
      );
      const total = steps.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
      expect(total).toBeGreaterThan(0);
      expect(total).toBeLessThanOrEqual(elapsed);
      for (const { macs, milliseconds, gigaflopsPerSecond, shareOfPeak } of steps) {
        expect(milliseconds).toBeGreaterThanOrEqual(0);
        if (macs > 0) expect(gigaflopsPerSecond).toBeCloseTo((2 * macs) / milliseconds / 1e6, 6);
        else expect(gigaflopsPerSecond).toBe(0);
        expect(shareOfPeak).toBe(gigaflopsPerSecond / knownPeakSync('scalar'));
      }
    },
  );

  it.each(ways)('counts the peak of all threads: %s', async (_, act) => {
    const session = compileSync(new Conv2d(16, 16, 3), { inputs, threads: 3 });
    for (const { gigaflopsPerSecond, shareOfPeak } of await act(session))
      expect(shareOfPeak).toBe(gigaflopsPerSecond / (3 * knownPeakSync(session.settings.isa)));
  });

  it.each(ways)(
    'without inputs takes one random image, of floats or bytes, where its shape is known: %s',
    async (name, act) => {
      const macs = async (session: Session): Promise<number> =>
        (await act(session)).reduce((sum, step) => sum + step.macs, 0);
      const layer = new Conv2d(3, 4, 3);
      const given = { inputs: { x: ['N', 3, 12, 14] }, maxBatch: 3 };
      expect(await macs(compileSync(layer, given))).toBe(4 * 27 * 10 * 12);
      expect(await macs(compileSync(layer, { ...given, preprocess: { x: { from: 'uint8-nhwc' } } }))).toBe(
        4 * 27 * 10 * 12,
      );
      expect(await macs(compileSync(layer, { inputs: { x: [2, 3, 12, 14] } }))).toBe(2 * 4 * 27 * 10 * 12);
      const open = compileSync(layer, { inputs: { x: ['N', 3, 'H', 'W'] } });
      await expect((async () => act(open))()).rejects.toMatchObject({
        code: 'ERR_INPUT',
        message: `${name}: expects inputs where more than the batch is open: x [N,3,H,W]`,
      });
    },
  );

  it('is a run like others: it waits with them, counts among them, and ends well when the session is disposed', async () => {
    const session = compileSync(layers, { ...options, inputs: { x: [1, 32, 'H', 'W'] }, maxQueue: 8 });
    const profiles = Array.from({ length: 8 }, (_, i) => session.profile(randn([1, 32, 40 + i, 40])));
    await expect(session.profile(randn([1, 32, 9, 9]))).rejects.toMatchObject({
      code: 'ERR_BUSY',
      message: 'profile: expects at most 8 runs waiting or computing (maxQueue), and there are 8',
    });
    // The event loop turns, and they are not done.
    await new Promise((resolve) => setImmediate(resolve));
    expect(session.queueDepth).toBeGreaterThan(0);
    await session.dispose();
    for (const steps of await Promise.all(profiles)) {
      expect(steps.filter(({ macs }) => macs > 0)).toHaveLength(6);
      for (const { milliseconds, macs } of steps) if (macs > 0) expect(milliseconds).toBeGreaterThan(0);
    }
  });
});

describe('a session that is printed', () => {
  it('shows what it takes and gives, its precision, its threads and its memory', async () => {
    const layer = new Conv2d(3, 4, 3);
    const session = compileSync(layer, {
      inputs: { image: ['N', 3, 'H', 8] },
      outputs: ['scores'],
      preprocess: { image: { from: 'uint8-nhwc' } },
      threads: 2,
    });
    const memory = sizeText(session.memory().totalBytes);
    expect(inspect(session)).toBe(
      [
        'Session {',
        "  inputs: { image: 'uint8 [N,H,8,3]' },",
        "  outputs: { scores: 'float32 [N,4,H-2,6]' },",
        "  precision: 'float32',",
        '  threads: 2,',
        `  memory: '${memory}'`,
        '}',
      ].join('\n'),
    );
    expect(JSON.parse(JSON.stringify({ session }))).toEqual({
      session: {
        inputs: { image: 'uint8 [N,H,8,3]' },
        outputs: { scores: 'float32 [N,4,H-2,6]' },
        precision: 'float32',
        threads: 2,
        memory,
      },
    });
    expect(session.outputs).toEqual({ scores: ['N', 4, 'H-2', 6] });
    await session.dispose();
    expect(inspect(session)).toContain('isDisposed: true');
  });
});

describe('settings', () => {
  const decidedBy = (options: { threads?: number } = {}): string =>
    compileSync(new Conv2d(16, 16, 3), { inputs, ...options }).settings.threadsBecause;

  it('say who decided the number of threads', () => {
    expect(decidedBy({ threads: 2 })).toBe('the option threads');
    // Its words for each case: test/engine/threads.test.ts.
    expect(decidedBy()).toBe(chosenThreads().because);
  });
});

describe('memory', () => {
  const layer = new Conv2d(64, 96, 3, { padding: 1 });
  const weightBytes = 4 * 96 * 64 * 9;

  it('holds the packed weights once, however many shapes come, and an arena for each run at a time', () => {
    // Images of fewer bytes than the weights: no processor's caches are so small that a batch would be cut in parts.
    const session = compileSync(layer, { inputs: { x: ['N', 64, 12, 12] }, maxBatch: 4, conv: 'direct' });
    const { packedBytes, constantBytes, arenaBytes } = session.memory();
    expect(packedBytes).toBeGreaterThanOrEqual(weightBytes);
    expect(packedBytes).toBeLessThan(1.1 * weightBytes);
    expect([constantBytes, arenaBytes]).toEqual([0, 0]);
    for (const batch of [1, 2, 3, 4]) session.runSync(randn([batch, 64, 12, 12]));
    const after = session.memory();
    expect(after.packedBytes).toBe(packedBytes);
    // Input and output of the largest batch, with a border and channels rounded up.
    const images = 4 * 4 * (14 * 14 * 64 + 12 * 12 * 96);
    expect(after.arenaBytes).toBeGreaterThanOrEqual(images * 0.99);
    expect(after.arenaBytes).toBeLessThan(1.25 * images);
    expect(after.totalBytes).toBe(after.packedBytes + after.constantBytes + after.arenaBytes);
    session.runSync(randn([4, 64, 12, 12]));
    expect(session.memory()).toEqual(after);
  });

  it('keeps the weights as they were where plans are still to be made', () => {
    const session = compileSync(layer, { inputs: { x: ['N', 64, 'H', 'W'] }, conv: 'direct' });
    expect(session.memory().packedBytes).toBe(0);
    expect(session.memory().constantBytes).toBeGreaterThanOrEqual(weightBytes);
    session.runSync(randn([1, 64, 6, 6]));
    const { packedBytes } = session.memory();
    session.runSync(randn([1, 64, 9, 5]));
    expect(session.memory().packedBytes).toBe(packedBytes);
  });

  it('of runs at once is at most one arena for each thread that computes', async () => {
    const session = compileSync(layer, { inputs: { x: [1, 64, 20, 20] }, threads: 2 });
    session.runSync(randn([1, 64, 20, 20]));
    const one = session.memory().arenaBytes;
    await Promise.all(Array.from({ length: 24 }, () => session.run(randn([1, 64, 20, 20]))));
    // The pool has as many threads as the largest session of this process asked for.
    expect(session.memory().arenaBytes).toBeLessThanOrEqual(64 * one);
    expect(session.memory().arenaBytes % one).toBe(0);
  });
});

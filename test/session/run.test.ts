/** Running: what is refused and with which words, what a run reads and when, many runs at once, aborting, disposing. */
import { getEventListeners } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import type { SessionInputs } from '../../lib/session/arguments.js';
import { compileSync } from '../../lib/session/compile.js';
import type { Session } from '../../lib/session/session.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { manualSeed, Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';

const small = (): Session =>
  compileSync(new Conv2d(2, 3, 3), { inputs: { x: ['N', 2, 5, 6] }, maxBatch: 4, threads: 2 });
const image = (seed = 1, batch = 1): Tensor => randn([batch, 2, 5, 6], { generator: new Random(seed) });

/** Takes long enough to be met while it runs: dozens of layers of some milliseconds each, none of them long. */
function long({ layers = 40, threads = 1 } = {}): { session: Session; x: Tensor } {
  manualSeed(7);
  const model = new Sequential(...Array.from({ length: layers }, () => new Conv2d(32, 32, 3, { padding: 1 })));
  return {
    session: compileSync(model, { inputs: { x: ['N', 32, 56, 56] }, threads, isa: 'scalar' }),
    x: randn([1, 32, 56, 56]),
  };
}

describe('an input', () => {
  const session = small();
  it.each<[string, unknown, string, string | RegExp]>([
    ['under another name', { y: image() }, 'ERR_INPUT', 'expects the inputs x and no others, got y'],
    ['missing', {}, 'ERR_INPUT', 'input x expects a Tensor, got undefined'],
    ['null', null, 'ERR_INPUT', 'expects the inputs x, got null'],
    ['undefined', undefined, 'ERR_INPUT', 'expects the inputs x, got undefined'],
    ['a number', 3, 'ERR_INPUT', 'expects the inputs x, got 3'],
    [
      'a bare array',
      new Float32Array(100_000),
      'ERR_INPUT',
      'expects the inputs x, got Float32Array(100000) [ 0, 0, 0, 0, 0, ... 99995 more items ]',
    ],
    [
      'missing, with the name of what every object has',
      { x: undefined },
      'ERR_INPUT',
      'input x expects a Tensor, got undefined',
    ],
    ['beside another', { x: image(), z: image() }, 'ERR_INPUT', 'expects the inputs x and no others, got z'],
    ['a bare array of numbers', { x: new Float32Array(60) }, 'ERR_INPUT', 'input x expects a Tensor, got object'],
    [
      'a name of every object',
      { x: image(), constructor: image() },
      'ERR_INPUT',
      'expects the inputs x and no others, got constructor',
    ],
    ['in float64', randn([1, 2, 5, 6], { dtype: 'float64' }), 'ERR_INPUT', 'input x expects float32, got float64'],
    ['of other channels', randn([1, 3, 5, 6]), 'ERR_SHAPE', 'input x expects [N,2,5,6], got [1,3,5,6]'],
    ['of another height', randn([1, 2, 6, 6]), 'ERR_SHAPE', 'input x expects [N,2,5,6], got [1,2,6,6]'],
    ['without a batch', randn([2, 5, 6]), 'ERR_SHAPE', 'input x expects [N,2,5,6], got [2,5,6]'],
    ['of a fifth axis', randn([1, 2, 5, 6, 1]), 'ERR_SHAPE', 'input x expects [N,2,5,6], got [1,2,5,6,1]'],
    ['of an empty batch', randn([0, 2, 5, 6]), 'ERR_SHAPE', 'input x expects [N,2,5,6], got [0,2,5,6]'],
    ['of a batch beyond maxBatch', image(1, 5), 'ERR_SHAPE', 'expects a batch of at most 4 (maxBatch), got 5'],
  ])(
    'that is %s is refused by run, runSync, profile, profileSync and describe alike',
    async (_, given, code, message) => {
      const inputs = given as SessionInputs;
      expectRefusal(() => session.runSync(inputs), code as never, `runSync: ${message}`);
      if (given !== undefined) {
        expectRefusal(() => session.profileSync(inputs), code as never, `profileSync: ${message}`);
        expectRefusal(() => session.describe(inputs), code as never, `describe: ${message}`);
        await expect(session.profile(inputs)).rejects.toMatchObject({ code, message: `profile: ${message}` });
      }
      await expect(session.run(inputs)).rejects.toMatchObject({
        name: 'RepconvError',
        code,
        message: `run: ${message}`,
      });
      // And the next one is served.
      expect(session.runSync(image()).output.shape).toEqual([1, 3, 3, 4]);
    },
  );

  it('that was detached, or resized to less, is refused', async () => {
    const detached = image();
    detach(detached);
    expectRefusal(
      () => session.runSync(detached),
      'ERR_INPUT',
      'runSync: input x expects 60 elements in memory, but its buffer was transferred or resized',
    );
    const buffer = resizableBuffer(60 * 4, 120 * 4);
    const resizable = new Tensor('float32', [1, 2, 5, 6], new Float32Array(buffer));
    resizable.data.set(image().data);
    expect(isIdentical(session.runSync(resizable).output, session.runSync(image()).output)).toBe(true);
    buffer.resize(120 * 4);
    expect(isIdentical(session.runSync(resizable).output, session.runSync(image()).output)).toBe(true);
    for (const bytes of [16, 0]) {
      buffer.resize(bytes);
      const message = 'input x expects 60 elements in memory, but its buffer was transferred or resized';
      expectRefusal(() => session.runSync(resizable), 'ERR_INPUT', `runSync: ${message}`);
      await expect(session.run(resizable)).rejects.toMatchObject({ code: 'ERR_INPUT', message: `run: ${message}` });
    }
  });

  it('may lie in shared memory, and anywhere in a larger buffer', async () => {
    const expected = session.runSync(image()).output;
    for (const buffer of [new SharedArrayBuffer(4 * 100), new ArrayBuffer(4 * 100)]) {
      const view = new Tensor('float32', [1, 2, 5, 6], new Float32Array(buffer, 4 * 17, 60) as never);
      view.data.set(image().data);
      expect(isIdentical(session.runSync(view).output, expected)).toBe(true);
      expect(isIdentical((await session.run(view)).output, expected)).toBe(true);
    }
  });
});

describe('a run', () => {
  it('reads its inputs as they are at the call', async () => {
    const { session, x } = long({ layers: 4 });
    const expected = session.runSync(x).output;
    const changed = x.clone();
    const run = session.run(changed);
    changed.data.fill(NaN);
    expect(isIdentical((await run).output, expected)).toBe(true);
    const detached = x.clone();
    const other = session.run({ x: detached });
    detach(detached);
    expect(isIdentical((await other).output, expected)).toBe(true);
    await session.dispose();
  });

  it('leaves its inputs as they are', () => {
    const [session, x] = [small(), image()];
    session.runSync(x);
    expect(isIdentical(x, image())).toBe(true);
  });

  it('survives that its input is written in shared memory meanwhile', async () => {
    const { session, x } = long({ layers: 2 });
    const shared = new Tensor('float32', x.shape, new Float32Array(new SharedArrayBuffer(4 * x.size)) as never);
    const source = `const { workerData, parentPort } = require('node:worker_threads');
      const data = new Float32Array(workerData);
      parentPort.postMessage('writing');
      for (let k = 0; k < 200; k++) data.fill(k);`;
    const worker = new Worker(source, { eval: true, workerData: shared.data.buffer });
    // Both are waited for from the beginning: the writer may end before the run does.
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await new Promise((resolve) => worker.once('message', resolve));
    const { output } = await session.run(shared);
    expect(output.data.length).toBe(x.size);
    await ended;
    await session.dispose();
  });

  it('is one of many at once, each with its own numbers', async () => {
    const session = small();
    const inputs = Array.from({ length: 32 }, (_, i) => image(i, 1 + (i % 4)));
    const expected = inputs.map((x) => session.runSync(x).output);
    for (let round = 0; round < 5; round++) {
      const results = await Promise.all(inputs.map((x) => session.run(x)));
      for (const [i, { output }] of results.entries()) expect(isIdentical(output, expected[i])).toBe(true);
    }
  });

  it('may be one of several sessions, with runSync in between', async () => {
    const sessions = [1, 2, 3, 4].map((threads) => long({ layers: 3, threads }));
    const expected = sessions[0].session.runSync(sessions[0].x).output;
    const runs = sessions.flatMap(({ session }) => [session.run(sessions[0].x), session.run(sessions[0].x)]);
    for (const { session } of sessions) expect(isIdentical(session.runSync(sessions[0].x).output, expected)).toBe(true);
    for (const { output } of await Promise.all(runs)) expect(isIdentical(output, expected)).toBe(true);
    for (const { session } of sessions) await session.dispose();
  });

  it('leaves the JavaScript thread free', async () => {
    const { session, x } = long({ layers: 30 });
    const runs = Array.from({ length: 8 }, () => session.run(x));
    // The event loop turns, and they are not done.
    await new Promise((resolve) => setImmediate(resolve));
    expect(session.queueDepth).toBeGreaterThan(0);
    await Promise.all(runs);
    await session.dispose();
  });
});

describe('aborting', () => {
  it('before a run rejects at once and computes nothing', async () => {
    const { session, x } = long();
    await expect(session.run(x, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    await expect(session.run(x, { signal: AbortSignal.abort(new Error('no more')) })).rejects.toThrow('no more');
    expect(session.memory().arenaBytes).toBe(0);
    await session.dispose();
  });

  it('ends a run between two layers, and the next run is right', async () => {
    const { session, x } = long();
    const expected = session.runSync(x).output;
    const controller = new AbortController();
    // Were it not ended, it would end well, after seconds.
    const run = session.run(randn([8, 32, 56, 56]), { signal: controller.signal });
    setTimeout(() => controller.abort(), 1);
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    expect(isIdentical((await session.run(x)).output, expected)).toBe(true);
    await session.dispose();
  });

  it('ends runs that still wait for a thread, and only those of the signal', async () => {
    const { session, x } = long();
    const controller = new AbortController();
    const kept = session.run(x);
    const queued = Array.from({ length: 20 }, () => session.run(x, { signal: controller.signal }));
    controller.abort(new Error('enough'));
    const results = await Promise.allSettled(queued);
    expect(results.map(({ status }) => status)).toEqual(new Array(20).fill('rejected'));
    for (const result of results) expect((result as PromiseRejectedResult).reason).toEqual(new Error('enough'));
    expect((await kept).output.shape).toEqual([1, 32, 56, 56]);
    await session.dispose();
  });

  it('after the end changes nothing, and no listener stays behind', async () => {
    const session = small();
    const controller = new AbortController();
    for (let i = 0; i < 30; i++) await session.run(image(), { signal: controller.signal });
    await expect(session.run(image(1, 5), { signal: controller.signal })).rejects.toMatchObject({ code: 'ERR_SHAPE' });
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    const { output } = await session.run(image(), { signal: controller.signal });
    controller.abort();
    expect(output.shape).toEqual([1, 3, 3, 4]);
  });
});

describe('disposing', () => {
  it('refuses what comes after, as often as it is done', async () => {
    // As the code does that compilers make of `using`, where the symbols may be missing (test/realms).
    const sync: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
    const async: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
    const ways = [(s: Session) => s.dispose(), (s: Session) => s[sync](), (s: Session) => s[async]()];
    for (const dispose of ways) {
      const session = small();
      session.runSync(image());
      await dispose(session);
      await dispose(session);
      expectRefusal(() => session.runSync(image()), 'ERR_DISPOSED', 'runSync: the session has been disposed');
      expectRefusal(() => session.profileSync(image()), 'ERR_DISPOSED', 'profileSync: the session has been disposed');
      await expect(session.profile(image())).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
      expectRefusal(() => session.describe(), 'ERR_DISPOSED', 'describe: the session has been disposed');
      expectRefusal(() => session.settings, 'ERR_DISPOSED', 'settings: the session has been disposed');
      await expect(session.run(image())).rejects.toMatchObject({
        code: 'ERR_DISPOSED',
        message: 'run: the session has been disposed',
      });
      expect(session.memory()).toEqual({
        packedBytes: 0,
        constantBytes: 0,
        arenaBytes: 0,
        stagingBytes: 0,
        totalBytes: 0,
      });
      expect(session.inputs).toEqual({ x: ['N', 2, 5, 6] });
    }
  });

  it('lets runs under way end well, also those that wait', async () => {
    const { session, x } = long({ layers: 6 });
    const expected = session.runSync(x).output;
    const runs = Array.from({ length: 4 }, () => session.run(x));
    await session.dispose();
    for (const { output } of await Promise.all(runs)) expect(isIdentical(output, expected)).toBe(true);
  });

  it('happens by itself at the end of a block', () => {
    let kept: Session;
    {
      using session = small();
      kept = session;
      expect(session.runSync(image()).output.shape).toEqual([1, 3, 3, 4]);
    }
    expectRefusal(() => kept.runSync(image()), 'ERR_DISPOSED', /disposed/);
  });

  it('leaves other sessions of the same model alone', async () => {
    const layer = new Conv2d(2, 3, 3);
    const [one, two] = [1, 2].map(() => compileSync(layer, { inputs: { x: ['N', 2, 5, 6] } }));
    const expected = one.runSync(image()).output;
    await one.dispose();
    expect(isIdentical(two.runSync(image()).output, expected)).toBe(true);
  });
});

/** Takes a tensor's memory away, as posting it to a Worker does. */
function detach({ data }: Tensor): void {
  structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] });
}

/** A buffer that can be resized; the language has it, the library's target does not know its types. */
function resizableBuffer(bytes: number, maxByteLength: number): ArrayBuffer & { resize(bytes: number): void } {
  return Reflect.construct(ArrayBuffer, [bytes, { maxByteLength }]);
}

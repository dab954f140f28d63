/** Many runs at once: how many may wait, what a signal ends, plans for new shapes, and memory that is used again. */

import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type NativeSession, nativeAddon } from '../../lib/engine/addon.js';
import { RepconvError } from '../../lib/errors.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { compile, compileSync } from '../../lib/session/compile.js';
import type { CompileOptions } from '../../lib/session/options.js';
import type { Session } from '../../lib/session/session.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { manualSeed, Random, randn } from '../../lib/tensor/random.js';
import { Tensor, zeros } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';

/** Layers of about a millisecond each. */
function slow(layers: number, options: Partial<CompileOptions> = {}): Session {
  manualSeed(7);
  const model = new Sequential(...Array.from({ length: layers }, () => new Conv2d(32, 32, 3, { padding: 1 })));
  return compileSync(model, { inputs: { x: ['N', 32, 'H', 'W'] }, threads: 2, isa: 'scalar', ...options });
}
const image = (H = 40, W = 40, seed = 1): Tensor => randn([1, 32, H, W], { generator: new Random(seed) });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the queue', () => {
  it('counts the runs that wait or compute', async () => {
    const session = slow(6);
    expect(session.queueDepth).toBe(0);
    const runs = Array.from({ length: 5 }, () => session.run(image()));
    expect(session.queueDepth).toBe(5);
    session.runSync(image());
    expect(session.queueDepth).toBeLessThanOrEqual(5);
    await Promise.all(runs);
    expect(session.queueDepth).toBe(0);
    await session.dispose();
  });

  it('refuses one run more than maxQueue, and takes the next when one has ended', async () => {
    const session = slow(6, { maxQueue: 3 });
    const expected = session.runSync(image()).output;
    const runs = Array.from({ length: 3 }, () => session.run(image()));
    await expect(session.run(image())).rejects.toMatchObject({
      name: 'RepconvError',
      code: 'ERR_BUSY',
      message: 'run: expects at most 3 runs waiting or computing (maxQueue), and there are 3',
    });
    // Whoever waits for a result needs no place in the queue.
    expect(isIdentical(session.runSync(image()).output, expected)).toBe(true);
    await Promise.race(runs);
    expect(isIdentical((await session.run(image())).output, expected)).toBe(true);
    for (const { output } of await Promise.all(runs)) expect(isIdentical(output, expected)).toBe(true);
    await session.dispose();
  });

  it('gives the place of a run that was aborted, refused or failed to the next', async () => {
    const [session, other] = [slow(6, { maxQueue: 1 }), slow(40)];
    const x = image();
    session.runSync(x);
    other.runSync(x);
    // The pool is busy for a while: the run that is aborted waits behind these.
    const busy = Array.from({ length: 6 }, () => other.run(x));
    const controller = new AbortController();
    const aborted = session.run(x, { signal: controller.signal });
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    await expect(session.run(zeros([1, 3, 4, 4]))).rejects.toMatchObject({ code: 'ERR_SHAPE' });
    const out = zeros([1, 32, 40, 40]);
    const failing = session.run(image(), { out });
    structuredClone(out.data.buffer, { transfer: [out.data.buffer as ArrayBuffer] });
    await expect(failing).rejects.toMatchObject({ code: 'ERR_INPUT' });
    expect(session.queueDepth).toBe(0);
    expect((await session.run(image())).output.shape).toEqual([1, 32, 40, 40]);
    await Promise.all(busy);
    await Promise.all([session.dispose(), other.dispose()]);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 65537, '8'])('refuses maxQueue %s', (maxQueue) => {
    const message = `compile: maxQueue expects a whole number from 1 to 65536, got ${inspect(maxQueue)}`;
    expectRefusal(() => slow(1, { maxQueue: maxQueue as number }), 'ERR_INPUT', message);
  });
});

describe('a signal', () => {
  it('ends any number of runs of several sessions, without a warning, and leaves no listener', async () => {
    const warnings: Error[] = [];
    const listener = (warning: Error): unknown => warnings.push(warning);
    process.on('warning', listener);
    const sessions = [slow(40), slow(40)];
    const x = image();
    for (const session of sessions) session.runSync(x);
    const controller = new AbortController();
    const runs = sessions.flatMap((session) =>
      Array.from({ length: 30 }, () => session.run(x, { signal: controller.signal })),
    );
    expect(getEventListeners(controller.signal, 'abort').length).toBe(1);
    controller.abort();
    const ends = await Promise.allSettled(runs);
    // Where this thread had to wait for a processor the first ones may have ended.
    expect(ends.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(40);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    expect(sessions.map(({ queueDepth }) => queueDepth)).toEqual([0, 0]);
    await turn();
    process.off('warning', listener);
    expect(warnings).toEqual([]);
    for (const session of sessions) await session.dispose();
  });

  it('is left by a run that ends, while others go on', async () => {
    const session = slow(40);
    const expected = session.runSync(image()).output;
    const controller = new AbortController();
    const x = image();
    const [first, ...rest] = Array.from({ length: 16 }, () => session.run(x, { signal: controller.signal }));
    expect(isIdentical((await first).output, expected)).toBe(true);
    controller.abort(new Error('enough'));
    const ends = await Promise.allSettled(rest);
    expect(ends.at(-1)).toMatchObject({ status: 'rejected', reason: new Error('enough') });
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    await session.dispose();
  });

  it('ends a run also where it aborts just when the run has begun', async () => {
    const controller = new AbortController();
    const { session, calls } = counted(() => slow(40), { begun: () => controller.abort(new Error('just now')) });
    // A new shape: begun when its plan is made, some turns later.
    await expect(session.run(image(), { signal: controller.signal })).rejects.toThrow('just now');
    expect(calls.run).toBe(1);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    await session.dispose();
  });

  it('that aborts hundreds of runs at any moment leaves all others right', async () => {
    const session = slow(3);
    const inputs = [1, 2, 3].map((seed) => image(24, 24, seed));
    const expected = inputs.map((x) => session.runSync(x).output);
    const generator = new Random(11);
    let [aborted, completed] = [0, 0];
    for (let round = 0; round < 20; round++) {
      const controller = new AbortController();
      const runs = Array.from({ length: 12 }, (_, i) => {
        const isDoomed = generator.uniform() < 0.5;
        return session.run(inputs[i % 3], isDoomed ? { signal: controller.signal } : {}).then(
          ({ output }) => {
            completed++;
            expect(isIdentical(output, expected[i % 3])).toBe(true);
          },
          (error) => {
            aborted++;
            expect(isDoomed).toBe(true);
            expect(error.name).toBe('AbortError');
          },
        );
      });
      // Every fourth at once, so that some are aborted however late the timers of a busy machine are.
      if (round % 4 > 0) await new Promise((resolve) => setTimeout(resolve, generator.uniform() * 6));
      controller.abort();
      await Promise.all(runs);
    }
    expect(aborted + completed).toBe(240);
    expect(aborted).toBeGreaterThan(10);
    await session.dispose();
  });
});

describe('a new shape', () => {
  it('is planned on the pool, once for all runs that bring it meanwhile', async () => {
    const { session, calls } = counted(() => slow(6));
    const runs = Array.from({ length: 8 }, () => session.run(image(33, 21)));
    // Nothing was planned here: the call copied the inputs and returned.
    expect(calls).toMatchObject({ prepare: 0, prepareAsync: 1 });
    const results = await Promise.all(runs);
    const expected = session.runSync(image(33, 21)).output;
    for (const { output } of results) expect(isIdentical(output, expected)).toBe(true);
    expect(calls).toMatchObject({ prepare: 0, prepareAsync: 1, forget: 0 });
    await session.dispose();
  });

  it('is planned at once by runSync, also while the pool is about it', async () => {
    const session = slow(6);
    const run = session.run(image(20, 20));
    const expected = session.runSync(image(20, 20)).output;
    expect(isIdentical((await run).output, expected)).toBe(true);
    expect(isIdentical((await session.run(image(20, 20))).output, expected)).toBe(true);
    await session.dispose();
  });

  it('of several kinds at once, each gets its own plan', async () => {
    const session = slow(4);
    const sizes = Array.from({ length: 40 }, (_, i) => [5 + (i % 20), 7 + (i % 3)]);
    const results = await Promise.all(sizes.map(([H, W]) => session.run(image(H, W))));
    for (const [i, [H, W]] of sizes.entries())
      expect(isIdentical(results[i].output, session.runSync(image(H, W)).output)).toBe(true);
    await session.dispose();
  });

  it('may be aborted while it is planned, by one of those who wait for it', async () => {
    const session = slow(6);
    const controller = new AbortController();
    const [aborted, kept] = [session.run(image(31, 30), { signal: controller.signal }), session.run(image(31, 30))];
    controller.abort(new Error('no more'));
    await expect(aborted).rejects.toThrow('no more');
    expect(isIdentical((await kept).output, session.runSync(image(31, 30)).output)).toBe(true);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    expect(session.queueDepth).toBe(0);
    await session.dispose();
  });

  it('is computed well when the session is disposed of meanwhile', async () => {
    const [session, other] = [slow(6), slow(6)];
    const runs = [session.run(image(17, 23)), session.run(image(17, 23)), session.run(image(9, 9))];
    await session.dispose();
    await expect(session.run(image(17, 23))).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    expect(session.memory().totalBytes).toBe(0);
    for (const [i, size] of [
      [17, 23],
      [17, 23],
      [9, 9],
    ].entries())
      expect(isIdentical((await runs[i]).output, other.runSync(image(size[0], size[1])).output)).toBe(true);
    await other.dispose();
  });

  it('that runSync brings while many others are planned costs no plan for ever', async () => {
    const { session, calls } = counted(() => slow(1));
    const runs = Array.from({ length: 24 }, (_, i) => session.run(image(9, 5 + i)));
    for (let i = 0; i < 10; i++) session.runSync(image(8, 5 + i));
    await Promise.all(runs);
    session.runSync(image(8, 5));
    expect(calls.prepare + calls.prepareAsync - calls.forget).toBe(16);
    await session.dispose();
  });

  it('is let go of when nobody waits for it, and a plan of the same could not be made', async () => {
    const failure = new RepconvError('ERR_OOM', 'no memory');
    const { session, calls } = counted(() => slow(6), {
      preparing: (how) => {
        if (how === 'prepare') throw failure;
      },
    });
    const controller = new AbortController();
    const run = session.run(image(33, 30), { signal: controller.signal });
    expectRefusal(() => session.runSync(image(33, 30)), 'ERR_OOM', 'no memory');
    controller.abort();
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    // Another plan, that the pool makes after that one.
    await session.run(image(10, 10));
    expect(calls).toMatchObject({ prepareAsync: 2, forget: 1 });
    await session.dispose();
  });

  it('that cannot be computed is refused each time, and costs no plan', async () => {
    const session = compileSync(new Conv2d(32, 32, 5), { inputs: { x: ['N', 32, 'H', 'W'] } });
    for (let i = 0; i < 40; i++)
      await expect(session.run(image(4, 5 + i))).rejects.toMatchObject({ code: 'ERR_SHAPE' });
    expect(session.queueDepth).toBe(0);
    expect((await session.run(image(5, 5))).output.shape).toEqual([1, 32, 1, 1]);
    await session.dispose();
  });
});

describe('memory', () => {
  it('of a session that could not be compiled is given back at once', async () => {
    const failure = new RepconvError('ERR_OOM', 'no memory');
    const preparing = (): void => {
      throw failure;
    };
    const model = new Conv2d(32, 32, 3);
    const inputs = { x: [1, 32, 9, 9] };
    const sync = counted(() => expectRefusal(() => compileSync(model, { inputs }), 'ERR_OOM', 'no memory'), {
      preparing,
    });
    expect(sync.calls).toMatchObject({ prepare: 1, dispose: 1 });
    const pool = counted(() => compile(model, { inputs }), { preparing });
    await expect(pool.session).rejects.toMatchObject({ name: 'RepconvError', code: 'ERR_OOM' });
    expect(pool.calls).toMatchObject({ prepareAsync: 1, dispose: 1 });
  });

  it('does not grow with the thousandth shape: plans, and what only they needed, go', async () => {
    const { session, calls } = counted(() => slow(1, { threads: 1, conv: 'direct' }));
    const largest = image(200, 200);
    await session.run(largest);
    session.runSync(largest);
    const large = session.memory();
    for (let i = 0; i < 1000; i++) {
      const x = new Tensor('float32', [1, 32, 1 + (i % 25), 1 + Math.floor(i / 25)]);
      if (i % 2 === 0) session.runSync(x);
      else await session.run(x);
    }
    expect(calls.prepare + calls.prepareAsync).toBe(1001);
    // 16 plans are kept.
    expect(calls.forget).toBe(1001 - 16);
    const small = session.memory();
    expect(small.packedBytes).toBe(large.packedBytes);
    // The image of 200 × 200 and its copies are gone: 5 MB each.
    expect(small.arenaBytes).toBeLessThan(large.arenaBytes / 10);
    expect(small.stagingBytes).toBeLessThan(large.stagingBytes / 10);
    await session.dispose();
    expect(session.memory().totalBytes).toBe(0);
  });

  it('of runs is used again: callers in a loop need no more after the first round', async () => {
    const session = slow(1, { inputs: { x: ['N', 32, 40, 40] } });
    const out = Array.from({ length: 4 }, () => zeros([1, 32, 40, 40]));
    const round = (): Promise<unknown> =>
      Promise.all(out.map((tensor, i) => session.run(image(40, 40, i), { out: tensor })));
    await round();
    const { stagingBytes, arenaBytes } = session.memory();
    const one = 2 * 4 * 32 * 40 * 40;
    // Copies of input and output for each of the 4 callers.
    expect(stagingBytes).toBeGreaterThanOrEqual(one);
    expect(stagingBytes).toBeLessThan(4 * (one + 4096));
    for (let i = 0; i < 50; i++) await round();
    expect(session.memory().stagingBytes).toBe(stagingBytes);
    expect(session.memory().arenaBytes).toBeLessThanOrEqual(Math.max(arenaBytes, 64 * (arenaBytes / 2)));
    await session.dispose();
  });

  it('of a burst goes back to what the threads need', async () => {
    const session = slow(1, { inputs: { x: ['N', 32, 40, 40] } });
    await session.run(image());
    const { stagingBytes } = session.memory();
    const runs = Array.from({ length: 40 }, () => session.run(image()));
    expect(session.memory().stagingBytes).toBe(40 * stagingBytes);
    await Promise.all(runs);
    expect(session.memory().stagingBytes).toBe(4 * stagingBytes);
    await session.dispose();
  });
});

interface Calls {
  prepare: number;
  prepareAsync: number;
  forget: number;
  run: number;
  dispose: number;
}

/** What happens between: `preparing` before a plan is made, `begun` when a run has begun. */
interface Interruptions {
  readonly preparing?: (how: 'prepare' | 'prepareAsync') => void;
  readonly begun?: () => void;
}

/** Makes a session and counts what it asks of native code. */
function counted<T>(make: () => T, { preparing, begun }: Interruptions = {}): { session: T; calls: Calls } {
  const calls: Calls = { prepare: 0, prepareAsync: 0, forget: 0, run: 0, dispose: 0 };
  const addon = nativeAddon();
  const { Session: Original } = addon;
  class Counting extends Original {
    override prepare(...given: Parameters<NativeSession['prepare']>): number {
      calls.prepare++;
      preparing?.('prepare');
      return super.prepare(...given);
    }
    override prepareAsync(...given: Parameters<NativeSession['prepareAsync']>): Promise<number> {
      calls.prepareAsync++;
      preparing?.('prepareAsync');
      return super.prepareAsync(...given);
    }
    override forget(plan: number): void {
      calls.forget++;
      super.forget(plan);
    }
    override run(...given: Parameters<NativeSession['run']>): ReturnType<NativeSession['run']> {
      calls.run++;
      const run = super.run(...given);
      begun?.();
      return run;
    }
    override dispose(): void {
      calls.dispose++;
      super.dispose();
    }
  }
  try {
    (addon as { Session: typeof Original }).Session = Counting;
    return { session: make(), calls };
  } finally {
    (addon as { Session: typeof Original }).Session = Original;
  }
}

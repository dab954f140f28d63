/** `out`: outputs written into memory of the caller's. */
import { describe, expect, it } from 'vitest';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import { compileSync } from '../../lib/session/compile.js';
import type { RunSyncOptions } from '../../lib/session/options.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { Tensor, zeros } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';

const two: Traceable = { compute: <X>(f: Ops<X>, x: X) => ({ activated: f.relu(x), doubled: f.add(x, x) }) };
const session = compileSync(two, { inputs: { x: ['N', 2, 'H', 4] }, threads: 2 });
const image = (N = 1, seed = 1): Tensor => randn([N, 2, 3, 4], { generator: new Random(seed) });
const fresh = (): Tensor => zeros([1, 2, 3, 4]);
const expected = session.runSync(image());

describe('out', () => {
  it('takes all outputs, some, or the only one bare, and returns the very tensors', async () => {
    const activated = fresh();
    for (const run of ['runSync', 'run'] as const) {
      const outputs = await session[run](image(), { out: { activated } });
      expect(Object.keys(outputs)).toEqual(['activated', 'doubled']);
      expect(outputs.activated).toBe(activated);
      expect(isIdentical(activated, expected.activated)).toBe(true);
      expect(isIdentical(outputs.doubled, expected.doubled)).toBe(true);
      activated.data.fill(NaN);
    }
    const both = { activated: fresh(), doubled: fresh() };
    expect(await session.run(image(), { out: both })).toEqual(both);
    expect(isIdentical(both.doubled, expected.doubled)).toBe(true);
    const layer = compileSync(new Conv2d(2, 5, 3), { inputs: { x: ['N', 2, 5, 6] } });
    const [x, bare] = [randn([2, 2, 5, 6]), zeros([2, 5, 3, 4])];
    expect(layer.runSync(x, { out: bare }).output).toBe(bare);
    expect(isIdentical(bare, layer.runSync(x).output)).toBe(true);
    bare.data.fill(7);
    expect((await layer.run(x, { out: bare })).output).toBe(bare);
    expect(isIdentical(bare, layer.runSync(x).output)).toBe(true);
  });

  it('may lie in shared memory, and anywhere in a larger buffer, of which it touches nothing else', async () => {
    for (const buffer of [new SharedArrayBuffer(4 * 60), new ArrayBuffer(4 * 60)]) {
      const all = new Float32Array(buffer as ArrayBuffer).fill(9);
      const activated = new Tensor('float32', [1, 2, 3, 4], all.subarray(17, 41));
      session.runSync(image(), { out: { activated } });
      expect(isIdentical(activated, expected.activated)).toBe(true);
      activated.data.fill(0);
      await session.run(image(), { out: { activated } });
      expect(isIdentical(activated, expected.activated)).toBe(true);
      expect([...all.subarray(0, 17), ...all.subarray(41)].every((value) => value === 9)).toBe(true);
    }
  });

  it('stays as it is until the run has ended well', async () => {
    const model = new Sequential(...Array.from({ length: 40 }, () => new Conv2d(32, 32, 3, { padding: 1 })));
    const slow = compileSync(model, { inputs: { x: [1, 32, 40, 40] }, isa: 'scalar', threads: 1 });
    const x = randn([1, 32, 40, 40]);
    const out = zeros([1, 32, 40, 40]);
    out.data.fill(5);
    // The pool is busy for a while: the run that is aborted waits behind these.
    const busy = Array.from({ length: 6 }, () => slow.run(x));
    const controller = new AbortController();
    const aborted = slow.run(x, { out, signal: controller.signal });
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    expect(out.data.every((value) => value === 5)).toBe(true);
    const run = slow.run(x, { out });
    expect(out.data.every((value) => value === 5)).toBe(true);
    await Promise.all([run, ...busy]);
    expect(isIdentical(out, slow.runSync(x).output)).toBe(true);
    await slow.dispose();
  });

  const wrong = (out: unknown): RunSyncOptions => ({ out }) as RunSyncOptions;
  it.each<[string, unknown, string, string]>([
    [
      'for an output there is not',
      { other: fresh() },
      'ERR_INPUT',
      'out expects tensors for the outputs activated, doubled and no others, got other',
    ],
    [
      'bare where there are two',
      fresh(),
      'ERR_INPUT',
      'out expects tensors for the outputs activated, doubled, got Tensor(float32, [1,2,3,4]) Float32Array(24) [ 0, 0, 0, 0, 0, ... 19 more items ]',
    ],
    ['a number', 3, 'ERR_INPUT', 'out expects tensors for the outputs activated, doubled, got 3'],
    [
      'a bare array',
      new Float32Array(100_000),
      'ERR_INPUT',
      'out expects tensors for the outputs activated, doubled, got Float32Array(100000) [ 0, 0, 0, 0, 0, ... 99995 more items ]',
    ],
    ['a list', [1], 'ERR_INPUT', 'out expects tensors for the outputs activated, doubled, got [ 1 ]'],
    ['null', null, 'ERR_INPUT', 'out expects tensors for the outputs activated, doubled, got null'],
    [
      'an array of numbers',
      { activated: new Float32Array(24) },
      'ERR_INPUT',
      'out.activated expects a Tensor, got object',
    ],
    ['undefined for an output', { activated: undefined }, 'ERR_INPUT', 'out.activated expects a Tensor, got undefined'],
    [
      'in float64',
      { activated: zeros([1, 2, 3, 4], 'float64') },
      'ERR_INPUT',
      'out.activated expects float32, got float64',
    ],
    ['of another shape', { doubled: zeros([1, 2, 4, 3]) }, 'ERR_SHAPE', 'out.doubled expects [1,2,3,4], got [1,2,4,3]'],
    ['of another batch', { doubled: zeros([2, 2, 3, 4]) }, 'ERR_SHAPE', 'out.doubled expects [1,2,3,4], got [2,2,3,4]'],
  ])('is refused when it is %s', async (_, out, code, message) => {
    expectRefusal(() => session.runSync(image(), wrong(out)), code as never, `runSync: ${message}`);
    await expect(session.run(image(), wrong(out))).rejects.toMatchObject({ code, message: `run: ${message}` });
    expect(session.queueDepth).toBe(0);
  });

  it('is refused when it was detached, and when it is detached before the run ends', async () => {
    const detached = fresh();
    detach(detached);
    const message = 'out.activated expects 24 elements in memory, but its buffer was transferred or resized';
    expectRefusal(() => session.runSync(image(), { out: { activated: detached } }), 'ERR_INPUT', `runSync: ${message}`);
    await expect(session.run(image(), { out: { activated: detached } })).rejects.toMatchObject({
      code: 'ERR_INPUT',
      message: `run: ${message}`,
    });
    for (const shape of ['of a plan that is made', 'of a new plan']) {
      const x = shape === 'of a new plan' ? randn([1, 2, 11, 4]) : image();
      const activated = zeros(x.shape);
      const run = session.run(x, { out: { activated } });
      detach(activated);
      await expect(run, shape).rejects.toMatchObject({
        code: 'ERR_INPUT',
        message: expect.stringMatching(
          shape === 'of a new plan' ? /^tensor: float32 \[1,2,11,4\] expects/ : /output 0 expects/,
        ),
      });
    }
    expect(isIdentical((await session.run(image())).activated, expected.activated)).toBe(true);
  });

  it('is refused when it shares memory with an input or another output', async () => {
    const all = new Float32Array(60);
    const at = (offset: number): Tensor => new Tensor('float32', [1, 2, 3, 4], all.subarray(offset, offset + 24));
    for (const [x, out, message] of [
      [at(0), { activated: at(0) }, 'output 0 and input 0 share memory'],
      [at(10), { doubled: at(33) }, 'output 1 and input 0 share memory'],
      [image(), { activated: at(0), doubled: at(23) }, 'outputs 0 and 1 share memory'],
    ] as const) {
      expectRefusal(() => session.runSync(x, { out }), 'ERR_INPUT', new RegExp(message));
      await expect(session.run(x, { out })).rejects.toMatchObject({
        code: 'ERR_INPUT',
        message: expect.stringContaining(message),
      });
    }
    // Side by side is well.
    const outputs = session.runSync(at(0), { out: { activated: at(24) } });
    expect(isIdentical(outputs.activated, session.runSync(at(0)).activated)).toBe(true);
  });
});

/** Takes a tensor's memory away, as posting it to a Worker does. */
function detach({ data }: Tensor): void {
  structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] });
}

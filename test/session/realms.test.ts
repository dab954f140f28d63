/**
 * Other realms have their own Float32Array, Error and Object: what is handed over from one, or what a program did to
 * the prototypes of this one, changes nothing. (`test/realms` runs these tests inside other realms.)
 */
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { nativeAddon } from '../../lib/engine/addon.js';
import { nativeOptions } from '../../lib/engine/eager.js';
import { parseSafetensors } from '../../lib/formats/safetensors.js';
import { serializeSafetensors } from '../../lib/formats/serializeSafetensors.js';
import { loadStateDict, saveStateDictSync } from '../../lib/formats/stateDict.js';
import { trace } from '../../lib/graph/record.js';
import { ConvBlock } from '../../lib/nn/blocks/convBlock.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { Linear } from '../../lib/nn/layers/linear.js';
import { compileSync } from '../../lib/session/compile.js';
import { lower } from '../../lib/session/lower.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { type DType, dtypes } from '../../lib/tensor/dtype.js';
import { randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';
import { expectRefusal, refusalOf } from '../cases/refusal.js';

/** What an expression is in a realm of its own. */
const elsewhere = <T>(expression: string, given: object = {}): T => runInNewContext(`(${expression})`, given) as T;

describe('from another realm', () => {
  it('typed arrays are the elements of tensors of every format', () => {
    for (const dtype of Object.keys(dtypes) as DType[]) {
      const { name } = dtypes[dtype].array;
      const data = elsewhere<Float32Array>(`new ${name}(24)`);
      expect(data).not.toBeInstanceOf(dtypes[dtype].array);
      const shape = dtypes[dtype].bits < 8 ? [24 * (8 / dtypes[dtype].bits)] : [dtype === 'complex64' ? 3 : 24];
      expect(new Tensor(dtype, shape, data as never).data, dtype).toBe(data);
    }
  });

  it('typed arrays of another kind are refused', () => {
    for (const other of ['Float64Array', 'Uint8Array', 'Array'])
      expectRefusal(
        () => new Tensor('float32', [4], elsewhere(`new ${other}(4)`)),
        'ERR_INPUT',
        /^tensor: float32 expects a Float32Array, got /,
      );
  });

  it('tensors are computed with, eagerly and by sessions, and written into', async () => {
    const session = compileSync(new Conv2d(3, 4, 3), { inputs: { x: [1, 3, 5, 5] } });
    const x = randn([1, 3, 5, 5]);
    const same = new Tensor('float32', x.shape, elsewhere('Float32Array.from(data)', { data: x.data }));
    const out = new Tensor('float32', [1, 4, 3, 3], elsewhere('new Float32Array(36)'));
    const expected = session.runSync(x).output;
    session.runSync(same, { out });
    expect(isIdentical(out, expected)).toBe(true);
    expect(isIdentical((await session.run(same)).output, expected)).toBe(true);
    const conv = new Conv2d(3, 4, 3);
    expect(isIdentical(conv.forward(same), conv.forward(x))).toBe(true);
  });

  it('bare bytes are images, options are options, and records of inputs are such', () => {
    const given = elsewhere<object>(`{ inputs: { x: ['N', 3, 2, 2] }, preprocess: { x: { from: 'uint8-nhwc' } } }`);
    const session = compileSync(new Conv2d(3, 4, 1), given as never);
    const bytes = Array.from({ length: 12 }, (_, i) => 20 * i);
    const expected = session.runSync(Uint8Array.from(bytes)).output;
    for (const kind of ['Uint8Array', 'Uint8ClampedArray']) {
      const x = elsewhere<Uint8Array>(`${kind}.from(bytes)`, { bytes });
      expect(isIdentical(session.runSync(x).output, expected), kind).toBe(true);
      expect(isIdentical(session.runSync(elsewhere('{ x }', { x })).output, expected), kind).toBe(true);
    }
  });

  it('bytes of a safetensors file are read', () => {
    const bytes = serializeSafetensors(new Map([['a', randn([2, 3])]]));
    const { tensors } = parseSafetensors(elsewhere('Uint8Array.from(bytes)', { bytes }));
    expect(tensors.get('a')?.shape).toEqual([2, 3]);
  });
});

describe('what native code or the file system refuses is a RepconvError', () => {
  it('from every function of the addon, whoever calls it', () => {
    const addon = nativeAddon();
    const { program } = lower(trace(new Conv2d(3, 4, 3), { x: [1, 3, 5, 5] }));
    const native = new addon.Session(program, nativeOptions({ threads: 1 }));
    for (const act of [
      () => new addon.Session({} as never, {} as never),
      () => addon.execute({} as never, [], [], [], {} as never),
      () => native.prepare([], []),
      () => native.keepConstants('none' as never),
      () => native.runSync(7, [], []),
      () => native.run(7, [], []),
      () => native.memory.call({} as never),
    ])
      refusalOf(act);
    native.dispose();
    expectRefusal(() => native.prepare([], []), 'ERR_DISPOSED', 'session: disposed');
  });

  it('of files', async () => {
    expectRefusal(() => saveStateDictSync('nowhere/of.safetensors', new Map()), 'ERR_IO', /no such file or directory/);
    await expect(loadStateDict('nowhere/of.safetensors')).rejects.toMatchObject({
      name: 'RepconvError',
      code: 'ERR_IO',
    });
  });

  it('also where it is a promise that fails', async () => {
    const session = compileSync(new Conv2d(3, 4, 3), { inputs: { x: [1, 3, 'H', 'W'] } });
    const out = new Tensor('float32', [1, 4, 3, 3]);
    const run = session.run(randn([1, 3, 5, 5]), { out });
    structuredClone(null, { transfer: [out.data.buffer as ArrayBuffer] });
    await expect(run).rejects.toMatchObject({ name: 'RepconvError', code: 'ERR_INPUT' });
  });
});

describe('what a program put on prototypes is read by nobody', () => {
  const ofPrograms = ['extend', 'label', 'data', 'shape', 'isPrivate', 'alpha', 'activation', 'residual'];
  const ofOptions = ['isa', 'threads', 'conv', 'precision', 'preprocess', 'outputs', 'signal', 'out', 'bias', 'dtype'];
  const names = [...ofPrograms, ...ofOptions];
  afterEach(() => {
    for (const name of names) delete (Object.prototype as Record<string, unknown>)[name];
  });

  it.each(names)('a function called %s', (name) => {
    const model = new ConvBlock(3, 4).eval();
    const x = randn([2, 3, 5, 5]);
    const inputs = { x: [2, 3, 5, 5] };
    const expected = [model.forward(x), compileSync(model, { inputs }).runSync(x).output];
    Object.defineProperty(Object.prototype, name, { value: () => 1, configurable: true, enumerable: true });
    const found = [model.forward(x), compileSync(model, { inputs }).runSync(x).output];
    const linear = new Linear(5, 2).forward(randn([3, 5]));
    delete (Object.prototype as Record<string, unknown>)[name];
    expect(found.map((tensor, i) => isIdentical(tensor, expected[i]))).toEqual([true, true]);
    expect(linear.shape).toEqual([3, 2]);
  });
});

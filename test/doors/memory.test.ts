/**
 * Tensors whose memory was taken away: whoever reads one says so, and nothing is computed with what is not there nor
 * changed by halves.
 */
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../lib/formats/safetensors.js';
import { serializeSafetensors } from '../../lib/formats/serializeSafetensors.js';
import {
  type AnyTensor,
  BatchNorm2d,
  Conv2d,
  compile,
  compileSync,
  difference,
  type FloatDType,
  isIdentical,
  RepVGGBlock,
  randn,
  referenceForward,
  repconv,
  Sequential,
  saveStateDict,
  saveStateDictSync,
  Tensor,
  tensor,
  toOnnx,
  zeros,
} from '../../lib/index.js';
import { bytesOf } from '../../lib/tensor/compare.js';
import type { DataOf } from '../../lib/tensor/dtype.js';
import { expectRefusal, refusalOf } from '../cases/refusal.js';

const lost = /expects \d+ elements in memory, but its buffer was transferred or resized$/;

/** Takes the memory of a tensor away, as posting it to a Worker does. */
function transferred<T extends AnyTensor>(given: T): T {
  structuredClone(given.data.buffer, { transfer: [given.data.buffer as ArrayBuffer] });
  return given;
}

/** A buffer that can be resized; the language has it, the library's target does not know its types. */
function resizable(bytes: number): ArrayBuffer & { resize(bytes: number): void } {
  return new (ArrayBuffer as never as new (bytes: number, options: object) => ReturnType<typeof resizable>)(bytes, {
    maxByteLength: 2 * bytes,
  });
}

/** Tensors of 4 numbers, each without the memory it once had. */
const ways: readonly (readonly [string, () => Tensor])[] = [
  ['transferred away', () => transferred(tensor([1, 2, 3, 4]))],
  [
    'in a buffer that shrank',
    () => {
      const buffer = resizable(16);
      const shrunk = new Tensor('float32', [4], new Float32Array(buffer));
      buffer.resize(12);
      return shrunk;
    },
  ],
  [
    'in the memory of a WebAssembly module that grew',
    () => {
      const { WebAssembly } = globalThis as unknown as {
        WebAssembly: { Memory: new (pages: object) => { buffer: ArrayBuffer; grow(pages: number): void } };
      };
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
      const inside = new Tensor('float32', [4], new Float32Array(memory.buffer, 1024, 4));
      memory.grow(1);
      return inside;
    },
  ],
];

describe.each(ways)('a tensor %s', (_, make) => {
  it('says that its numbers are gone, to every reader', () => {
    const gone = make();
    expect(gone.isIntact).toBe(false);
    for (const read of [
      () => gone.data,
      () => gone.to('float16'),
      () => gone.to('float32'),
      () => gone.clone(),
      () => gone.reshape([2, 2]),
      () => gone.toArray(),
      () => difference(gone, zeros([4])),
      () => difference(zeros([4]), gone),
      () => isIdentical(gone, zeros([4])),
      () => bytesOf(gone),
      () => structuredClone(gone),
    ])
      expectRefusal(read, 'ERR_INPUT', /^tensor: float32 \[4\] expects 4 elements in memory, but its buffer was/);
    expect(inspect(gone)).toBe('Tensor(float32, [4]) whose buffer was transferred or resized');
  });

  it('is saved and serialized by nobody', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'repconv-'));
    const dict: [string, AnyTensor][] = [
      ['there', zeros([1])],
      ['gone', make()],
    ];
    const path = join(folder, 'x.safetensors');
    expectRefusal(() => serializeSafetensors(dict), 'ERR_INPUT', /tensor "gone": float32 \[4\] expects 4 elements/);
    expectRefusal(() => saveStateDictSync(path, dict), 'ERR_INPUT', lost);
    await expect(saveStateDict(path, dict)).rejects.toMatchObject({ code: 'ERR_INPUT' });
    expect(readdirSync(folder)).toEqual([]);
  });
});

it('a tensor in shared memory that grows keeps its numbers and its length', () => {
  const buffer = new (
    SharedArrayBuffer as never as new (
      bytes: number,
      options: object,
    ) => ArrayBuffer & { grow(bytes: number): void }
  )(16, { maxByteLength: 1 << 16 });
  const growing = new Tensor('float32', [4], new Float32Array(buffer));
  growing.data.set([1, 2, 3, 4]);
  buffer.grow(1 << 16);
  expect(growing.isIntact).toBe(true);
  expect(growing.to('float16').toArray()).toEqual([1, 2, 3, 4]);
  expect(isIdentical(growing.clone(), tensor([1, 2, 3, 4]))).toBe(true);
});

it('a tensor without elements loses them too, and one that never had any has not', () => {
  const empty = zeros([0, 3]);
  expect(empty.isIntact).toBe(true);
  const [data] = [new Float32Array(4).subarray(4)];
  const gone = transferred(new Tensor('float32', [0, 3], data));
  expectRefusal(() => gone.clone(), 'ERR_INPUT', lost);
  expectRefusal(() => new Tensor('float32', [0], data), 'ERR_INPUT', /^tensor: data expects 0 elements in memory/);
});

it('a tensor compares and clones with its numbers, as a plain record would', () => {
  const t = tensor([1, 2]);
  expect(Object.keys(t)).toEqual(['dtype', 'shape', 'data']);
  expect(structuredClone(t)).toEqual({ dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) });
  expect(t).toEqual(tensor([1, 2]));
  expect(t).not.toEqual(tensor([1, 3]));
});

describe('a module', () => {
  const x = randn([1, 2, 5, 5]);

  it.each(['float32', 'float16', 'bfloat16', 'float64'] as const)(
    'with a %s weight whose memory is gone computes nothing, is not copied, converted, compiled, exported or fused',
    (dtype: FloatDType) => {
      const conv = new Conv2d(2, 2, 3).to(dtype);
      const model = new Sequential({ first: new RepVGGBlock(2, 2).to(dtype), conv }).eval();
      transferred(conv.weight as Tensor);
      for (const [what, read] of Object.entries({
        forward: () => model.forward(x),
        reference: () => referenceForward(model, x),
        copy: () => model.copy(),
        to: () => model.to('float32'),
        onnx: () => toOnnx(model, { inputs: { x: [1, 2, 5, 5] } }),
        compile: () => compileSync(model, { inputs: { x: [1, 2, 5, 5] } }),
        repconv: () => repconv(model),
      }))
        expect(refusalOf(read), what).toMatchObject({ code: 'ERR_INPUT', message: expect.stringMatching(lost) });
      for (const [, { dtype: kept }] of model.namedParameters()) expect(kept).toBe(dtype);
    },
  );

  it('that cannot be converted or recorded says whose memory is gone', async () => {
    const model = new Sequential({ conv: new Conv2d(2, 2, 3) }).eval();
    transferred(model.stateDict().get('conv.bias') as AnyTensor);
    expectRefusal(() => model.to('float16'), 'ERR_INPUT', /^Sequential\.to: conv\.bias expects 2 elements in memory/);
    await expect(compile(model, { inputs: { x: [1, 2, 5, 5] } })).rejects.toMatchObject({
      code: 'ERR_INPUT',
      message: expect.stringMatching(/^compile: conv\.bias expects 2 elements in memory/),
    });
  });

  it('is copied with a bare array whose buffer was transferred or shrank, which is no tensor', () => {
    const [buffer, moved] = [resizable(16), new Float32Array(4)];
    const model = Object.assign(new Conv2d(2, 2, 3), { shrunk: new Float32Array(buffer, 0, 4), moved });
    buffer.resize(12);
    structuredClone(moved, { transfer: [moved.buffer] });
    expect([model.copy().shrunk.length, model.copy().moved.length]).toEqual([0, 0]);
  });

  it('is converted whole or not at all', () => {
    const model = new Sequential(new Conv2d(2, 2, 3), new BatchNorm2d(2));
    transferred(model.stateDict().get('1.running_var') as AnyTensor);
    expectRefusal(() => model.to('float16'), 'ERR_INPUT', lost);
    expect([...model.namedTensors()].map(([, { dtype }]) => dtype)).not.toContain('float16');
  });

  it.each(['of the file', 'of the module'])('is loaded whole or not at all when a tensor %s is gone', (whose) => {
    const [model, other] = [new Conv2d(2, 2, 3), new Conv2d(2, 2, 3)];
    const before = model.weight.clone();
    transferred((whose === 'of the file' ? other : model).bias as Tensor);
    const message = new RegExp(`^Conv2d\\.loadStateDict: bias ${whose === 'of the module' ? `${whose} ` : ''}expects`);
    expectRefusal(() => model.loadStateDict(other.stateDict()), 'ERR_INPUT', message);
    expect(isIdentical(model.weight, before)).toBe(true);
  });
});

it('bytes whose memory is gone are no file, no image and no numbers', () => {
  const gone = <T extends DataOf<'uint8'> | Uint8ClampedArray>(bytes: T): T => {
    structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
    return bytes;
  };
  expectRefusal(() => parseSafetensors(gone(serializeSafetensors([]))), 'ERR_INPUT', /buffer was transferred/);
  expectRefusal(() => tensor(gone(new Uint8Array(4))), 'ERR_INPUT', /buffer was transferred/);
  const options = { inputs: { x: ['N', 2, 4, 4] }, preprocess: { x: { from: 'uint8-nhwc' } } } as const;
  const session = compileSync(new Conv2d(2, 2, 3).eval(), options);
  expectRefusal(() => session.runSync(gone(new Uint8ClampedArray(32))), 'ERR_SHAPE', /got 0$/);
  expectRefusal(() => session.runSync(gone(new Uint8Array(32))), 'ERR_SHAPE', /got 0$/);
  session[Symbol.dispose]();
});

/**
 * Decoded images as inputs: the numbers of torchvision's ToTensor and Normalize, whatever reads the image; what is
 * refused.
 */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Identity, ReLU } from '../../lib/nn/layers/activations.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import type { SessionInputs } from '../../lib/session/arguments.js';
import { compile, compileSync } from '../../lib/session/compile.js';
import type { CompileOptions, PreprocessOptions } from '../../lib/session/options.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { manualSeed, Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';
import { usableIsas } from '../engine/isas.js';

/** ImageNet's, as torchvision documents them. */
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const f32 = Math.fround;

const bytesOf = (shape: readonly number[], seed = 1): Tensor<'uint8'> => {
  const generator = new Random(seed);
  const bytes = new Tensor('uint8', shape);
  for (let i = 0; i < bytes.size; i++) bytes.data[i] = Math.floor(256 * generator.uniform());
  return bytes;
};

/** The plain computation: float32, rounded after each operation, channels first. */
function normalized(
  bytes: Tensor<'uint8'>,
  { mean, std }: { mean: readonly number[]; std: readonly number[] },
): Tensor {
  const [N, H, W, C] = bytes.shape;
  const image = new Tensor('float32', [N, C, H, W]);
  for (let i = 0; i < bytes.size; i++) {
    const [c, pixel] = [i % C, Math.floor(i / C)];
    const [n, position] = [Math.floor(pixel / (H * W)), pixel % (H * W)];
    image.data[(n * C + c) * H * W + position] = f32(f32(f32(bytes.data[i] / 255) - f32(mean[c])) / f32(std[c]));
  }
  return image;
}

const from = 'uint8-nhwc';
const withBytes = (
  model: Traceable,
  shape: readonly (number | string)[],
  options: Omit<PreprocessOptions, 'from'>,
  rest = {},
) =>
  compileSync(model, {
    inputs: { images: shape },
    preprocess: { images: { from, ...options } },
    ...rest,
  } as CompileOptions);

describe('bytes', () => {
  it.each(usableIsas())('become the numbers of ToTensor and Normalize, all 256 of them, with %s', (isa) => {
    const session = withBytes(new Identity(), [1, 3, 16, 16], imagenet, { isa });
    expect(isIdentical(session.runSync(everyByte()).output, normalized(everyByte(), imagenet))).toBe(true);
  });

  it('become, bit for bit, what PyTorch makes of them', () => {
    // The SHA-256 of y, PyTorch 2.13 (torchvision's ToTensor and Normalize are these lines, mean and std viewed as
    // [3,1,1]):
    //   x = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).expand(3, 16, 16)
    //   y = x.to(torch.float32).div(255).sub_(torch.tensor([0.485, 0.456, 0.406])).div_(torch.tensor([0.229, 0.224,
    //   0.225]))
    const session = withBytes(new Identity(), [1, 3, 16, 16], imagenet);
    const { output } = session.runSync(everyByte());
    const hash = createHash('sha256').update(
      new Uint8Array(output.data.buffer, output.data.byteOffset, output.data.byteLength),
    );
    expect(hash.digest('hex')).toBe('1d8b9af12b7b391827f7c801265239e21435c7e29b4d78c6189a35e437633897');
  });

  it('are taken as they are, from 0 to 1, without mean and standard deviation', () => {
    const session = withBytes(new Identity(), [1, 3, 16, 16], {});
    expect(
      isIdentical(session.runSync(everyByte()).output, normalized(everyByte(), { mean: [0, 0, 0], std: [1, 1, 1] })),
    ).toBe(true);
  });

  it('feed a network as its normalized images do, borders and all, in every position of a batch', async () => {
    manualSeed(3);
    for (const C of [1, 2, 3, 4, 16, 17]) {
      const options = {
        mean: Array.from({ length: C }, (_, c) => 0.1 + c / 50),
        std: Array.from({ length: C }, (_, c) => 0.2 + c / 40),
      };
      const model = new Sequential(
        new Conv2d(C, 8, 3, { stride: 2, padding: 1 }),
        new ReLU(),
        new Conv2d(8, 5, 3, { padding: 2 }),
      );
      const plain = compileSync(model, { inputs: { images: ['N', C, 'H', 'W'] }, threads: 2 });
      const session = withBytes(model, ['N', C, 'H', 'W'], options, { threads: 2 });
      for (const [N, H, W] of [
        [1, 7, 9],
        [3, 32, 31],
        [2, 1, 1],
      ]) {
        const bytes = bytesOf([N, H, W, C], N * 100 + C);
        const expected = plain.runSync(normalized(bytes, options)).output;
        expect(isIdentical(session.runSync(bytes).output, expected), `${N} images of ${H}×${W}×${C}`).toBe(true);
        expect(isIdentical((await session.run({ images: bytes })).output, expected)).toBe(true);
      }
    }
  });

  it('may be read by several layers, be an output, and stand beside tensors', () => {
    const model: Traceable = {
      compute: <X>(f: Ops<X>, a: X, b: X) => ({
        same: a,
        sum: f.add(f.relu(a), b),
        pooled: f.maxPool2d(a, { kernelSize: 2 }),
      }),
    };
    const session = compileSync(model, {
      inputs: { a: ['N', 3, 6, 4], b: ['N', 3, 6, 4] },
      preprocess: { a: { from, ...imagenet } },
    });
    expect(session.inputs).toEqual({ a: ['N', 6, 4, 3], b: ['N', 3, 6, 4] });
    const [bytes, b] = [bytesOf([2, 6, 4, 3]), randn([2, 3, 6, 4])];
    const image = normalized(bytes, imagenet);
    const { same, sum, pooled } = session.runSync({ a: bytes, b });
    expect(isIdentical(same, image)).toBe(true);
    expect([...sum.data]).toEqual([...image.data].map((value, i) => f32(Math.max(0, value) + b.data[i])));
    expect(pooled.data[0]).toBe(Math.max(image.data[0], image.data[1], image.data[4], image.data[5]));
  });

  it('may come bare, as a Uint8Array, Buffer or Uint8ClampedArray (of a canvas) anywhere in memory, where the shape is known', async () => {
    const session = withBytes(new ReLU(), ['N', 3, 4, 5], imagenet);
    const bytes = bytesOf([2, 4, 5, 3]);
    const expected = session.runSync(bytes).output;
    const shared = new Uint8Array(new SharedArrayBuffer(200), 33, 120);
    shared.set(bytes.data);
    const clamped = new Uint8ClampedArray(shared.buffer, 33, 120);
    for (const bare of [bytes.data, Buffer.from(bytes.data), shared, clamped, Uint8ClampedArray.from(bytes.data)]) {
      expect(isIdentical(session.runSync(bare).output, expected)).toBe(true);
      expect(isIdentical((await session.run({ images: bare })).output, expected)).toBe(true);
    }
  });

  it('are read as they are at the call, also where a plan is still to be made', async () => {
    const session = withBytes(new ReLU(), ['N', 3, 'H', 'W'], imagenet);
    for (const _ of ['a new shape', 'one that is known']) {
      const bytes = bytesOf([1, 9, 8, 3]);
      const run = session.run(bytes);
      bytes.data.fill(0);
      expect(isIdentical((await run).output, relu(normalized(bytesOf([1, 9, 8, 3]), imagenet)))).toBe(true);
    }
  });

  it('are a step of their own in the report, and need no float copy of the image', async () => {
    const model = new Conv2d(3, 8, 3, { padding: 1 });
    const sessions = [
      compileSync(model, { inputs: { images: [1, 3, 64, 64] } }),
      withBytes(model, [1, 3, 64, 64], imagenet),
    ];
    expect(sessions.map((session) => session.describe()[0].operation)).toEqual(['toNhwc', 'normalizeBytes']);
    sessions[0].runSync(randn([1, 3, 64, 64]));
    sessions[1].runSync(bytesOf([1, 64, 64, 3]));
    expect(sessions[1].memory().arenaBytes).toBe(sessions[0].memory().arenaBytes);
  });
});

describe('preprocess', () => {
  const layer = new Conv2d(3, 4, 3);
  it.each<[string, unknown, string, string]>([
    [
      'an input there is not',
      { x: { from } },
      'ERR_INPUT',
      'compile: preprocess expects names of inputs (images), got x',
    ],
    ['a list', [], 'ERR_INPUT', 'compile: preprocess expects a plain object, got []'],
    [
      'text for numbers',
      { images: { from, mean: ['0', '0', '0'] } },
      'ERR_INPUT',
      "compile: preprocess.images.mean expects 3 finite numbers, one per channel, got [ '0', '0', '0' ]",
    ],
    ['no object', 3, 'ERR_INPUT', 'compile: preprocess expects a plain object, got 3'],
    [
      'null for an input',
      { images: null },
      'ERR_INPUT',
      'compile: preprocess.images expects a plain object of from, mean, std, got null',
    ],
    [
      'a misspelt mean',
      { images: { from, means: [0, 0, 0] } },
      'ERR_INPUT',
      'compile: preprocess.images has no means; did you mean mean?',
    ],
    [
      'an unknown origin',
      { images: { from: 'uint8-nchw' } },
      'ERR_INPUT',
      "compile: preprocess.images.from expects uint8-nhwc, got 'uint8-nchw'",
    ],
    [
      'no origin',
      { images: { mean: [0, 0, 0] } },
      'ERR_INPUT',
      'compile: preprocess.images.from expects uint8-nhwc, got undefined',
    ],
    [
      'two means',
      { images: { from, mean: [0, 1] } },
      'ERR_INPUT',
      'compile: preprocess.images.mean expects 3 finite numbers, one per channel, got [ 0, 1 ]',
    ],
    [
      'a bare mean',
      { images: { from, mean: 0.5 } },
      'ERR_INPUT',
      'compile: preprocess.images.mean expects 3 finite numbers, one per channel, got 0.5',
    ],
    [
      'a mean that is NaN',
      { images: { from, mean: [0, NaN, 0] } },
      'ERR_INPUT',
      'compile: preprocess.images.mean expects 3 finite numbers, one per channel, got [ 0, NaN, 0 ]',
    ],
    [
      'four deviations',
      { images: { from, std: [1, 1, 1, 1] } },
      'ERR_INPUT',
      'compile: preprocess.images.std expects 3 finite numbers, one per channel, got [ 1, 1, 1, 1 ]',
    ],
    [
      'a deviation of 0',
      { images: { from, std: [1, 0, 1] } },
      'ERR_INPUT',
      'compile: preprocess.images.std expects numbers other than 0, got [ 1, 0, 1 ]',
    ],
    [
      'a deviation that float32 rounds to 0',
      { images: { from, std: [1, 1, 1e-50] } },
      'ERR_INPUT',
      'compile: preprocess.images.std expects numbers other than 0, got [ 1, 1, 1e-50 ]',
    ],
    [
      'a deviation beyond float32',
      { images: { from, std: [1, 1, 1e39] } },
      'ERR_INPUT',
      'compile: preprocess.images.std expects 3 finite numbers, one per channel, got [ 1, 1, 1e+39 ]',
    ],
  ])('refuses %s', async (_, preprocess, code, message) => {
    const options = { inputs: { images: ['N', 3, 9, 7] }, preprocess } as unknown as CompileOptions;
    expectRefusal(() => compileSync(layer, options), code as never, message);
    await expect(compile(layer, options)).rejects.toMatchObject({ code, message });
  });

  it('refuses an input that is no image', () => {
    const message = /^compile: preprocess.images expects an input \[N,C,H,W\] whose channels are known, got /;
    expectRefusal(() => withBytes(new ReLU(), ['N', 3, 4], {}), 'ERR_SHAPE', message);
    expectRefusal(() => withBytes(new ReLU(), ['N', 'C', 4, 4], {}), 'ERR_SHAPE', message);
  });

  const session = withBytes(layer, ['N', 3, 9, 7], imagenet, { maxBatch: 2 });
  const open = withBytes(layer, ['N', 3, 'H', 'W'], imagenet);
  it.each<[string, unknown, string, string]>([
    ['floats', randn([1, 3, 9, 7]), 'ERR_INPUT', 'input images expects uint8, got float32'],
    [
      'floats with channels last',
      { images: randn([1, 9, 7, 3]) },
      'ERR_INPUT',
      'input images expects uint8, got float32',
    ],
    ['bytes with channels first', bytesOf([1, 3, 9, 7]), 'ERR_SHAPE', 'input images expects [N,9,7,3], got [1,3,9,7]'],
    ['a list', { images: [1, 2, 3] }, 'ERR_INPUT', 'input images expects a Tensor or Uint8Array, got object'],
    [
      'a byte too many',
      new Uint8Array(9 * 7 * 3 + 1),
      'ERR_SHAPE',
      'input images expects the bytes of [N,9,7,3], got 190',
    ],
    ['no bytes', new Uint8Array(0), 'ERR_SHAPE', 'input images expects the bytes of [N,9,7,3], got 0'],
    ['too many images', new Uint8Array(3 * 9 * 7 * 3), 'ERR_SHAPE', 'expects a batch of at most 2 (maxBatch), got 3'],
    [
      'signed bytes',
      new Int8Array(9 * 7 * 3),
      'ERR_INPUT',
      'expects the inputs images, got Int8Array(189) [ 0, 0, 0, 0, 0, ... 184 more items ]',
    ],
  ])('then refuses %s', (_, given, code, message) => {
    expectRefusal(() => session.runSync(given as SessionInputs), code as never, `runSync: ${message}`);
  });

  it('then refuses bare bytes where height and width are open, and bytes for an input that is none', () => {
    expectRefusal(
      () => open.runSync(new Uint8Array(9 * 7 * 3)),
      'ERR_SHAPE',
      'runSync: input images expects a uint8 Tensor, whose shape tells the extents that [N,H,W,3] leaves open; got a Uint8Array',
    );
    const plain = compileSync(layer, { inputs: { images: ['N', 3, 9, 7] } });
    expectRefusal(
      () => plain.runSync(bytesOf([1, 9, 7, 3])),
      'ERR_INPUT',
      'runSync: input images expects float32, got uint8',
    );
    expectRefusal(
      () => plain.runSync(new Uint8Array(189)),
      'ERR_INPUT',
      'runSync: input images expects a Tensor, got object',
    );
  });
});

/** All 256 values in each of 3 channels. */
function everyByte(): Tensor<'uint8'> {
  const bytes = new Tensor('uint8', [1, 16, 16, 3]);
  for (let i = 0; i < 768; i++) bytes.data[i] = Math.floor(i / 3);
  return bytes;
}

function relu(image: Tensor): Tensor {
  return new Tensor(
    'float32',
    image.shape,
    image.data.map((value) => Math.max(0, value)),
  );
}

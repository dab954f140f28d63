/** What compile takes, what it refuses, and what a session makes of inputs, outputs and shapes. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isas } from '../../lib/debug.js';
import { nativeAddon } from '../../lib/engine/addon.js';
import { trace } from '../../lib/graph/record.js';
import { ConvBlock } from '../../lib/nn/blocks/convBlock.js';
import { SqueezeExcite } from '../../lib/nn/blocks/squeezeExcite.js';
import { ReLU } from '../../lib/nn/layers/activations.js';
import { BatchNorm2d } from '../../lib/nn/layers/batchNorm2d.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { type Module, referenceForward } from '../../lib/nn/module.js';
import { referenceOps } from '../../lib/ops/reference.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import { compile, compileSync } from '../../lib/session/compile.js';
import type { CompileOptions } from '../../lib/session/options.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import { manualSeed, Random, randn } from '../../lib/tensor/random.js';
import { ones, type Tensor, tensor } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';

/** A batch norm whose statistics are not those of a new one. */
function settled<M extends Module>(module: M): M {
  const generator = new Random(5);
  for (const [key, { data }] of module.stateDict()) {
    const numbers = data as Float32Array;
    if (key.endsWith('running_mean')) numbers.set(numbers.map(() => generator.normal()));
    if (key.endsWith('running_var')) numbers.set(numbers.map(() => 0.5 + generator.uniform()));
  }
  return module.eval();
}

const image = { x: ['N', 3, 9, 7] } as const;
const close = (found: Tensor, expected: Tensor<'float64'>, tolerance = 2e-6): void =>
  expect(difference(found, expected).relative).toBeLessThanOrEqual(tolerance);

describe('compile', () => {
  it('answers with a promise, compileSync at once, both with the same session', async () => {
    manualSeed(1);
    const block = settled(new ConvBlock(3, 5));
    const x = randn([2, 3, 9, 7]);
    const [one, two] = [await compile(block, { inputs: image }), compileSync(block, { inputs: image })];
    close(one.runSync(x).output, referenceForward(block, x));
    expect(isIdentical(one.runSync(x).output, two.runSync(x).output)).toBe(true);
    expect(one.inputs).toEqual(image);
  });

  it('has run once over one image when its promise settles, so that the first run finds its memory', async () => {
    const block = settled(new ConvBlock(3, 5));
    // A busy machine may need more than the 20 ms that this run is given.
    const patience = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(new AbortController().signal);
    const session = await compile(block, { inputs: image });
    patience.mockRestore();
    const warm = session.memory();
    expect(warm.arenaBytes).toBeGreaterThan(0);
    expect(session.queueDepth).toBe(0);
    await session.run(randn([1, 3, 9, 7]));
    expect(session.memory()).toEqual(warm);
    // Where more than the batch is open nobody knows what comes; compileSync waits for no run.
    const cold = [await compile(block, { inputs: { x: ['N', 3, 'H', 'W'] } }), compileSync(block, { inputs: image })];
    expect(cold.map((other) => other.memory().arenaBytes)).toEqual([0, 0]);
  });

  it('tells that run to stop after 20 ms, wherever it is, and the session is whole', async () => {
    const block = settled(new ConvBlock(3, 5));
    const x = randn([1, 3, 9, 7]);
    const { output: expected } = compileSync(block, { inputs: image }).runSync(x);
    const begun = vi.spyOn(AbortSignal, 'timeout');
    try {
      for (const when of ['before it begins', 'while it is under way', 'never']) {
        const controller = new AbortController();
        if (when === 'before it begins') controller.abort();
        begun.mockImplementation((milliseconds) => {
          expect(milliseconds).toBe(20);
          expect(controller.signal.aborted).toBe(when === 'before it begins');
          // As soon as the run has begun.
          if (when === 'while it is under way') queueMicrotask(() => controller.abort());
          return controller.signal;
        });
        const session = await compile(block, { inputs: image });
        expect(isIdentical((await session.run(x)).output, expected), when).toBe(true);
      }
      expect(begun).toHaveBeenCalledTimes(3);
    } finally {
      begun.mockRestore();
    }
  });

  it('has no such run where it would be large, and no fault of it is a fault of compile', async () => {
    const large = [
      // Images, what becomes of them, a single step.
      await compile(new ReLU(), { inputs: { x: ['N', 3, 600, 600] } }),
      await compile(new Conv2d(1, 80, 1), { inputs: { x: [1, 1, 120, 120] } }),
      await compile(new Conv2d(256, 256, 5, { padding: 2 }), { inputs: { x: ['N', 256, 20, 20] }, maxBatch: 2 }),
    ];
    expect(large.map((session) => session.memory().arenaBytes)).toEqual([0, 0, 0]);
    // Right for 4 rows and refused for one.
    const pairs: Traceable = { compute: <X>(f: Ops<X>, x: X) => f.reshape(f.relu(x), { shape: [4, -1] }) };
    const session = await compile(pairs, { inputs: { x: ['N', 2] }, maxBatch: 8 });
    expect((await session.run(ones([4, 2]))).output.shape).toEqual([4, 2]);
    await expect(session.run(ones([1, 2]))).rejects.toMatchObject({ code: 'ERR_SHAPE' });
  });

  it('rejects, and does not throw, what it refuses', async () => {
    await expect(compile(new ConvBlock(3, 5), { inputs: image })).rejects.toMatchObject({ code: 'ERR_TRAIN_MODE' });
  });

  it('takes a recorded graph, with the inputs and outputs that it has', () => {
    const block = settled(new ConvBlock(3, 5));
    const graph = trace(block, image, ['y']);
    const x = randn([1, 3, 9, 7]);
    close(compileSync(graph, { inputs: image }).runSync(x).y, referenceForward(block, x));
    expectRefusal(
      () => compileSync(graph, { inputs: { x: ['N', 3, 8, 8] } }),
      'ERR_INPUT',
      "compile: inputs expects those of the graph, x [N,3,9,7], got { x: [ 'N', 3, 8, 8 ] }",
    );
    expectRefusal(
      () => compileSync(graph, { inputs: image, outputs: ['z'] }),
      'ERR_INPUT',
      "compile: outputs expects those of the graph, y, got [ 'z' ]",
    );
  });

  it('runs what the model was: its weights may change or go afterwards', () => {
    manualSeed(2);
    const block = settled(new Sequential(new ConvBlock(3, 4), new SqueezeExcite(4, { reducedChannels: 2 })));
    const x = randn([1, 3, 9, 7]);
    const sessions = [compileSync(block, { inputs: image }), compileSync(block, { inputs: { x: ['N', 3, 'H', 'W'] } })];
    const expected = sessions.map((session) => session.runSync(x).output);
    for (const [, weights] of block.namedParameters()) (weights.data as Float32Array).fill(0);
    for (const [i, session] of sessions.entries()) {
      expect(isIdentical(session.runSync(x).output, expected[i])).toBe(true);
      // Also for a shape that is planned only now.
      const wide = randn([3, 3, 9, 7]);
      expect(session.runSync(wide).output.data.some((value) => value !== 0)).toBe(true);
    }
  });

  it.each(['float32', 'float64', 'bfloat16'] as const)(
    'runs what the model was at the call, whatever becomes of its %s weights while they are packed',
    async (dtype) => {
      manualSeed(2);
      const block = settled(
        new Sequential(new ConvBlock(3, 4), new Conv2d(4, 4, 3), new SqueezeExcite(4, { reducedChannels: 2 })),
      ).to(dtype);
      const x = randn([1, 3, 9, 7]);
      for (const shape of [image, { x: ['N', 3, 'H', 'W'] }]) {
        const expected = compileSync(block, { inputs: shape }).runSync(x).output;
        const copy = block.copy();
        const compiling = compile(copy, { inputs: shape });
        for (const [, { data }] of copy.namedParameters()) {
          (data as Float32Array).fill(0);
          structuredClone(data, { transfer: [data.buffer as ArrayBuffer] });
        }
        const session = await compiling;
        expect(isIdentical(session.runSync(x).output, expected)).toBe(true);
      }
    },
  );

  it('folds batch norms unless told not to, and merges nothing', () => {
    const operations = (options: Partial<CompileOptions>): string[] =>
      compileSync(settled(new ConvBlock(3, 3)), { inputs: image, ...options })
        .describe()
        .map(({ operation }) => operation)
        .filter((operation) => !operation.startsWith('to'));
    expect(operations({})).toEqual(['conv2d', 'conv2d', 'batchNorm']);
    expect(operations({ foldBatchNorm: false }).sort()).toEqual([
      'batchNorm',
      'batchNorm',
      'batchNorm',
      'conv2d',
      'conv2d',
    ]);
  });

  it('computes weights that follow from parameters once, and does not compute what does nothing', () => {
    const [w, s, c] = [randn([8, 3, 3, 3]), randn([8, 1, 1, 1]), randn([1, 8, 1, 1])];
    const model: Traceable = {
      namedTensors: () => [
        ['conv.w', w],
        ['conv.s', s],
        ['gate', c],
      ],
      compute: <X>(f: Ops<X>, x: X) => {
        const y = f.conv2d(f.pad(x, { padding: 0 }), f.mul(f.lift(w), f.lift(s)), null, { padding: 1 });
        return f.reshape(f.mul(f.maxPool2d(y, { kernelSize: 1 }), f.sigmoid(f.lift(c))), { shape: [0, 0, 0, 0] });
      },
    };
    const session = compileSync(model, { inputs: image });
    const steps = session.describe().filter(({ operation }) => operation !== 'toNhwc' && operation !== 'toPlain');
    expect(steps.map(({ operation, label }) => [operation, label])).toEqual([
      ['conv2d', 'conv'],
      ['mul', ''],
    ]);
    const x = randn([2, 3, 9, 7]);
    close(session.runSync(x).output, model.compute(referenceOps, x.to('float64')) as Tensor<'float64'>);
  });

  it.each<[string, <X>(f: Ops<X>, x: X, style: X, w: X) => X, readonly (number | string)[], string]>([
    ['conv2d', (f, x, style, w) => f.conv2d(x, f.mul(w, style), null), [4, 1, 1, 1], 'conv2d of conv: weight'],
    ['conv2d, its bias', (f, x, style, w) => f.conv2d(x, w, f.relu(style)), [4], 'conv2d of conv: bias'],
    [
      'convTranspose2d',
      (f, x, style, w) => f.convTranspose2d(x, f.add(style, f.mul(w, w)), null),
      [4, 3, 1, 1],
      'convTranspose2d of conv: weight',
    ],
    [
      'linear',
      (f, x, style, w) =>
        f.linear(f.flatten(f.globalAveragePool2d(x)), f.add(f.reshape(w, { shape: [4, 3] }), style), null),
      [4, 3],
      'linear of conv: weight',
    ],
  ])('refuses weights that inputs change, and names layer and input: %s', (_, sentence, style, layer) => {
    const w = randn([4, 3, 1, 1]);
    const model: Traceable = {
      namedTensors: () => [['conv.w', w]],
      compute: (f, x, s) => sentence(f, x, s, f.lift(w)),
    };
    expectRefusal(
      () => compileSync(model, { inputs: { x: layer.startsWith('convT') ? ['N', 4, 9, 7] : ['N', 3, 9, 7], style } }),
      'ERR_UNSUPPORTED',
      `compile: ${layer} is computed from the input style, and a session takes parameters that no input changes: it packs them once`,
    );
  });

  it.each<[string, object, string, string | RegExp]>([
    [
      'a precision nobody has',
      { precision: 'int8' },
      'ERR_INPUT',
      /^compile: precision expects one of float32, bfloat16x3, bfloat16, fastest, got 'int8'/,
    ],
    [
      'a precision this instruction set has not',
      { precision: 'bfloat16', isa: 'scalar' },
      'ERR_UNSUPPORTED',
      /computes in float32, with scalar/,
    ],
    ['maxBatch 0', { maxBatch: 0 }, 'ERR_INPUT', 'compile: maxBatch expects a whole number from 1 to 65536, got 0'],
    ['maxBatch 1.5', { maxBatch: 1.5 }, 'ERR_INPUT', /maxBatch expects a whole number/],
    ['threads 0', { threads: 0 }, 'ERR_INPUT', 'compile: threads expects a whole number from 1 to 64, got 0'],
    ['threads NaN', { threads: NaN }, 'ERR_INPUT', /threads expects a whole number/],
    ['65 threads', { threads: 65 }, 'ERR_INPUT', /threads expects a whole number from 1 to 64, got 65/],
    [
      'an instruction set nobody has',
      { isa: 'avx1024' },
      'ERR_INPUT',
      /isa expects scalar, avx2 or avx512, got avx1024/,
    ],
    ['an algorithm there is not', { conv: 'magic' }, 'ERR_INPUT', /conv expects one of .*, got magic/],
    ['no inputs', { inputs: {} }, 'ERR_INPUT', /expects at least one input/],
    ['an input of the wrong shape', { inputs: { x: [1, 4, 9, 9] } }, 'ERR_SHAPE', /^conv2d: /],
    ['two names for one output', { outputs: ['a', 'b'] }, 'ERR_INPUT', /expects 1 different output name/],
  ])('refuses %s', (_, options, code, message) => {
    const layer = new Conv2d(3, 3, 1);
    expectRefusal(() => compileSync(layer, { inputs: image, ...options } as CompileOptions), code as never, message);
  });

  it('refuses a batch norm that would have to use the statistics of the batch', () => {
    expectRefusal(
      () => compileSync(new BatchNorm2d(3, { trackRunningStats: false }).eval(), { inputs: image }),
      'ERR_UNSUPPORTED',
      /running statistics/,
    );
  });
});

describe('the environment', () => {
  const saved = { ...process.env };
  afterEach(() => {
    for (const name of ['REPCONV_ISA', 'REPCONV_CONV', 'REPCONV_THREADS']) {
      if (saved[name] === undefined) delete process.env[name];
      else process.env[name] = saved[name];
    }
  });

  it('says what options do not', () => {
    Object.assign(process.env, { REPCONV_ISA: 'scalar', REPCONV_CONV: 'im2col', REPCONV_THREADS: '3' });
    const layer = new Conv2d(3, 40, 3);
    const session = compileSync(layer, { inputs: image });
    expect(session.settings).toEqual({
      isa: 'scalar',
      threads: 3,
      precision: 'float32',
      threadsBecause: 'REPCONV_THREADS',
    });
    expect(session.describe().find(({ operation }) => operation === 'conv2d')).toMatchObject({
      algorithm: 'im2col',
      why: 'im2col, as was asked for',
    });
    const told = compileSync(layer, { inputs: image, threads: 1, conv: 'direct' });
    expect(told.settings).toEqual({
      isa: 'scalar',
      threads: 1,
      precision: 'float32',
      threadsBecause: 'the option threads',
    });
    expect(told.describe().find(({ operation }) => operation === 'conv2d')).toMatchObject({
      algorithm: 'direct',
      why: 'direct, as was asked for',
    });
  });

  it.each(['-1', '1.5', 'many', '65', '1e9'])('refuses %s threads', (threads) => {
    process.env.REPCONV_THREADS = threads;
    expectRefusal(
      () => compileSync(new ReLU(), { inputs: image }),
      'ERR_INPUT',
      /^REPCONV_THREADS: expected a whole number from 0 to /,
    );
  });
});

describe('the instruction set that is forced', () => {
  const has = isas.indexOf(nativeAddon().info().isa);
  it.each(isas)('is the one that runs: %s, or less where the processor has less', (isa) => {
    const session = compileSync(new Conv2d(3, 3, 3), { inputs: image, isa });
    expect(session.settings.isa).toBe(isas[Math.min(has, isas.indexOf(isa))]);
  });
});

describe('inputs and outputs', () => {
  /** Two images and a scale in, a record out. */
  const several: Traceable = {
    compute: <X>(f: Ops<X>, a: X, b: X, scale: X) => ({
      sum: f.relu(f.add(a, b)),
      scaled: f.mul(f.conv2d(a, f.lift(ones([4, 3, 1, 1])), null), scale),
      untouched: b,
      constant: f.lift(tensor([1, 2, 3])),
      again: b,
    }),
  };
  const inputs = { a: ['N', 3, 'H', 'W'], b: ['N', 3, 'H', 'W'], scale: ['N', 4, 1, 1] } as const;

  it('may be several, by name and in any order', async () => {
    const session = compileSync(several, { inputs });
    const [a, b, scale] = [randn([2, 3, 5, 6]), randn([2, 3, 5, 6]), randn([2, 4, 1, 1])];
    for (const outputs of [session.runSync({ scale, b, a }), await session.run({ a, b, scale })]) {
      expect(Object.keys(outputs)).toEqual(['sum', 'scaled', 'untouched', 'constant', 'again']);
      expect([...outputs.sum.data]).toEqual([...a.data].map((value, i) => Math.max(0, Math.fround(value + b.data[i]))));
      expect(isIdentical(outputs.untouched, b)).toBe(true);
      expect(isIdentical(outputs.again, b)).toBe(true);
      expect(outputs.constant.toArray()).toEqual([1, 2, 3]);
      expect(outputs.scaled.shape).toEqual([2, 4, 5, 6]);
    }
  });

  it('are fresh memory every time, also where an output is an input', () => {
    const session = compileSync(several, { inputs });
    const given = { a: randn([1, 3, 4, 4]), b: randn([1, 3, 4, 4]), scale: randn([1, 4, 1, 1]) };
    const [one, two] = [session.runSync(given), session.runSync(given)];
    const buffers = [given.b, one.untouched, one.again, two.untouched, one.constant, two.constant].map(
      ({ data }) => data.buffer,
    );
    expect(new Set(buffers).size).toBe(buffers.length);
  });

  it('of one letter must have one extent', () => {
    const session = compileSync(several, { inputs });
    expectRefusal(
      () => session.runSync({ a: randn([2, 3, 5, 6]), b: randn([2, 3, 5, 7]), scale: randn([1, 4, 1, 1]) }),
      'ERR_SHAPE',
      'runSync: input b expects [N,3,H,W], got [2,3,5,7]',
    );
  });

  it('may be bare where there is one', () => {
    const session = compileSync(new ReLU(), { inputs: image });
    const x = randn([1, 3, 9, 7]);
    expect(isIdentical(session.runSync(x).output, session.runSync({ x }).output)).toBe(true);
  });
});

describe('open extents', () => {
  it('take what comes, more shapes than plans are kept for, and the first again', () => {
    manualSeed(3);
    const block = settled(new ConvBlock(2, 3, { stride: 2 }));
    const session = compileSync(block, { inputs: { x: ['N', 2, 'H', 'W'] }, maxBatch: 2 });
    const results = new Map<string, Tensor>();
    for (const round of [0, 1]) {
      for (let i = 0; i < 20; i++) {
        const x = randn([1 + (i % 2), 2, 3 + (i % 5), 4 + i], { generator: new Random(i) });
        const { output } = session.runSync(x);
        if (round === 0) close(output, referenceForward(block, x));
        else expect(isIdentical(output, results.get(String(x.shape)) as Tensor)).toBe(true);
        results.set(String(x.shape), output);
      }
    }
  });

  it('of the batch alone: more batch sizes than plans are kept for, after the weights were packed and left', () => {
    manualSeed(4);
    const block = settled(new Sequential(new ConvBlock(3, 20), new SqueezeExcite(20, { reducedChannels: 4 })));
    const session = compileSync(block, { inputs: image, maxBatch: 20 });
    const x = randn([20, 3, 9, 7]);
    const { output } = session.runSync(x);
    for (const round of [0, 1]) {
      for (let batch = 1 + round; batch <= 20; batch++) {
        const few = session.runSync(randn([batch, 3, 9, 7]).reshape([batch, 3, 9, 7])).output;
        expect(few.shape).toEqual([batch, 20, 9, 7]);
      }
      expect(isIdentical(session.runSync(x).output, output)).toBe(true);
    }
  });

  it('that leave nothing to compute are refused when they come', () => {
    const session = compileSync(new Conv2d(3, 3, 3), { inputs: { x: ['N', 3, 'H', 'W'] } });
    expectRefusal(() => session.runSync(randn([1, 3, 2, 9])), 'ERR_SHAPE', /a window of 3 does not fit into 2/);
    expect(session.runSync(randn([1, 3, 3, 9])).output.shape).toEqual([1, 3, 1, 7]);
  });

  it('may have any name', () => {
    const session = compileSync(new ReLU(), { inputs: { x: ['batch_size', 'constructor', '__proto__'] } });
    expect(session.runSync(randn([2, 3, 4])).output.shape).toEqual([2, 3, 4]);
  });
});

describe('a border', () => {
  it.each([
    [
      [3, 1],
      [1, 0],
    ],
    [
      [2, 1],
      [1, 0],
    ],
    [
      [1, 3],
      [0, 1],
    ],
    [
      [3, 3],
      [1, 1],
    ],
  ] as const)(
    'is zero for a %s kernel behind a pointwise convolution, in memory that held something else',
    (kernel, padding) => {
      for (const channels of [1, 3, 16, 17]) {
        const weights = [ones([channels, channels, 1, 1]), ones([channels, channels, ...kernel])];
        const pointwiseFirst: Traceable = {
          compute: <X>(f: Ops<X>, x: X) => {
            const first = f.conv2d(f.silu(f.conv2d(x, f.lift(weights[0]), null)), f.lift(weights[1]), null, {
              padding,
            });
            return f.conv2d(f.conv2d(first, f.lift(weights[0]), null), f.lift(weights[1]), null, { padding });
          },
        };
        const session = compileSync(pointwiseFirst, { inputs: { x: [1, channels, 4, 4] }, threads: 2 });
        for (const value of [1e6, -3, 1]) {
          const x = ones([1, channels, 4, 4]);
          x.data.fill(value);
          close(
            session.runSync(x).output,
            pointwiseFirst.compute(referenceOps, x.to('float64')) as Tensor<'float64'>,
            2e-5,
          );
        }
      }
    },
  );
});

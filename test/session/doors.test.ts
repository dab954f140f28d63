/**
 * What compile and run refuse: one coded error each, which names what was expected and what came, and is short whatever
 * came.
 */
import { describe, expect, it } from 'vitest';
import { trace } from '../../lib/graph/record.js';
import { ReLU } from '../../lib/nn/layers/activations.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import { compile, compileSync } from '../../lib/session/compile.js';
import { randn } from '../../lib/tensor/random.js';
import { tensor } from '../../lib/tensor/tensor.js';
import { expectRefusal, refusalOf } from '../cases/refusal.js';

const inputs = { x: ['N', 3, 8, 8] };
const layer = new Conv2d(3, 4, 3);
const known = 'inputs, outputs, precision, threads, maxBatch, preprocess, maxQueue, foldBatchNorm, isa, conv';

describe('compile refuses', () => {
  const refuses = async (model: unknown, options: unknown, code: string, message: string | RegExp): Promise<void> => {
    expectRefusal(() => compileSync(model as never, options as never), code as never, message);
    await expect(compile(model as never, options as never)).rejects.toMatchObject({ name: 'RepconvError', code });
  };

  it.each<[string, unknown, string]>([
    [
      'no options',
      undefined,
      "compile: inputs expects at least one input, such as { images: ['N', 3, 224, 224] }, got undefined",
    ],
    ['null for options', null, `compile: options expects a plain object of ${known}, got null`],
    ['a list for options', [1, 3, 8, 8], `compile: options expects a plain object of ${known}, got [ 1, 3, 8, 8 ]`],
    ['an option it does not know', { inputs, maxbatch: 4 }, `compile: options has no maxbatch; did you mean maxBatch?`],
    [
      'no inputs',
      {},
      "compile: inputs expects at least one input, such as { images: ['N', 3, 224, 224] }, got undefined",
    ],
    [
      'null for inputs',
      { inputs: null },
      "compile: inputs expects at least one input, such as { images: ['N', 3, 224, 224] }, got null",
    ],
    [
      'a bare shape',
      { inputs: [1, 3, 8, 8] },
      "compile: inputs expects at least one input, such as { images: ['N', 3, 224, 224] }, got [ 1, 3, 8, 8 ]",
    ],
    [
      'text for a shape',
      { inputs: { x: 'N3' } },
      "compile: input x expects a list of whole numbers and names such as 'N', got 'N3'",
    ],
    [
      'an input that compute never takes',
      { inputs: { ...inputs, y: [1], z: [2] } },
      'compile: inputs expects only what compute takes, got y, z',
    ],
    ['text for outputs', { inputs, outputs: 'y' }, "compile: expects 1 different output name, got 'y'"],
    ['no text for an output', { inputs, outputs: [5] }, 'compile: expects 1 different output name, got [ 5 ]'],
    ['null for threads', { inputs, threads: null }, 'compile: threads expects a whole number from 1 to 64, got null'],
    ['text for threads', { inputs, threads: '2' }, "compile: threads expects a whole number from 1 to 64, got '2'"],
    [
      'null for maxBatch',
      { inputs, maxBatch: null },
      'compile: maxBatch expects a whole number from 1 to 65536, got null',
    ],
    [
      'text for foldBatchNorm',
      { inputs, foldBatchNorm: 'no' },
      "compile: foldBatchNorm expects true or false, got 'no'",
    ],
    ['0 for foldBatchNorm', { inputs, foldBatchNorm: 0 }, 'compile: foldBatchNorm expects true or false, got 0'],
    ['a number for isa', { inputs, isa: 5 }, 'compile: isa expects text, got 5'],
    ['null for conv', { inputs, conv: null }, 'compile: conv expects text, got null'],
    [
      'a symbol for precision',
      { inputs, precision: Symbol('p') },
      'compile: precision expects one of float32, bfloat16x3, bfloat16, fastest, got Symbol(p)',
    ],
    [
      'an object without a prototype',
      { inputs, precision: Object.create(null) },
      'compile: precision expects one of float32, bfloat16x3, bfloat16, fastest, got [Object: null prototype] {}',
    ],
  ])('%s', (_, options, message) => refuses(layer, options, 'ERR_INPUT', message));

  it.each([undefined, null, {}, 5, 'repvgg-a0', { compute: 3 }])('%o for a model', (model) =>
    refuses(
      model,
      { inputs },
      'ERR_INPUT',
      /^compile: model expects a module, or an object with compute\(f, …\), got /,
    ),
  );

  it.each([[[0, 3, 8, 8]], [[1, 3, 8, 0]]])('an input of shape %j, in which no run can be', (x) =>
    refuses(new ReLU(), { inputs: { x } }, 'ERR_SHAPE', `compile: input x expects extents of at least 1, got [${x}]`),
  );

  it('other inputs than a recorded graph has, whatever they are', async () => {
    const graph = trace(layer, inputs);
    await refuses(graph, {}, 'ERR_INPUT', 'compile: inputs expects those of the graph, x [N,3,8,8], got undefined');
    await refuses(
      graph,
      { inputs: null },
      'ERR_INPUT',
      'compile: inputs expects those of the graph, x [N,3,8,8], got null',
    );
    await refuses(
      graph,
      { inputs: { x: 5 } },
      'ERR_INPUT',
      'compile: inputs expects those of the graph, x [N,3,8,8], got { x: 5 }',
    );
    await refuses(
      graph,
      { inputs, outputs: 'output' },
      'ERR_INPUT',
      "compile: outputs expects those of the graph, output, got 'output'",
    );
  });

  it('and takes undefined for what was not said, and inputs that compute names but does not use', () => {
    const ignoring: Traceable = { compute: <X>(f: Ops<X>, x: X, _mask: X) => f.relu(x) };
    const session = compileSync(ignoring, {
      inputs: { x: [2], mask: [3] },
      threads: undefined,
      foldBatchNorm: undefined,
    } as never);
    expect(session.runSync({ x: tensor([-1, 2]), mask: tensor([1, 2, 3]) }).output.toArray()).toEqual([0, 2]);
  });
});

describe('run refuses', () => {
  const session = compileSync(layer, { inputs });
  const x = randn([1, 3, 8, 8]);
  it.each<[string, unknown, string]>([
    ['null for options', null, 'run: options expects a plain object of signal, out, got null'],
    ['a number for options', 5, 'run: options expects a plain object of signal, out, got 5'],
    ['an option it does not know', { timeout: 5 }, 'run: options has no timeout; it has signal, out'],
    ['a number for the signal', { signal: 5 }, 'run: signal expects an AbortSignal, got 5'],
    ['null for the signal', { signal: null }, 'run: signal expects an AbortSignal, got null'],
    ['a controller for the signal', { signal: {} }, 'run: signal expects an AbortSignal, got {}'],
  ])('%s', async (_, options, message) => {
    await expect(session.run(x, options as never)).rejects.toMatchObject({
      name: 'RepconvError',
      code: 'ERR_INPUT',
      message,
    });
    expect(session.queueDepth).toBe(0);
  });

  it('what runSync has no use for', () => {
    expectRefusal(
      () => session.runSync(x, null as never),
      'ERR_INPUT',
      'runSync: options expects a plain object of out, got null',
    );
    const { signal } = new AbortController();
    expectRefusal(
      () => session.runSync(x, { signal } as never),
      'ERR_INPUT',
      'runSync: options has no signal; it has out',
    );
  });
});

describe('a message', () => {
  const long = `\x1b[31mx\n${'a'.repeat(100_000)}`;
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`\u202ename ${i} ${long}`, 5]));
  const image = randn([1, 3, 8, 8]);
  const named = compileSync(new ReLU(), { inputs: { [long]: ['N', 3] }, outputs: [`${long}y`] });
  const sound = compileSync(layer, { inputs });
  const bytes = compileSync(layer, {
    inputs: { [long]: ['N', 3, 'H', 'W'] },
    preprocess: { [long]: { from: 'uint8-nhwc' } },
  });

  it.each<[string, () => unknown]>([
    ['of unknown inputs', () => sound.runSync({ x: image, ...many } as never)],
    ['of an input that is no tensor', () => named.runSync({ [long]: long } as never)],
    ['of a misshapen input', () => named.runSync(randn([1, 4]))],
    ['of a bare array', () => named.runSync(new Float32Array(1e6) as never)],
    ['of unknown outputs', () => sound.runSync(image, { out: many as never })],
    ['of an output that is no tensor', () => named.runSync(randn([1, 3]), { out: { [`${long}y`]: long } as never })],
    ['of a bare array for out', () => sound.runSync(image, { out: new Float32Array(1e6) as never })],
    ['of bytes', () => bytes.runSync(new Uint8Array(30))],
    ['of an unknown option', () => compileSync(layer, { inputs, ...many } as never)],
    ['of an option', () => compileSync(layer, { inputs, precision: long as never })],
    ['of a shape', () => compileSync(layer, { inputs: { [long]: long } } as never)],
    ['of a shape with a large extent', () => compileSync(layer, { inputs: { [long]: [1e15, 1e15] } })],
    ['of an empty shape', () => compileSync(new ReLU(), { inputs: { [long]: [0] } })],
    [
      'of surplus inputs',
      () =>
        compileSync(layer, {
          inputs: { ...inputs, ...Object.fromEntries(Object.keys(many).map((name) => [name, [1]])) },
        }),
    ],
    ['of a graph', () => compileSync(trace(layer, { [long]: [1, 3, 8, 8] }), { inputs: many as never })],
    ['of outputs', () => compileSync(layer, { inputs, outputs: Object.keys(many) })],
    ['of preprocessing an unknown input', () => compileSync(layer, { inputs, preprocess: many as never })],
    [
      'of an unknown origin',
      () => compileSync(layer, { inputs: { [long]: inputs.x }, preprocess: { [long]: { from: long } } as never }),
    ],
    [
      'of a wrong mean',
      () => compileSync(layer, { inputs, preprocess: { x: { from: 'uint8-nhwc', mean: new Array(1e5).fill(1) } } }),
    ],
    ['of a result', () => compileSync({ compute: () => many as never }, { inputs })],
  ])('%s is short, and only text that can be printed', (_, act) => {
    const { message } = refusalOf(act);
    expect(message.length).toBeLessThan(1000);
    expect(message).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });
});

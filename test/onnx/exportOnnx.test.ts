/** What stands in an exported file, what is refused, and that files are written whole or not at all. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Graph } from '../../lib/graph/graph.js';
import { foldBatchNorm } from '../../lib/graph/passes/foldBatchNorm.js';
import {
  BatchNorm2d,
  Conv2d,
  ConvBlock,
  exportOnnx,
  exportOnnxSync,
  Identity,
  ReLU,
  repconv,
  Sequential,
  toOnnx,
  trace,
} from '../../lib/index.js';
import { maxModelBytes } from '../../lib/onnx/modelWriter.js';
import { onnxOperators } from '../../lib/onnx/ops.js';
import { opsets } from '../../lib/onnx/opset.js';
import { operators } from '../../lib/ops/registry.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import { bytesOf } from '../../lib/tensor/compare.js';
import { type AnyTensor, ones, Tensor, zeros } from '../../lib/tensor/tensor.js';
import { version } from '../../package.json';
import { expectRefusal } from '../cases/refusal.js';
import { refusalOfAsync } from '../formats/refusal.js';
import { trained } from '../nn/trained.js';
import { caseGraph } from './caseGraph.js';
import { decodedModel, operatorsOf } from './decoded.js';

const images = { images: [1, 4, 6, 5] };
const block = trained(new ConvBlock(4, 4));

describe('an exported model', () => {
  it('says who made it, for which operator set, in the file format that came with that', () => {
    const formats = opsets.map((opset) => {
      const model = decodedModel(toOnnx(block, { inputs: images, opset }));
      expect([model.producerName, model.producerVersion]).toEqual(['repconv', version]);
      expect(model.opsetImport.map(({ domain, version: v }) => [domain, v])).toEqual([['', BigInt(opset)]]);
      return model.irVersion;
    });
    expect(formats).toEqual([6n, 7n, 7n, 7n, 8n, 8n, 8n, 8n, 9n, 9n, 10n, 10n, 11n, 12n, 13n, 13n]);
    expect(decodedModel(toOnnx(block, { inputs: images })).opsetImport[0].version).toBe(17n);
  });

  it('is three branches before fusing and one convolution after', () => {
    const options = { inputs: { images: [1, 4, 24, 24] }, outputs: ['output'], opset: 12 };
    expect(operatorsOf(toOnnx(block, options))).toBe(
      'Conv BatchNormalization Conv BatchNormalization Add BatchNormalization Add Relu',
    );
    expect(operatorsOf(toOnnx(repconv(block).model, options))).toBe('Conv Relu');
  });

  it('has its parameters under their state-dict keys, bit for bit', () => {
    const dict = block.stateDict();
    const { initializer } = decodedModel(toOnnx(block, { inputs: images })).graph;
    const keys = [...dict.keys()].filter((key) => !key.endsWith('num_batches_tracked'));
    expect(initializer.map(({ name }) => name).sort()).toEqual(keys.sort());
    for (const { name, dims, rawData, dataType } of initializer) {
      const tensor = dict.get(name) as AnyTensor;
      expect([name, dataType, dims.map(Number)]).toEqual([name, 1, tensor.shape]);
      expect(Buffer.compare(rawData, bytesOf(tensor)), name).toBe(0);
    }
  });

  it('names nodes after their modules, and nothing twice', () => {
    const { node, initializer, input } = decodedModel(toOnnx(block, { inputs: images })).graph;
    expect(node.map(({ name }) => name)).toEqual([
      ...[
        '/conv3_3/conv/Conv',
        '/conv3_3/bn/BatchNormalization',
        '/conv1_1/conv/Conv',
        '/conv1_1/bn/BatchNormalization',
      ],
      ...['/Add', '/rbr_identity/BatchNormalization', '/Add_1', '/Relu'],
    ]);
    const names = [
      ...node.flatMap(({ output }) => output),
      ...initializer.map(({ name }) => name),
      ...input.map(({ name }) => name),
    ];
    expect(new Set(names).size).toBe(names.length);
  });

  it('has the inputs and outputs that were asked for, open extents by their letters', () => {
    const { input, output } = decodedModel(
      toOnnx(block, { inputs: { images: ['N', 4, 'H', 5] }, outputs: ['features'] }),
    ).graph;
    const shown = (value: (typeof input)[0]): unknown[] =>
      value.type.tensorType.shape.dim.map((d) => (Object.hasOwn(d, 'dimValue') ? Number(d.dimValue) : d.dimParam));
    expect([input[0].name, ...shown(input[0])]).toEqual(['images', 'N', 4, 'H', 5]);
    expect([output[0].name, ...shown(output[0])]).toEqual(['features', 'N', 4, 'H', 5]);
  });

  it('is the same bytes each time, and texts to keep are sorted', () => {
    const options = { inputs: images, metadata: { b: '2', a: '1' } };
    expect(toOnnx(block.copy(), { ...options, metadata: { a: '1', b: '2' } })).toEqual(toOnnx(block, options));
    expect(decodedModel(toOnnx(block, options)).metadataProps.map(({ key, value }) => [key, value])).toEqual([
      ['a', '1'],
      ['b', '2'],
    ]);
  });

  it('writes a tensor that two layers share once', () => {
    const shared = new Conv2d(4, 4, 3, { padding: 1 });
    const { initializer, node } = decodedModel(
      toOnnx(new Sequential(shared, new ReLU(), shared).eval(), { inputs: images }),
    ).graph;
    expect(initializer.map(({ name }) => name)).toEqual(['0.weight', '0.bias']);
    expect(node.map(({ input }) => input[1])).toEqual(['0.weight', undefined, '0.weight']);
  });

  it('keeps apart two constants that a pass has given one name', () => {
    const shared = new Conv2d(4, 4, 1, { bias: false });
    const norms = [1, 2].map((seed) => trained(new BatchNorm2d(4), seed));
    const model = new Sequential(shared, norms[0], shared, norms[1]).eval();
    const { initializer } = decodedModel(toOnnx(foldBatchNorm(trace(model, images)))).graph;
    expect(initializer.map(({ name }) => name)).toEqual(['0.weight', '0.bias', '0.weight_1', '0.bias_1']);
  });

  it('gives an output that is an input, a constant or another output a node of its own', () => {
    const model: Traceable = {
      compute: (f, x) => {
        const y = f.relu(x);
        return { same: x, first: y, second: y, fixed: f.lift(ones([2])) };
      },
    };
    const { node, output } = decodedModel(toOnnx(model, { inputs: { x: [2] } })).graph;
    expect(output.map(({ name }) => name)).toEqual(['same', 'first', 'second', 'fixed']);
    expect(node.map(({ opType, input, output: made }) => [opType, ...input, ...made])).toEqual([
      ['Relu', 'x', 'first'],
      ['Identity', 'x', 'same'],
      ['Identity', 'first', 'second'],
      ['Identity', 'constant', 'fixed'],
    ]);
    expect(operatorsOf(toOnnx(new Identity(), { inputs: images }))).toBe('Identity');
  });

  it('has all numbers in the format of its parameters, or in the one that was asked for', () => {
    const formatsOf = (bytes: Uint8Array): number[] => {
      const { initializer, input, output } = decodedModel(bytes).graph;
      const types = [...input, ...output].map(({ type }) => type.tensorType.elemType);
      return [...new Set([...types, ...initializer.map(({ dataType }) => dataType)])];
    };
    expect(formatsOf(toOnnx(block, { inputs: images }))).toEqual([1]);
    expect(formatsOf(toOnnx(block.copy().to('float16'), { inputs: images }))).toEqual([10]);
    expect(formatsOf(toOnnx(block.copy().to('float64'), { inputs: images }))).toEqual([11]);
    expect(formatsOf(toOnnx(block.copy().to('bfloat16'), { inputs: images, opset: 22 }))).toEqual([16]);
    expect(formatsOf(toOnnx(block, { inputs: images, dtype: 'float16' }))).toEqual([10]);
    const mixed = new Sequential(new Conv2d(4, 4, 1).to('float16'), new Conv2d(4, 4, 1)).eval();
    expect(formatsOf(toOnnx(mixed, { inputs: images, dtype: 'float32' }))).toEqual([1]);
  });

  it('of a graph has its inputs, and its outputs under other names if asked', () => {
    const graph = trace(block, images);
    expect(toOnnx(graph)).toEqual(toOnnx(block, { inputs: images }));
    expect(toOnnx(graph, { inputs: images })).toEqual(toOnnx(graph));
    expect(toOnnx(graph, { outputs: ['y'] })).toEqual(toOnnx(block, { inputs: images, outputs: ['y'] }));
  });

  it('leaves absent biases of convolutions and matrices away', () => {
    const conv = new Conv2d(4, 2, 1, { bias: false }).eval();
    expect(decodedModel(toOnnx(conv, { inputs: images })).graph.node[0].input).toEqual(['images', 'weight']);
  });
});

describe('how meanings are spelled', () => {
  const spelled = (
    operator: keyof typeof operators,
    shape: readonly number[],
    options: object,
    opset: number,
  ): string =>
    operatorsOf(toOnnx(caseGraph({ name: '', operator, inputs: [shape], options }, [zeros(shape)]).graph, { opset }));

  it.each([
    ['softmax', { axis: 1 }, 12, 'Transpose Softmax Transpose'],
    ['softmax', { axis: 3 }, 12, 'Softmax'],
    ['softmax', { axis: 1 }, 13, 'Softmax'],
    ['hardSwish', {}, 13, 'HardSigmoid Mul'],
    ['hardSwish', {}, 14, 'HardSwish'],
    ['gelu', {}, 19, 'Mul Erf Mul Add Mul'],
    ['gelu', {}, 20, 'Gelu'],
    ['pad', { padding: 1, mode: 'circular' }, 18, 'Slice Slice Concat Slice Slice Concat'],
    ['pad', { padding: [0, 1], mode: 'circular' }, 18, 'Slice Slice Concat'],
    ['pad', { padding: 1, mode: 'circular' }, 19, 'Pad'],
    ['pad', { padding: 0 }, 17, 'Identity'],
    ['flatten', {}, 17, 'Flatten'],
    ['flatten', { startAxis: 2 }, 17, 'Reshape'],
    ['adaptiveAveragePool2d', { outputSize: 1 }, 17, 'GlobalAveragePool'],
    ['adaptiveAveragePool2d', { outputSize: [3, 1] }, 17, 'AveragePool'],
    ['adaptiveMaxPool2d', { outputSize: [2, 5] }, 17, 'MaxPool'],
    ['adaptiveMaxPool2d', { outputSize: [1, 2] }, 17, 'ReduceMax Slice ReduceMax Slice ReduceMax Concat'],
    ['maxPool2d', { kernelSize: 2, stride: 2, ceilMode: true }, 17, 'MaxPool'],
    ['averagePool2d', { kernelSize: 2, stride: 2, ceilMode: true }, 17, 'Pad AveragePool'],
    ['averagePool2d', { kernelSize: 2, stride: 2, ceilMode: true, countIncludePad: false }, 17, 'AveragePool'],
  ] as const)('%s %j in operator set %i is %s', (operator, options, opset, expected) => {
    expect(spelled(operator, [2, 4, 6, 5], options, opset)).toBe(expected);
  });

  it('is known of every operator of the vocabulary', () => {
    expect(Object.keys(onnxOperators).sort()).toEqual(Object.keys(operators).sort());
  });
});

describe('refused', () => {
  const conv = new Conv2d(4, 4, 1).eval();
  const refused =
    (options: object, model: Traceable | Graph = conv) =>
    () =>
      toOnnx(model, { inputs: images, ...options });

  it('are operator sets that are not in the table', () => {
    expectRefusal(refused({ opset: 10 }), 'ERR_UNSUPPORTED', 'toOnnx: opset expects 11 to 26, got 10');
    expectRefusal(refused({ opset: 27 }), 'ERR_UNSUPPORTED', 'toOnnx: opset expects 11 to 26, got 27');
    expectRefusal(refused({ opset: 12.5 }), 'ERR_INPUT', 'toOnnx: opset expects a whole number, got 12.5');
    expectRefusal(refused({ opset: '17' }), 'ERR_INPUT', "toOnnx: opset expects a whole number, got '17'");
    expectRefusal(
      refused({ opset: 21, dtype: 'bfloat16' }),
      'ERR_UNSUPPORTED',
      'toOnnx: bfloat16 expects opset 22 or above, got 21',
    );
  });

  it('are models in training mode', () => {
    expectRefusal(refused({}, new ConvBlock(4, 4)), 'ERR_TRAIN_MODE', /training mode; call eval\(\) first/);
    const inputs = [[2, 4, 3], [4], [4], [4], [4]];
    const c = { name: '', operator: 'batchNormTraining', inputs, options: {} } as const;
    const { graph } = caseGraph(
      c,
      inputs.map((shape) => ones(shape)),
    );
    expectRefusal(() => toOnnx(graph), 'ERR_TRAIN_MODE', /training mode; call eval\(\)/);
  });

  it('are names of outputs that are too many, the same, empty or no text', () => {
    expectRefusal(refused({ outputs: ['a', 'b'] }), 'ERR_INPUT', /expects 1 different output name, got \[ 'a', 'b' \]/);
    expectRefusal(refused({ outputs: [] }), 'ERR_INPUT', /expects 1 different output name/);
    expectRefusal(
      refused({ outputs: ['a', 'a'] }, trace({ compute: (f, x) => ({ p: x, q: f.relu(x) }) }, images)),
      'ERR_INPUT',
      /2 different names/,
    );
    expectRefusal(refused({ outputs: [''] }), 'ERR_INPUT', "toOnnx: names of inputs and outputs expect text, got ''");
    expectRefusal(refused({ outputs: ['\ud800'] }), 'ERR_INPUT', /names of inputs and outputs expect text/);
    expectRefusal(refused({ outputs: [7] }), 'ERR_INPUT', 'toOnnx: expects 1 different output name, got [ 7 ]');
  });

  it('are names that an input, an output or a parameter already has', () => {
    expectRefusal(
      refused({ outputs: ['images'] }),
      'ERR_INPUT',
      /different names, got images for two inputs or outputs/,
    );
    expectRefusal(refused({ outputs: ['weight'] }), 'ERR_INPUT', /different names, got weight for a parameter too/);
    expectRefusal(
      refused({ inputs: { bias: [1, 4, 6, 5] } }),
      'ERR_INPUT',
      /different names, got bias for a parameter too/,
    );
  });

  it('are inputs that are missing, or not those of a graph', () => {
    expectRefusal(refused({ inputs: undefined }), 'ERR_INPUT', /expects at least one input/);
    expectRefusal(refused({ inputs: { images: [1, 5, 6, 5] } }), 'ERR_SHAPE', /conv2d/);
    const graph = trace(conv, images);
    expectRefusal(
      refused({ inputs: { x: [1, 4, 6, 5] } }, graph),
      'ERR_INPUT',
      /those of the graph or none, \{ images: \[1,4,6,5\] \}/,
    );
    expectRefusal(refused({ inputs: { images: [2, 4, 6, 5] } }, graph), 'ERR_INPUT', /those of the graph/);
    expectRefusal(refused({ inputs: {} }, graph), 'ERR_INPUT', /those of the graph/);
  });

  it('are models and options of another kind', () => {
    for (const model of [null, 5, {}, 'model.onnx'])
      expectRefusal(refused({}, model as never), 'ERR_INPUT', /model expects a module or a graph/);
    for (const options of [null, 5])
      expectRefusal(() => toOnnx(conv, options as never), 'ERR_INPUT', /options expects a plain object/);
    expectRefusal(
      refused({ dtype: 'int8' }),
      'ERR_INPUT',
      /dtype expects float32, float64, float16 or bfloat16, got 'int8'/,
    );
    expectRefusal(refused({ metadata: { a: 1 } }), 'ERR_INPUT', /metadata expects texts, got 1 for a/);
  });

  it('are parameters that are no floating-point numbers, or of several formats with none asked for', () => {
    const bytes = new Tensor('uint8', [5], new Uint8Array(5));
    expectRefusal(
      refused({}, { compute: (f, x) => f.mul(x, f.lift(bytes)) }),
      'ERR_UNSUPPORTED',
      /a constant expects floating-point numbers, got uint8/,
    );
    const mixed = new Sequential(new Conv2d(4, 4, 1).to('float16'), new Conv2d(4, 4, 1)).eval();
    expectRefusal(
      refused({}, mixed),
      'ERR_UNSUPPORTED',
      /parameters expect one format.*float16 \(0\.bias\), float32 \(1\.bias\)/,
    );
  });

  it('are models of 2 GiB of weights or more, before anything is written', () => {
    // Nine matrices over one piece of memory that nobody touches.
    const memory = new Float32Array(2 ** 26);
    const matrices = Array.from({ length: 9 }, () => new Tensor('float32', [2 ** 13, 2 ** 13], memory));
    const model: Traceable = {
      namedTensors: () => matrices.map((matrix, i) => [`layer${i}`, matrix] as const),
      compute: (f, x) => matrices.reduce((value, matrix) => f.linear(value, f.lift(matrix), null), x),
    };
    expect(matrices.length * memory.byteLength).toBeGreaterThan(maxModelBytes);
    const path = join(folder, 'large.onnx');
    expectRefusal(
      () => exportOnnxSync(model, path, { inputs: { x: [1, 2 ** 13] } }),
      'ERR_LIMIT',
      /less than 2 GiB, and the weights up to layer7 have 2147483648 bytes/,
    );
    expect(readdirSync(folder)).not.toContain('large.onnx');
  });
});

const folder = mkdtempSync(join(tmpdir(), 'repconv-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a file', () => {
  it('has the bytes of toOnnx, whether it is written at once or not', async () => {
    const expected = Buffer.from(toOnnx(block, { inputs: images, opset: 12 }));
    await exportOnnx(block, join(folder, 'async.onnx'), { inputs: images, opset: 12 });
    exportOnnxSync(block, join(folder, 'sync.onnx'), { inputs: images, opset: 12 });
    for (const name of ['async.onnx', 'sync.onnx'])
      expect(readFileSync(join(folder, name)).equals(expected)).toBe(true);
  });

  it('holds the model as it was at the call', async () => {
    const model = block.copy();
    const expected = Buffer.from(toOnnx(model, { inputs: images }));
    const written = exportOnnx(model, join(folder, 'then.onnx'), { inputs: images });
    for (const [, { data }] of model.namedParameters()) (data as Float32Array).fill(0);
    await written;
    expect(readFileSync(join(folder, 'then.onnx')).equals(expected)).toBe(true);
  });

  it('is replaced whole, also behind a link', async () => {
    writeFileSync(join(folder, 'old.onnx'), 'old');
    symlinkSync(join(folder, 'old.onnx'), join(folder, 'link.onnx'));
    await exportOnnx(block, join(folder, 'link.onnx'), { inputs: images });
    expect(readFileSync(join(folder, 'old.onnx')).equals(Buffer.from(toOnnx(block, { inputs: images })))).toBe(true);
  });

  it('stays as it was, with nothing beside it, when the model is refused', async () => {
    const own = mkdtempSync(join(folder, 'own-'));
    const path = join(own, 'model.onnx');
    writeFileSync(path, 'old');
    const error = await refusalOfAsync(() => exportOnnx(block, path, { inputs: images, opset: 99 }));
    expect([error.code, error.message]).toEqual([
      'ERR_UNSUPPORTED',
      `exportOnnx: "${path}": opset expects 11 to 26, got 99`,
    ]);
    expect(readdirSync(own)).toEqual(['model.onnx']);
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  it.each([
    ['model.pb', 'ERR_PATH', /ONNX models are \.onnx files/],
    ['', 'ERR_PATH', /ONNX models are \.onnx files/],
    ['a\0.onnx', 'ERR_PATH', /characters that no path can have/],
    [7, 'ERR_INPUT', /path expects text, got 7/],
    [undefined, 'ERR_INPUT', /path expects text/],
    [join(folder, 'missing', 'model.onnx'), 'ERR_IO', /ENOENT/],
    [join(folder, 'folder.onnx'), 'ERR_PATH', /expects a regular file, got a directory/],
  ] as const)('cannot be at %j', async (path, code, message) => {
    mkdirSync(join(folder, 'folder.onnx'), { recursive: true });
    const before = readdirSync(folder).sort();
    const error = await refusalOfAsync(() => exportOnnx(block, path as string, { inputs: images }));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expectRefusal(() => exportOnnxSync(block, path as string, { inputs: images }), code, message);
    expect(readdirSync(folder).sort()).toEqual(before);
  });
});

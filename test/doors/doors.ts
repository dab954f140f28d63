/**
 * Every door of the public interface, with arguments that are right: what test/doors/hostile.test.ts knocks at, with
 * one argument after the other exchanged.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as repconv from '../../lib/index.js';
import { Module, type Ops, ReparamBlock, type Tensor } from '../../lib/index.js';

/** Makes other arguments of the right ones. */
export type Exchange = (right: unknown[]) => unknown[];

/** Enters with what `exchange` makes of the right arguments. */
export interface Door {
  readonly name: string;
  enter(exchange: Exchange): unknown;
}

const image = (): Tensor => repconv.ones([1, 4, 5, 5]);
const folder = mkdtempSync(join(tmpdir(), 'repconv-hostile-'));
const inputs = { x: [1, 4, 5, 5] };

type Callable = (...given: unknown[]) => unknown;

const exported: ReadonlyMap<string, unknown> = new Map(Object.entries(repconv));

/** A function of the package. */
function fn(name: keyof typeof repconv, right: () => unknown[]): Door {
  const called = exported.get(name) as Callable;
  return { name, enter: (exchange) => called(...exchange(right())) };
}

/** A constructor, and what it makes read in the four ways there are. */
function made(name: keyof typeof repconv, right: () => unknown[], x: () => Tensor = image): Door {
  const made = exported.get(name) as new (...given: unknown[]) => unknown;
  return {
    name: `new ${name}`,
    enter: (exchange) => {
      const module = new made(...exchange(right()));
      if (!(module instanceof Module)) return module;
      String(module);
      module.eval().forward(x());
      repconv.printGraph(repconv.trace(module, { x: [...x().shape] }));
      repconv.referenceForward(module, x());
      repconv.repconv(module);
      return module;
    },
  };
}

/** A method of a fresh object. */
function method(of: string, make: () => object, name: string, right: () => unknown[] = () => []): Door {
  return {
    name: `${of}.${name}`,
    enter: (exchange) => {
      const object = make() as Record<string, Callable>;
      const result: unknown = object[name](...exchange(right()));
      // What is computed while it is walked through.
      return name.startsWith('named') ? [...(result as Iterable<unknown>)] : result;
    },
  };
}

/** Values of readings: what is in them is nobody's to exchange. */
export const values = new WeakSet<object>();

/** A word in a sentence, read in every way. */
function word(name: keyof Ops<unknown>, right: (f: Ops<unknown>, x: unknown) => unknown[]): Door[] {
  const say =
    (exchange: Exchange) =>
    <X>(f: Ops<X>, x: X): X => {
      const words = f as unknown as Record<string, Callable>;
      const said = words[name](...exchange(right(f as Ops<unknown>, x)));
      if (name === 'batchNormTraining') return (said as { output: X }).output;
      return (name === 'commit' ? x : name === 'apply' ? (said as X[])[0] : said) as X;
    };
  return [
    { name: `f.${name}, computed`, enter: (exchange) => new Sentence(say(exchange)).forward(image()) },
    {
      name: `f.${name}, computed in float64`,
      enter: (exchange) => repconv.referenceForward(new Sentence(say(exchange)), image()),
    },
    ...(name === 'batchNormTraining'
      ? []
      : [
          {
            name: `f.${name}, recorded`,
            enter: (exchange: Exchange) => repconv.printGraph(repconv.trace(new Sentence(say(exchange)), inputs)),
          },
        ]),
    // What needs to know how large an image is does not fold.
    ...(['linear', 'adaptiveAveragePool2d', 'adaptiveMaxPool2d'].includes(name)
      ? []
      : [
          {
            name: `f.${name}, folded`,
            enter: (exchange: Exchange) => repconv.repconv(new Block(4, 'reparam', say(exchange))),
          },
        ]),
  ];
}

class Sentence extends Module {
  constructor(private readonly say: <X>(f: Ops<X>, x: X) => unknown) {
    super();
  }

  override compute<X>(f: Ops<X>, x: X): X {
    values.add(x as object);
    return this.say(f, x) as X;
  }
}

class Block extends ReparamBlock {
  constructor(
    inChannels: number,
    key: string,
    private readonly say: <X>(f: Ops<X>, x: X) => unknown = (_, x) => x,
  ) {
    super(inChannels, key);
  }

  protected override branches<X>(f: Ops<X>, x: X): X {
    values.add(x as object);
    return this.say(f, x) as X;
  }

  protected override finish<X>(_: Ops<X>, x: X): X {
    return x;
  }

  protected override removeBranches(): void {}
}

const lifted = (f: Ops<unknown>, shape: number[]): unknown => {
  const value = f.lift(repconv.ones(shape));
  values.add(value as object);
  return value;
};
const parameters = (f: Ops<unknown>): object => ({
  weight: lifted(f, [4]),
  bias: lifted(f, [4]),
  runningMean: lifted(f, [4]),
  runningVariance: lifted(f, [4]),
});
const layer = (): Module => new repconv.Sequential(new repconv.Conv2d(4, 4, 3)).eval();
const block = (): ReparamBlock => new repconv.RepVGGBlock(4, 4).eval();
const graph = (): repconv.Graph => repconv.trace(layer(), inputs);
const compiled = repconv.compileSync(layer(), { inputs: { x: ['N', 4, 5, 5] } });
const session = (): repconv.Session => compiled;
const dict = (): repconv.StateDict => new Map([['a', repconv.ones([2])]]);
const path = join(folder, 'dict.safetensors');
repconv.saveStateDictSync(path, dict());

const windows = { stride: 1, padding: 0, dilation: 1, groups: 1 };
const norm = { eps: 1e-5, momentum: 0.1, affine: true, bias: true, trackRunningStats: true };
const pooling = { stride: 1, padding: 0, ceilMode: false };

export const doors: readonly Door[] = [
  // Fusing, compiling, graphs

  fn('repconv', () => [block(), { copy: true, savePath: path, inputs, certificateBudget: 1e4 }]),
  fn('compile', () => [layer(), { inputs, ...compileOptions() }]),
  fn('compileSync', () => [layer(), { inputs, ...compileOptions() }]),
  { ...fn('compileSync', () => [graph(), { inputs, outputs: ['output'] }]), name: 'compileSync of a graph' },
  fn('trace', () => [layer(), inputs, ['y'], 'trace']),
  fn('printGraph', () => [graph()]),
  fn('toOnnx', () => [layer(), { inputs, outputs: ['y'], opset: 17, dtype: 'float32', metadata: { key: 'value' } }]),
  { ...fn('toOnnx', () => [graph(), { inputs, outputs: ['y'] }]), name: 'toOnnx of a graph' },
  fn('exportOnnx', () => [layer(), join(folder, 'a.onnx'), { inputs }]),
  fn('exportOnnxSync', () => [layer(), join(folder, 'a.onnx'), { inputs }]),
  method('Graph', graph, 'constants'),
  method('Graph', graph, 'useCounts'),
  method('Graph', graph, 'producers'),

  // Sessions

  method('Session', session, 'run', () => [{ x: image() }, { signal: new AbortController().signal, out: out() }]),
  method('Session', session, 'run', () => [image(), { out: out().output }]),
  method('Session', session, 'runSync', () => [{ x: image() }, { out: out() }]),
  method('Session', session, 'profile', () => [{ x: image() }]),
  method('Session', session, 'profileSync', () => [{ x: image() }]),
  method('Session', session, 'describe', () => [{ x: image() }]),
  method('Session', session, 'memory'),
  method('Session', () => repconv.compileSync(layer(), { inputs }), 'dispose'),

  // Files

  fn('loadStateDict', () => [path, { limits: { tensors: 10, headerBytes: 1e5 } }]),
  fn('loadSafetensors', () => [path, { limits: { tensors: 10 } }]),
  fn('saveStateDict', () => [path, dict(), { metadata: { key: 'value' }, checksum: true }]),
  fn('saveStateDictSync', () => [path, [['a', repconv.ones([2])]], { metadata: [['key', 'value']], checksum: true }]),

  // Tensors and numbers

  made('Tensor', () => ['float32', [2, 2], new Float32Array(4)]),
  fn('tensor', () => [[[1, 2]], [1, 2], 'float32']),
  fn('zeros', () => [[2, 2], 'float32']),
  fn('ones', () => [[2, 2], 'float32']),
  fn('full', () => [[2, 2], 5, 'float32']),
  fn('randn', () => [[2, 2], { generator: new repconv.Random(1), dtype: 'float32' }]),
  fn('rand', () => [[2, 2], { low: 0, high: 1, generator: new repconv.Random(1), dtype: 'float32' }]),
  fn('manualSeed', () => [1]),
  fn('difference', () => [image(), image()]),
  fn('isIdentical', () => [image(), image()]),
  method('Tensor', image, 'reshape', () => [[4, -1]]),
  method('Tensor', image, 'to', () => ['float64']),
  method('Tensor', image, 'clone'),
  method('Tensor', image, 'toArray'),
  method('Tensor', image, 'toString'),
  made('Random', () => [1]),
  method('Random', () => new repconv.Random(1), 'uniform'),
  method('Random', () => new repconv.Random(1), 'normal'),
  method(
    'Random',
    () => new repconv.Random(1),
    'integer',
    () => [1, 5],
  ),
  made('RepconvError', () => ['ERR_INPUT', 'text']),

  // Layers

  made('Conv2d', () => [4, 4, 3, { ...windows, bias: true, paddingMode: 'zeros' }]),
  made('Conv2d', () => [4, 4, [3, 3], { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1] }]),
  made('ConvTranspose2d', () => [4, 4, 3, { ...windows, bias: true, outputPadding: 0 }]),
  made('Linear', () => [5, 4, { bias: true }]),
  made('BatchNorm2d', () => [4, norm]),
  made('MaxPool2d', () => [2, { ...pooling, dilation: 1 }]),
  made('AvgPool2d', () => [2, { ...pooling, countIncludePad: true }]),
  made('AdaptiveAvgPool2d', () => [[2, 2]]),
  made('AdaptiveMaxPool2d', () => [2]),
  made('Flatten', () => [{ startDim: 1, endDim: -1 }]),
  made('Identity', () => []),
  made('ReLU', () => [{ inplace: true }]),
  made('ReLU6', () => [{ inplace: true }]),
  made('SiLU', () => [{ inplace: true }]),
  made('Hardswish', () => []),
  made('Hardsigmoid', () => []),
  made('Sigmoid', () => []),
  made('Tanh', () => []),
  made('LeakyReLU', () => [{ negativeSlope: 0.1 }]),
  made('PReLU', () => [{ numParameters: 4, init: 0.1 }]),
  made('GELU', () => [{ approximate: 'tanh' }]),
  made('Softmax', () => [{ dim: 1 }]),
  made('Sequential', () => [new repconv.ReLU(), new repconv.ReLU()]),
  made('Sequential', () => [{ a: new repconv.ReLU() }]),
  {
    name: 'new ModuleList',
    enter: (exchange) => [...new repconv.ModuleList(...(exchange([[new repconv.ReLU()]]) as [Iterable<Module>]))],
  },

  // Blocks and networks

  fn('convBn', () => [4, 4, 3, { ...windows, bias: true, paddingMode: 'zeros', eps: 1e-5 }]),
  made('ConvBlock', () => [4, 4, { stride: 1, groups: 1, paddingMode: 'zeros', eps: 1e-5, deploy: false }]),
  made('RepVGGBlock', () => [4, 4, { stride: 1, groups: 1, useSe: false, eps: 1e-5, deploy: false }]),
  made('MobileOneBlock', () => [
    4,
    4,
    3,
    { stride: 1, padding: 1, groups: 1, useSe: false, branches: 1, eps: 1e-5, deploy: false },
  ]),
  made('SqueezeExcite', () => [4, { reducedChannels: 2, keys: ['down', 'up'] }]),
  { ...fn('createRepVGG', () => ['repvgg-a0', { numClasses: 4, eps: 1e-5, deploy: false }]) },
  { ...fn('createMobileOne', () => ['mobileone-s0', { numClasses: 4, eps: 1e-5, deploy: false }]) },
  {
    name: 'new RepVGG',
    enter: (exchange) =>
      new repconv.RepVGG(
        ...(exchange([
          { blocks: [1, 1, 1, 1], width: [0.1, 0.1, 0.1, 0.1], groups: 1, useSe: false },
          { numClasses: 4, eps: 1e-5, deploy: false },
        ]) as [repconv.RepVGGConfig]),
      ),
  },
  {
    name: 'new MobileOne',
    enter: (exchange) =>
      new repconv.MobileOne(
        ...(exchange([
          { width: [0.1, 0.1, 0.1, 0.1], branches: 1, useSe: false },
          { numClasses: 4, eps: 1e-5, deploy: false },
        ]) as [repconv.MobileOneConfig]),
      ),
  },

  // Modules

  fn('referenceForward', () => [layer(), image()]),
  method('Module', layer, 'forward', () => [image()]),
  method('Module', layer, 'child', () => ['name', new repconv.ReLU()]),
  method('Module', layer, 'removeChild', () => ['0']),
  method('Module', layer, 'parameter', () => ['name', image()]),
  method('Module', layer, 'buffer', () => ['name', image()]),
  method('Module', layer, 'tensor', () => ['weight']),
  method('Module', layer, 'train', () => [true]),
  method('Module', layer, 'eval'),
  method('Module', layer, 'namedChildren'),
  method('Module', layer, 'namedModules', () => ['prefix', new Set()]),
  method('Module', layer, 'namedParameters'),
  method('Module', layer, 'namedBuffers'),
  method('Module', layer, 'namedTensors', () => ['prefix']),
  method('Module', layer, 'parameterCount'),
  method('Module', layer, 'stateDict'),
  method('Module', layer, 'loadStateDict', () => [layer().stateDict(), { strict: true }]),
  method('Module', layer, 'loadStateDict', () => [Object.fromEntries(layer().stateDict()), { strict: false }]),
  method('Module', layer, 'to', () => ['float64']),
  method('Module', layer, 'copy'),
  method('Module', layer, 'toString'),
  {
    name: 'new ReparamBlock',
    enter: (exchange) => repconv.repconv(new Block(...(exchange([4, 'reparam']) as [number, string])).eval()),
  },
  {
    name: 'branches',
    enter: (exchange) => repconv.repconv(new Block(4, 'reparam', (_, x) => exchange([x])[0]).eval()),
  },
  {
    name: 'namedTensors, recorded',
    enter: (exchange) =>
      repconv.trace(
        { compute: (f, x) => f.relu(x), namedTensors: () => exchange([[['a', image()]]])[0] as [] },
        inputs,
      ),
  },
  { name: 'compute, computed', enter: (exchange) => new Sentence((_, x) => exchange([x])[0]).forward(image()) },
  { name: 'compute, recorded', enter: (exchange) => repconv.trace(new Sentence((_, x) => exchange([x])[0]), inputs) },
  method('ReparamBlock', block, 'fold'),
  method('ReparamBlock', block, 'getEquivalentKernelBias'),
  method('ReparamBlock', block, 'switchToDeploy'),
  method('ReparamBlock', block, 'replaceBranches', () => [new repconv.Conv2d(4, 4, 3)]),

  // Words

  ...word('lift', () => [image()]),
  ...word('commit', (_, x) => [repconv.ones([1, 4, 5, 5]), x]),
  ...word('apply', (f, x) => ['conv2d', [x, lifted(f, [4, 4, 3, 3]), null], { ...windows, paddingMode: 'zeros' }]),
  ...word('conv2d', (f, x) => [x, lifted(f, [4, 4, 3, 3]), lifted(f, [4]), { ...windows, paddingMode: 'zeros' }]),
  ...word('convTranspose2d', (f, x) => [x, lifted(f, [4, 4, 3, 3]), lifted(f, [4]), { ...windows, outputPadding: 0 }]),
  ...word('linear', (f, x) => [x, lifted(f, [4, 5]), lifted(f, [4])]),
  ...word('batchNorm', (f, x) => [x, parameters(f), { eps: 1e-5 }]),
  ...word('batchNormTraining', (f, x) => [x, parameters(f), { eps: 1e-5, momentum: 0.1 }]),
  ...word('add', (_, x) => [x, x]),
  ...word('mul', (_, x) => [x, x]),
  ...word('concat', (_, x) => [[x, x], { axis: 1 }]),
  ...word('pad', (_, x) => [x, { padding: 1, mode: 'zeros', value: 0 }]),
  ...(['relu', 'relu6', 'sigmoid', 'silu', 'hardSigmoid', 'hardSwish', 'tanh'] as const).flatMap((name) =>
    word(name, (_, x) => [x]),
  ),
  ...word('leakyRelu', (_, x) => [x, { negativeSlope: 0.1 }]),
  ...word('prelu', (f, x) => [x, lifted(f, [4])]),
  ...word('gelu', (_, x) => [x, { approximate: 'tanh' }]),
  ...word('softmax', (_, x) => [x, { axis: 1 }]),
  ...word('maxPool2d', (_, x) => [x, { kernelSize: 2, ...pooling, dilation: 1 }]),
  ...word('averagePool2d', (_, x) => [x, { kernelSize: 2, ...pooling, countIncludePad: true }]),
  ...word('globalAveragePool2d', (_, x) => [x]),
  ...word('globalMaxPool2d', (_, x) => [x]),
  ...word('adaptiveAveragePool2d', (_, x) => [x, { outputSize: [2, 2] }]),
  ...word('adaptiveMaxPool2d', (_, x) => [x, { outputSize: 2 }]),
  ...word('flatten', (_, x) => [x, { startAxis: 1, endAxis: -1 }]),
  ...word('reshape', (_, x) => [x, { shape: [0, -1] }]),
];

function compileOptions(): object {
  return {
    outputs: ['y'],
    precision: 'float32',
    threads: 1,
    maxBatch: 1,
    maxQueue: 1,
    foldBatchNorm: true,
    isa: 'scalar',
    conv: 'direct',
    preprocess: { x: { from: 'uint8-nhwc', mean: [0, 0, 0, 0], std: [1, 1, 1, 1] } },
  };
}

function out(): { output: Tensor } {
  return { output: repconv.zeros([1, 4, 3, 3]) };
}

/** Every options object of the public interface refuses names it does not know. */
import { describe, expect, it } from 'vitest';
import * as repconv from '../../lib/index.js';
import { type Ops, Tensor, trace } from '../../lib/index.js';
import { refusalOf } from '../cases/refusal.js';

type Words = Record<keyof Ops<unknown>, (...given: unknown[]) => unknown>;
const weight = new Tensor('float32', [4, 4, 3, 3]);
const channels = new Tensor('float32', [4]);

/** What a sentence says with its words, recorded. */
const said = (say: (f: Words, x: unknown) => unknown): unknown =>
  trace({ compute: (f, x) => say(f as unknown as Words, x) as typeof x }, { x: [1, 4, 5, 5] });
const norm = (f: Words): object => ({
  weight: null,
  bias: null,
  runningMean: f.lift(channels),
  runningVariance: f.lift(channels),
});

/** A call with an options object, and what is wrong with it. */
const calls: readonly (readonly [string, (options: object) => unknown, object, string])[] = [
  [
    'Conv2d',
    (o) => new repconv.Conv2d(4, 4, 3, o),
    { padding_mode: 'reflect' },
    'padding_mode; did you mean paddingMode?',
  ],
  [
    'ConvTranspose2d',
    (o) => new repconv.ConvTranspose2d(4, 4, 3, o),
    { output_padding: 1 },
    'output_padding; did you mean outputPadding?',
  ],
  ['Linear', (o) => new repconv.Linear(4, 4, o), { bais: false }, 'bais; it has bias'],
  [
    'BatchNorm2d',
    (o) => new repconv.BatchNorm2d(4, o),
    { track_running_stats: false },
    'track_running_stats; did you mean trackRunningStats?',
  ],
  ['MaxPool2d', (o) => new repconv.MaxPool2d(2, o), { ceil_mode: true }, 'ceil_mode; did you mean ceilMode?'],
  [
    'MaxPool2d',
    (o) => new repconv.MaxPool2d(2, o),
    { countIncludePad: true },
    'countIncludePad; it has stride, padding, ceilMode, dilation',
  ],
  [
    'AvgPool2d',
    (o) => new repconv.AvgPool2d(2, o),
    { count_include_pad: true },
    'count_include_pad; did you mean countIncludePad?',
  ],
  [
    'AvgPool2d',
    (o) => new repconv.AvgPool2d(2, o),
    { dilation: 2 },
    'dilation; it has stride, padding, ceilMode, countIncludePad',
  ],
  ['Flatten', (o) => new repconv.Flatten(o), { start_dim: 2 }, 'start_dim; did you mean startDim?'],
  ['Softmax', (o) => new repconv.Softmax(o as { dim: number }), { axis: 1 }, 'axis; did you mean dim?'],
  ['GELU', (o) => new repconv.GELU(o), { approx: 'tanh' }, 'approx; did you mean approximate?'],
  ['PReLU', (o) => new repconv.PReLU(o), { num_parameters: 4 }, 'num_parameters; did you mean numParameters?'],
  ['LeakyReLU', (o) => new repconv.LeakyReLU(o), { negative_slope: 1 }, 'negative_slope; did you mean negativeSlope?'],
  ['ReLU', (o) => new repconv.ReLU(o), { in_place: true }, 'in_place; did you mean inplace?'],
  ['SiLU', (o) => new repconv.SiLU(o), { in_place: true }, 'in_place; did you mean inplace?'],
  ['convBn', (o) => repconv.convBn(4, 4, 3, o), { paddingmode: 'zeros' }, 'paddingmode; did you mean paddingMode?'],
  [
    'ConvBlock',
    (o) => new repconv.ConvBlock(4, 4, o),
    { padding_mode: 'zeros' },
    'padding_mode; did you mean paddingMode?',
  ],
  [
    'RepVGGBlock',
    (o) => new repconv.RepVGGBlock(8, 8, o),
    { dilation: 2 },
    'dilation; it has stride, groups, useSe, eps, deploy',
  ],
  ['RepVGGBlock', (o) => new repconv.RepVGGBlock(8, 8, o), { use_se: true }, 'use_se; did you mean useSe?'],
  [
    'MobileOneBlock',
    (o) => new repconv.MobileOneBlock(8, 8, 3, o),
    { num_conv_branches: 2 },
    'num_conv_branches; did you mean branches?',
  ],
  [
    'SqueezeExcite',
    (o) => new repconv.SqueezeExcite(8, o as { reducedChannels: number }),
    { reduced: 2 },
    'reduced; did you mean reducedChannels?',
  ],
  ['RepVGG', (o) => repconv.createRepVGG('repvgg-a0', o), { num_classes: 10 }, 'num_classes; did you mean numClasses?'],
  [
    'MobileOne',
    (o) => repconv.createMobileOne('mobileone-s0', o),
    { num_classes: 10 },
    'num_classes; did you mean numClasses?',
  ],
  [
    'conv2d',
    (o) => said((f, x) => f.conv2d(x, f.lift(weight), null, o)),
    { strides: 2 },
    'strides; did you mean stride?',
  ],
  [
    'convTranspose2d',
    (o) => said((f, x) => f.convTranspose2d(x, f.lift(weight), null, o)),
    { paddingMode: 'zeros' },
    'paddingMode; did you mean padding?',
  ],
  ['batchNorm', (o) => said((f, x) => f.batchNorm(x, norm(f), o)), { epsilon: 1 }, 'epsilon; did you mean eps?'],
  [
    'batchNorm',
    (o) => said((f, x) => f.batchNorm(x, o)),
    { running_mean: channels },
    'running_mean; did you mean runningMean?',
  ],
  [
    'batchNormTraining',
    (o) => said((f, x) => f.batchNormTraining(x, norm(f), o)),
    { momentun: 1 },
    'momentun; did you mean momentum?',
  ],
  ['concat', (o) => said((f, x) => f.concat([x, x], o)), { dim: 1 }, 'dim; did you mean axis?'],
  ['pad', (o) => said((f, x) => f.pad(x, o)), { paddingMode: 'zeros' }, 'paddingMode; did you mean padding?'],
  ['leakyRelu', (o) => said((f, x) => f.leakyRelu(x, o)), { slope: 1 }, 'slope; did you mean negativeSlope?'],
  ['gelu', (o) => said((f, x) => f.gelu(x, o)), { tanh: true }, 'tanh; it has approximate'],
  ['softmax', (o) => said((f, x) => f.softmax(x, o)), { dim: 1 }, 'dim; did you mean axis?'],
  ['maxPool2d', (o) => said((f, x) => f.maxPool2d(x, o)), { kernel_size: 2 }, 'kernel_size; did you mean kernelSize?'],
  [
    'averagePool2d',
    (o) => said((f, x) => f.averagePool2d(x, o)),
    { kernelSize: 2, dilation: 1 },
    'dilation; it has kernelSize, stride, padding, ceilMode, countIncludePad',
  ],
  [
    'adaptiveAveragePool2d',
    (o) => said((f, x) => f.adaptiveAveragePool2d(x, o)),
    { output_size: 1 },
    'output_size; did you mean outputSize?',
  ],
  [
    'adaptiveMaxPool2d',
    (o) => said((f, x) => f.adaptiveMaxPool2d(x, o)),
    { size: 1 },
    'size; did you mean outputSize?',
  ],
  ['flatten', (o) => said((f, x) => f.flatten(x, o)), { start_dim: 1 }, 'start_dim; did you mean startAxis?'],
  ['reshape', (o) => said((f, x) => f.reshape(x, o)), { shap: [1] }, 'shap; did you mean shape?'],
  ['repconv', (o) => repconv.repconv(new repconv.ReLU(), o), { savepath: 'x' }, 'savepath; did you mean savePath?'],
  [
    'compile',
    (o) => repconv.compileSync(new repconv.ReLU(), o as repconv.CompileOptions),
    { inputs: { x: [1] }, maxbatch: 4 },
    'maxbatch; did you mean maxBatch?',
  ],
  [
    'toOnnx',
    (o) => repconv.toOnnx(new repconv.ReLU(), o),
    { inputs: { x: [1] }, opsett: 11 },
    'opsett; did you mean opset?',
  ],
  [
    'toOnnx',
    (o) => repconv.toOnnx(new repconv.ReLU(), o),
    { inputs: { x: [1] }, dynamic_axes: 11 },
    'dynamic_axes; did you mean inputs?',
  ],
  [
    'saveStateDictSync: "x.safetensors"',
    (o) => repconv.saveStateDictSync('x.safetensors', [], o),
    { meta: {} },
    'meta; did you mean metadata?',
  ],
  [
    'exportOnnxSync: "x.onnx"',
    (o) => repconv.exportOnnxSync(new repconv.ReLU(), 'x.onnx', o),
    { output_names: ['y'] },
    'output_names; did you mean outputs?',
  ],
  [
    'runSync',
    (o) => repconv.compileSync(new repconv.ReLU(), { inputs: { x: [1] } }).runSync(new Tensor('float32', [1]), o),
    { signal: AbortSignal.abort() },
    'signal; it has out',
  ],
];

describe('an unknown option is refused with the nearest known one by', () => {
  it.each(calls.map(([who, call, options, told]) => ({ who, name: Object.keys(options).at(-1), call, options, told })))(
    '$who: $name',
    ({ who, call, options, told }) => {
      const { code, message } = refusalOf(() => call(options));
      expect(message.startsWith(`${who}: `)).toBe(true);
      expect(message.replace(/^.* has no /, '')).toBe(told);
      expect(code).toBe('ERR_INPUT');
    },
  );
});

/**
 * Random networks as data: a list of steps, each reading values made before it, so that a failure prints a network and
 * shrinks to a small one.
 */

import fc from 'fast-check';
import { RepconvError } from '../../lib/errors.js';
import type { TensorType } from '../../lib/ops/operator.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import { type Ops, vocabulary } from '../../lib/ops/vocabulary.js';
import type { PaddingMode } from '../../lib/ops/window.js';
import { Random, rand, randn } from '../../lib/tensor/random.js';
import { shapeOf } from '../../lib/tensor/shape.js';
import { type AnyTensor, full, ones, type Tensor } from '../../lib/tensor/tensor.js';

const kinds = [
  'conv',
  'conv',
  'conv',
  'depthwise',
  'transposed',
  'batchNorm',
  'convNormActivation',
  'activation',
  'activation',
  'add',
  'add',
  'concat',
  'attention',
  'gate',
  'identity',
  'computedWeight',
  'maxPool',
  'averagePool',
  'pad',
] as const;
const activations = [
  'relu',
  'relu6',
  'leakyRelu',
  'sigmoid',
  'silu',
  'hardSigmoid',
  'hardSwish',
  'gelu',
  'tanh',
] as const;
const modes: readonly PaddingMode[] = ['zeros', 'zeros', 'reflect', 'replicate', 'circular'];

interface Step {
  readonly kind: (typeof kinds)[number];
  /** Which values it reads, from the newest back. */
  readonly of: number;
  readonly with: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly out: number;
  readonly groups: number;
  readonly activation: (typeof activations)[number];
  readonly mode: number;
}

export interface Network {
  readonly seed: number;
  readonly channels: number;
  readonly size: readonly [number, number];
  readonly steps: readonly Step[];
  /** Whether a flattened, linear head follows. */
  readonly head: boolean;
}

const small = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });

export const networks: fc.Arbitrary<Network> = fc.record({
  seed: fc.nat(),
  channels: small(1, 20),
  size: fc.tuple(small(1, 13), small(1, 13)),
  steps: fc.array(
    fc.record({
      kind: fc.constantFrom(...kinds),
      of: fc.oneof(fc.constant(0), small(0, 5)),
      with: small(0, 5),
      kernel: fc.tuple(small(1, 4), small(1, 4)),
      stride: fc.constantFrom(1, 1, 2, 3),
      out: small(1, 35),
      groups: small(1, 4),
      activation: fc.constantFrom(...activations),
      mode: small(0, modes.length - 1),
    }),
    { minLength: 1, maxLength: 9 },
  ),
  head: fc.boolean(),
});

type ConcreteType = TensorType & { readonly shape: readonly number[] };
type Compute = <X>(f: Ops<X>, values: readonly X[]) => X;

/**
 * What a network computes, with seeded parameters; steps that cannot be (a window that does not fit) are left out, with
 * `isOpen` also those that can be for some heights and widths only.
 */
export function networkOf(
  { seed, channels, size, steps, head }: Network,
  { isOpen = false } = {},
): { model: Traceable; inputShape: [number, ...number[]] } {
  const generator = new Random(seed);
  const inputShape: [number, ...number[]] = [1, channels, ...size];
  const types: ConcreteType[] = [{ dtype: 'float32', shape: inputShape }];
  const openTypes: TensorType[] = [{ dtype: 'float32', shape: shapeOf(['N', channels, 'H', 'W']) }];
  const sentences: Compute[] = [];
  for (const step of steps) {
    const sentence = sentenceOf(step, types, generator);
    if (sentence === null) continue;
    try {
      const type = sentence(typeOps, types) as ConcreteType;
      if (isOpen) openTypes.push(sentence(typeOps, openTypes));
      types.push(type);
      sentences.push(sentence);
    } catch (error) {
      if (!(error instanceof RepconvError)) throw error;
    }
  }
  const [, C] = types[types.length - 1].shape;
  const classifier = { weight: randn([5, C], { generator }), bias: randn([5], { generator }) };
  const model: Traceable = {
    compute: <X>(f: Ops<X>, input: X) => {
      const values = [input];
      for (const sentence of sentences) values.push(sentence(f, values));
      const last = values[values.length - 1];
      const middle = values[Math.floor(values.length / 2)];
      if (!head) return { last, middle };
      return {
        middle,
        last,
        logits: f.linear(f.flatten(f.globalAveragePool2d(last)), f.lift(classifier.weight), f.lift(classifier.bias)),
      };
    },
  };
  return { model, inputShape };
}

/** Sentences read for the shapes they give. */
const typeOps = vocabulary<TensorType>({
  lift: (tensor) => tensor,
  apply: (operator, inputs, attributes) => operator.infer(inputs, attributes),
});

function sentenceOf(step: Step, types: readonly ConcreteType[], generator: Random): Compute | null {
  const at = (back: number): number => types.length - 1 - (back % types.length);
  const source = at(step.of);
  const [, C, H, W] = types[source].shape;
  const normal = (shape: readonly number[], fanIn = 1): Tensor => {
    const values = randn(shape, { generator });
    for (let i = 0; i < values.data.length; i++) values.data[i] /= Math.sqrt(fanIn);
    return values;
  };
  const [K, L] = step.kernel;
  const padding: [number, number, number, number] = [
    Math.floor(K / 2),
    Math.floor((L - 1) / 2),
    Math.floor((K - 1) / 2),
    Math.floor(L / 2),
  ];
  const norm = (channels: number): Record<'weight' | 'bias' | 'runningMean' | 'runningVariance', AnyTensor> => ({
    weight: normal([channels]),
    bias: normal([channels]),
    runningMean: normal([channels]),
    runningVariance: rand([channels], { low: 0.5, high: 2, generator }),
  });
  const lifted = <X>(f: Ops<X>, p: ReturnType<typeof norm>): Parameters<Ops<X>['batchNorm']>[1] => ({
    weight: f.lift(p.weight),
    bias: f.lift(p.bias),
    runningMean: f.lift(p.runningMean),
    runningVariance: f.lift(p.runningVariance),
  });
  switch (step.kind) {
    case 'conv':
    case 'convNormActivation': {
      const groups = C % step.groups === 0 ? step.groups : 1;
      const out = groups * Math.ceil(step.out / groups);
      const weight = normal([out, C / groups, K, L], (C / groups) * K * L);
      const bias = step.with % 2 === 0 ? normal([out]) : null;
      const p = norm(out);
      const options = { stride: step.stride, padding, groups, paddingMode: modes[step.mode] };
      return (f, values) => {
        const y = f.conv2d(values[source], f.lift(weight), bias && f.lift(bias), options);
        return step.kind === 'conv' ? y : f[step.activation](f.batchNorm(y, lifted(f, p)));
      };
    }
    case 'depthwise': {
      const weight = normal([C, 1, K, L], K * L);
      return (f, values) => f.conv2d(values[source], f.lift(weight), null, { stride: step.stride, padding, groups: C });
    }
    case 'transposed': {
      const groups = C % step.groups === 0 ? step.groups : 1;
      const weight = normal([C, Math.ceil(step.out / groups / 2), K, L], C);
      return (f, values) => f.convTranspose2d(values[source], f.lift(weight), null, { stride: step.stride, groups });
    }
    case 'batchNorm': {
      const p = norm(C);
      return (f, values) => f.batchNorm(values[source], lifted(f, p));
    }
    case 'activation':
      return (f, values) => f[step.activation](values[source]);
    case 'add': {
      const alike = types.flatMap(({ shape }, i) => (String(shape) === String(types[source].shape) ? [i] : []));
      const other = alike[step.with % alike.length];
      return (f, values) => f[step.activation](f.add(values[source], values[other]));
    }
    case 'concat': {
      const alike = types.flatMap(({ shape: [, , rows, columns] }, i) => (rows === H && columns === W ? [i] : []));
      const other = alike[step.with % alike.length];
      return (f, values) => f.concat([values[source], values[other]], { axis: 1 });
    }
    case 'attention': {
      const weight = normal([C, C, 1, 1], C);
      return (f, values) =>
        f.mul(values[source], f.sigmoid(f.conv2d(f.globalAveragePool2d(values[source]), f.lift(weight), null)));
    }
    case 'gate': {
      // A value for each channel beside an image, or beside one that has but one channel: then neither has the result's
      // shape.
      const isThin = step.groups % 2 === 0;
      const weight = normal([1, C, 1, 1], C);
      const perChannel = normal([1, isThin ? step.out : C, 1, 1]);
      return (f, values) => {
        const image = isThin ? f.conv2d(values[source], f.lift(weight), null) : values[source];
        const operands =
          step.with % 2 === 0 ? ([f.lift(perChannel), image] as const) : ([image, f.lift(perChannel)] as const);
        return f[step.activation](step.stride === 2 ? f.add(...operands) : f.mul(...operands));
      };
    }
    case 'identity': {
      const [one, zero] = [ones([1, C, 1, 1]), full([1], -0)];
      return (f, values) => {
        const x = values[source];
        const ways = [
          () => f.pad(x, { padding: 0, mode: modes[step.mode] }),
          () => f.reshape(x, { shape: [0, 0, 0, 0] }),
          () => f.mul(x, f.lift(one)),
          () => f.add(f.lift(zero), x),
          () => f.maxPool2d(x, { kernelSize: 1 }),
          () => f.concat([x]),
        ];
        return ways[step.with % ways.length]();
      };
    }
    case 'computedWeight': {
      const weight = normal([step.out, C, K, L], C * K * L);
      const scale = normal([step.out, 1, 1, 1]);
      const p = norm(step.out);
      return (f, values) => {
        const y = f.conv2d(values[source], f.mul(f.lift(weight), f.sigmoid(f.lift(scale))), null, {
          stride: step.stride,
          padding,
        });
        return step.with % 2 === 0 ? y : f.batchNorm(y, lifted(f, p));
      };
    }
    case 'maxPool':
    case 'averagePool': {
      const options = {
        kernelSize: step.kernel,
        stride: step.stride,
        padding: [Math.floor(K / 2), Math.floor(L / 2)] as const,
      };
      return (f, values) =>
        step.kind === 'maxPool' ? f.maxPool2d(values[source], options) : f.averagePool2d(values[source], options);
    }
    case 'pad':
      return (f, values) => f.pad(values[source], { padding, mode: modes[step.mode] });
  }
}

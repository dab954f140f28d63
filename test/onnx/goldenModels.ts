/**
 * Models whose files ONNX's own checker has accepted: every operator in every operator set, open extents, other number
 * formats, whole networks.
 *
 * Weights come from a generator of this file, so that nothing but the writing of ONNX changes the bytes.
 */
import {
  AdaptiveAvgPool2d,
  ConvBlock,
  Flatten,
  Linear,
  MobileOneBlock,
  type Module,
  RepVGGBlock,
  Sequential,
} from '../../lib/index.js';
import { opsets } from '../../lib/onnx/opset.js';
import { type OnnxOptions, toOnnx } from '../../lib/onnx/toOnnx.js';
import type { FloatDType } from '../../lib/tensor/dtype.js';
import { Random } from '../../lib/tensor/random.js';
import { mergedGraph, type Open, openImage, spelledCases } from './caseGraph.js';

export interface GoldenModel {
  readonly name: string;
  bytes(): Uint8Array;
}

/**
 * In training form and, with other weights, in deployed form: what is held here is how they are written, not what they
 * compute.
 */
const networks: readonly { name: string; channels: number; make(deploy: boolean): Module }[] = [
  { name: 'block', channels: 32, make: (deploy) => new ConvBlock(32, 32, { deploy }) },
  {
    name: 'reflecting',
    channels: 6,
    make: (deploy) => new ConvBlock(6, 6, { paddingMode: 'reflect', groups: 2, deploy }),
  },
  {
    name: 'circular',
    channels: 6,
    make: (deploy) => new ConvBlock(6, 9, { paddingMode: 'circular', stride: 2, groups: 3, deploy }),
  },
  {
    name: 'stack',
    channels: 3,
    make: (deploy) =>
      new Sequential(
        new RepVGGBlock(3, 8, { stride: 2, deploy }),
        new MobileOneBlock(8, 8, 3, { padding: 1, groups: 8, branches: 2, deploy }),
        new ConvBlock(8, 4, { deploy }),
        new AdaptiveAvgPool2d(1),
        new Flatten(),
        new Linear(4, 10),
      ),
  },
];

export const goldenModels: readonly GoldenModel[] = [
  ...opsets.flatMap((opset) => [
    { name: `operators-opset${opset}`, bytes: () => operatorsModel({ opset }) },
    { name: `operators-open-opset${opset}`, bytes: () => operatorsModel({ opset }, openImage) },
  ]),
  ...(['float64', 'float16', 'bfloat16'] as const satisfies FloatDType[]).flatMap((dtype) =>
    opsets
      .filter((opset) => (dtype === 'bfloat16' ? opset >= 22 : [11, 17, 20].includes(opset)))
      .map((opset) => ({ name: `operators-${dtype}-opset${opset}`, bytes: () => operatorsModel({ opset, dtype }) })),
  ),
  ...[12, 17].flatMap((opset) =>
    networks.flatMap(({ name, channels, make }) => [
      { name: `${name}-opset${opset}`, bytes: () => networkModel(make(false), channels, opset) },
      { name: `${name}-deployed-opset${opset}`, bytes: () => networkModel(make(true), channels, opset) },
    ]),
  ),
];

function operatorsModel(options: OnnxOptions, open?: Open): Uint8Array {
  return toOnnx(mergedGraph(spelledCases, 'integers', open).graph, options);
}

function networkModel(model: Module, channels: number, opset: number): Uint8Array {
  return toOnnx(filled(model), {
    inputs: { images: ['N', channels, 24, 24] },
    outputs: ['output'],
    opset,
    metadata: { network: 'golden' },
  });
}

/** Every parameter and statistic anew: small multiples of 2⁻⁶, variances from ½ to 2. */
function filled<M extends Module>(model: M, seed = 1): M {
  const generator = new Random(seed);
  for (const [name, { data }] of model.eval().namedTensors()) {
    if (!(data instanceof Float32Array)) continue;
    const isVariance = name.endsWith('running_var');
    for (let i = 0; i < data.length; i++)
      data[i] = (isVariance ? generator.integer(32, 128) : generator.integer(-40, 40)) / 64;
  }
  return model;
}

/** The networks and blocks whose graphs, programs, reports and files are written down in `text/`. */
import {
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  ConvBlock,
  ConvTranspose2d,
  createMobileOne,
  createRepVGG,
  GELU,
  Hardswish,
  type InputSpec,
  LeakyReLU,
  Linear,
  MaxPool2d,
  MobileOneBlock,
  Module,
  type Ops,
  PReLU,
  RepVGGBlock,
  Sequential,
  SiLU,
} from '../../lib/index.js';
import { trained } from '../nn/trained.js';

/** Skips, products, a concatenation and two outputs: what the published networks do not have. */
class Branching extends Module {
  readonly first = this.child('first', new ConvBlock(3, 6, { stride: 2 }));
  readonly left = this.child('left', new Conv2d(6, 6, 3, { padding: 1, paddingMode: 'reflect' }));
  readonly right = this.child('right', new Sequential(new Conv2d(6, 6, 1), new BatchNorm2d(6), new SiLU()));
  readonly head = this.child('head', new Linear(12, 5));

  compute<X>(f: Ops<X>, x: X): X {
    const y = this.first.compute(f, x);
    const [left, right] = [this.left.compute(f, y), this.right.compute(f, y)];
    const joined = f.concat([f.relu(f.add(left, y)), f.mul(right, f.sigmoid(f.globalAveragePool2d(y)))]);
    return f.softmax(this.head.compute(f, f.flatten(f.globalMaxPool2d(joined))));
  }
}

export interface SnapshotModel {
  readonly name: string;
  readonly inputs: InputSpec;
  make(): Module;
}

const image = (channels: number, ...size: readonly (number | string)[]): InputSpec => ({
  images: ['N', channels, ...size],
});

export const models: readonly SnapshotModel[] = [
  { name: 'repvgg-a0', inputs: image(3, 64, 96), make: () => createRepVGG('repvgg-a0') },
  { name: 'mobileone-s0', inputs: image(3, 96, 64), make: () => createMobileOne('mobileone-s0') },
  { name: 'convBlock', inputs: image(8, 11, 9), make: () => new ConvBlock(8, 8) },
  { name: 'repvggBlock', inputs: image(8, 'H', 'W'), make: () => new RepVGGBlock(8, 12, { stride: 2, groups: 4 }) },
  {
    name: 'mobileOneBlock',
    inputs: image(8, 11, 9),
    make: () => new MobileOneBlock(8, 8, 3, { padding: 1, branches: 3, groups: 8 }),
  },
  { name: 'branching', inputs: image(3, 23, 17), make: () => new Branching() },
  {
    name: 'layers',
    inputs: image(4, 19, 14),
    make: () =>
      new Sequential(
        new Conv2d(4, 8, [3, 5], { stride: [2, 1], padding: [1, 2], groups: 2, bias: false }),
        new BatchNorm2d(8),
        new LeakyReLU({ negativeSlope: 0.1 }),
        new MaxPool2d(3, { stride: 2, padding: 1, ceilMode: true }),
        new ConvTranspose2d(8, 6, 4, { stride: 2, padding: 1, outputPadding: 1 }),
        new PReLU({ numParameters: 6 }),
        new AvgPool2d([2, 3], { countIncludePad: false }),
        new Hardswish(),
        new Conv2d(6, 6, 7, { padding: 3, groups: 6 }),
        new GELU(),
      ),
  },
];

/** The model as if it had been trained, in evaluation mode. */
export function madeModel({ make }: SnapshotModel): Module {
  return trained(make(), 7);
}

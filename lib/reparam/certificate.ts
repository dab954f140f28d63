/**
 * Certificates: two sentences compared by what they do, in float64, not by how they were made.
 *
 * An affine sentence is known completely from its answers to the zero image and to every impulse (one pixel of one
 * channel set to 1). On a map a little larger than the kernels, every way in which an impulse can meet the border
 * occurs, so these samples decide about every image. Of impulses that differ only in where they are (layouts.ts) one is
 * computed.
 *
 * Where all channels one by one would cost more than the budget, they are mixed with seeded random signs: nothing is
 * left out then, but two errors could cancel, so the certificate says `complete: false`.
 */
import { type CompareAnswers, compareAnswersNatively, type Layout, type Samples } from '../engine/answers.js';
import { Random } from '../tensor/random.js';
import { sameShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { type AffineSentence, type Recorded, recorded } from './impulse.js';
import { impulseLayouts, zeroLayout } from './layouts.js';

/**
 * How far a block and the convolution in its place are apart, measured in float64 by impulses: images that are 0 but
 * for one pixel of one channel, and the image of zeros.
 */
export interface Certificate {
  /**
   * Largest |before − after| over all outputs for all of them; ∞ where one is not a number, or the outputs differ in
   * size.
   */
  readonly absolute: number;
  /** The same over the largest |before|: typically 3e-8 in float32, which is the rounding of the weights. */
  readonly relative: number;
  /** Extents of the images: a little larger than the kernels, so that every kind of border is met. */
  readonly map: readonly number[];
  /** Positions of the impulses: all of the image's. */
  readonly positions: number;
  /** Impulses at each, one a channel; or mixes of all channels, where one by one would take too long. */
  readonly samplesPerPosition: number;
  /**
   * Whether every channel was driven by itself at every position: then no input whatever can tell the two apart by
   * more.
   */
  readonly complete: boolean;
}

export interface CertificateOptions {
  /** Channels of the input. */
  readonly channels: number;
  /** d·(k − 1) + 1 of the larger kernel along each axis. */
  readonly reach: readonly number[];
  readonly stride: readonly number[];
  /** Multiply-accumulates to spend. */
  readonly budget?: number;
  /** For the signs of mixes. */
  readonly seed?: number;
  /** Who computes the answers; tests have another. */
  readonly compare?: CompareAnswers;
}

/** Compares what two affine sentences answer to the zero image and to impulses. */
export function certify(before: AffineSentence, after: AffineSentence, options: CertificateOptions): Certificate {
  const { channels, reach, stride, budget = 1e8, seed = 1, compare = compareAnswersNatively } = options;
  // No two extents are the same, so that no exchange of the axes goes unseen.
  const map = reach.map((r, axis) => 2 * r + stride[axis] - 1 + axis);
  const steps = recorded(before, after, [1, channels, ...map]);
  const { layouts, positions } = impulseLayouts(steps);
  const zero = zeroLayout(steps);

  // One channel alone at every place, and what all of them cost.
  const each = layouts.reduce((sum, layout) => sum + costOf(steps, layout, 1), 0);
  const affordable = Math.floor((budget - costOf(steps, zero, channels)) / Math.max(1, each));
  const complete = affordable >= channels;
  const samplesPerPosition = complete ? channels : Math.max(1, Math.floor(affordable / channels));
  const about = { map, positions, samplesPerPosition, complete };
  // Where the one gives an image of another size than the other, they are not the same, whatever is in it.
  const [x, y] = steps.compared;
  if (steps.channels[x] !== steps.channels[y] || !sameShape(steps.extents[x], steps.extents[y]))
    return { absolute: Infinity, relative: Infinity, ...about };

  const samples: Samples = complete
    ? { kind: 'impulses', firstChannel: 0, count: channels }
    : { kind: 'mixes', numbers: mixes([layouts.length, samplesPerPosition, channels], new Random(seed)) };
  const found = [compare(steps, [zero], { kind: 'zero' }), compare(steps, layouts, samples)];
  const absolute = Math.max(...found.map(({ distance }) => distance));
  const scale = Math.max(...found.map(({ magnitude }) => magnitude));
  return { absolute, relative: absolute === 0 || absolute === Infinity ? absolute : absolute / scale, ...about };
}

/** Multiply-accumulates of one sample in which `driven` channels are not zero. */
function costOf({ steps, channels }: Recorded, { moves }: Layout, driven: number): number {
  let cost = 0;
  const widths = [driven];
  for (const [i, step] of steps.entries()) {
    const inputs = step.kind === 'place' ? step.inputs : [step.input];
    const width = Math.max(...inputs.map((input) => widths[input]));
    if (step.kind === 'contract') {
      const { groups, input } = step;
      const outputs = channels[i + 1] / groups;
      cost += (moves[i].length / 3) * width * outputs;
      widths.push(Math.ceil((width * groups) / channels[input]) * outputs);
    } else {
      // What is added reaches every channel, but costs nothing.
      widths.push(width);
    }
  }
  return cost;
}

/** Random signs. */
function mixes(shape: readonly number[], generator: Random): Tensor<'float64'> {
  const mixes = new Tensor('float64', shape);
  mixes.data.forEach((_, i, data) => {
    data[i] = generator.uniform() < 0.5 ? -1 : 1;
  });
  return mixes;
}

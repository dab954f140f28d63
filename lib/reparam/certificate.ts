/**
 * Certificates: two sentences compared by what they do, in float64, not by how they were made.
 *
 * An affine sentence is known completely from its answers to the zero image and to every impulse (one pixel of one
 * channel set to 1). On a map a little larger than the kernels, every way in which an impulse can meet the border
 * occurs, so these samples decide about every image.
 *
 * Where all impulses would cost more than a small part of the budget, positions are thinned, to one of each border
 * class. If that is still too much for all of it, channels are mixed with seeded random signs: nothing is left out
 * then, but two errors could cancel, so the certificate says `complete: false`.
 */
import type { TensorType } from '../ops/operator.js';
import { type Ops, vocabulary } from '../ops/vocabulary.js';
import { Random } from '../tensor/random.js';
import { sameShape } from '../tensor/shape.js';
import { type AffineSentence, ImpulseReader } from './impulse.js';
import { compared, type Patches } from './patches.js';

/** What comparing two sentences found. */
export interface Certificate {
  /**
   * Largest |before − after| over all outputs of all samples; ∞ where one is not a number, or the outputs differ in
   * size.
   */
  readonly absolute: number;
  /** The same over the largest |before|. */
  readonly relative: number;
  /** Height and width of the map that the samples lay on. */
  readonly map: readonly [number, number];
  /** Positions of the impulses. */
  readonly positions: number;
  /** Impulses, or mixes of all channels, at each. */
  readonly samplesPerPosition: number;
  /**
   * Whether every channel was driven by itself at positions of every border class: then no input whatever can tell the
   * two apart by more.
   */
  readonly complete: boolean;
}

export interface CertificateOptions {
  /** Channels of the input. */
  readonly channels: number;
  /** d·(k − 1) + 1 of the larger kernel along each axis. */
  readonly reach: readonly [number, number];
  readonly stride: readonly [number, number];
  /** Multiply-accumulates to spend. The default takes about a third of a second. */
  readonly budget?: number;
  /** For the signs of mixes. */
  readonly seed?: number;
}

/** Compares what two affine sentences answer to the zero image and to impulses. */
export function certify(
  before: AffineSentence,
  after: AffineSentence,
  { channels, reach, stride, budget = 1e8, seed = 1 }: CertificateOptions,
): Certificate {
  // Not square, so that no exchange of the axes goes unseen.
  const map = [2 * reach[0] + stride[0] - 1, 2 * reach[1] + stride[1]] as const;
  const reader = new ImpulseReader([1, channels, ...map]);
  const everywhere = positionsOf(map, (extent) => range(extent));
  const classes = positionsOf(map, (extent, axis) => borderClasses(extent, reach[axis], stride[axis]));

  // Where the one gives an image of another size than the other, they are not the same, whatever is in it.
  const [shapeBefore, shapeAfter] = [before, after].map(
    (sentence) => sentence(outputTypes, { dtype: 'float64', shape: reader.shape }).shape,
  );
  const found = { absolute: sameShape(shapeBefore, shapeAfter) ? 0 : Infinity, scale: 0 };
  const compare = (a: Patches, b: Patches): void => {
    const { distance, magnitude } = compared(reader.memory, a, b);
    found.absolute = Math.max(found.absolute, distance);
    found.scale = Math.max(found.scale, magnitude);
    reader.memory.reset();
  };
  compare(reader.readZero(before), reader.readZero(after));

  // An impulse costs most in the middle, where it reaches most.
  const fixed = reader.macs;
  const middle = map.map((extent) => Math.floor(extent / 2)) as [number, number];
  const [answer] = [before, after].map((sentence) => reader.read(sentence, impulses(middle, 0, 1)));
  const samplesPerRead = Math.max(1, Math.floor(valuesPerRead / Math.max(1, answer.data.length)));
  reader.memory.reset();
  const each = Math.max(1, reader.macs - fixed);
  const affordable = (positions: readonly unknown[]): number => Math.floor((budget - fixed) / positions.length / each);
  // Within a class one position says what another does, so all of them are taken only where that is cheap.
  const positions = affordable(everywhere) >= 4 * channels ? everywhere : classes;
  const complete = affordable(positions) >= channels;
  const samplesPerPosition = complete ? channels : Math.max(1, Math.floor(affordable(positions) / channels));

  const generator = new Random(seed);
  for (const position of positions) {
    for (let first = 0; first < samplesPerPosition; first += samplesPerRead) {
      const count = Math.min(samplesPerRead, samplesPerPosition - first);
      const samples = complete ? impulses(position, first, count) : mixes(position, channels, count, generator);
      compare(reader.read(before, samples), reader.read(after, samples));
    }
  }
  const relative = found.absolute === 0 || found.absolute === Infinity ? found.absolute : found.absolute / found.scale;
  return { absolute: found.absolute, relative, map, positions: positions.length, samplesPerPosition, complete };
}

/** Sentences read for the type of what they give. */
const outputTypes: Ops<TensorType> = vocabulary<TensorType>({
  lift: (tensor) => tensor,
  apply: (operator, inputs, attributes) => operator.infer(inputs, attributes),
});

/** So many samples go through the operators together that their answers fill a part of a second-level cache. */
const valuesPerRead = 2 ** 15;

/** For each of `count` channels one sample, in which it alone is 1 at one pixel. */
function impulses(position: readonly [number, number], first: number, count: number): Patches {
  const channels = Int32Array.from({ length: count }, (_, i) => first + i);
  return { ...pixel(position), first: channels, width: 1, data: new Float64Array(count).fill(1) };
}

/** All channels at one pixel with random signs. */
function mixes(position: readonly [number, number], channels: number, samples: number, generator: Random): Patches {
  const data = new Float64Array(samples * channels).map(() => (generator.uniform() < 0.5 ? -1 : 1));
  return { ...pixel(position), first: new Int32Array(samples), width: channels, data };
}

function pixel([top, left]: readonly [number, number]): Pick<Patches, 'top' | 'left' | 'rows' | 'columns'> {
  return { top, left, rows: 1, columns: 1 };
}

function positionsOf(
  [H, W]: readonly [number, number],
  along: (extent: number, axis: 0 | 1) => readonly number[],
): (readonly [number, number])[] {
  return along(H, 0).flatMap((y) => along(W, 1).map((x) => [y, x] as const));
}

/** Everything within reach of either end, and one stride's worth in the middle. */
function borderClasses(extent: number, reach: number, stride: number): number[] {
  const middle = Math.floor((extent - stride) / 2);
  return range(extent).filter((i) => i < reach - 1 || i > extent - reach || (i >= middle && i < middle + stride));
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

/**
 * Certificates: two sentences compared by what they do, in float64, not by how they were made.
 *
 * An affine sentence is known completely from its answers to the zero image and to every impulse (one pixel of one channel set to 1). On a map a
 * little larger than the kernels, every way in which an impulse can meet the border occurs, so these samples decide about every image.
 *
 * Where all impulses would cost more than the budget, positions are thinned first, to one of each border class. If that is still too much, channels
 * are mixed with seeded random signs: nothing is left out then, but two errors could cancel, so the certificate says `complete: false`.
 */
import { Random } from '../tensor/random.js';
import { type AffineSentence, ImpulseReader, type Patch, type Response, unitedSum } from './impulse.js';

/** What comparing two sentences found. */
export interface Certificate {
  /** Largest |before − after| over all outputs of all samples. */
  readonly absolute: number;
  /** The same over the largest |before|. */
  readonly relative: number;
  /** Height and width of the map that the samples lay on. */
  readonly map: readonly [number, number];
  /** Positions of the impulses. */
  readonly positions: number;
  /** Impulses, or mixes of all channels, at each. */
  readonly samplesPerPosition: number;
  /** Whether every channel was driven by itself at positions of every border class: then no input whatever can tell the two apart by more. */
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

  const price = (samples: readonly Patch[]): number => {
    const start = reader.macs;
    for (const sentence of [before, after]) reader.read(sentence, samples);
    return reader.macs - start;
  };
  // The zero image is answered with every position; an impulse costs most in the middle, where it reaches most.
  const fixed = price([]);
  const each = Math.max(1, price([impulse(map.map((extent) => Math.floor(extent / 2)) as [number, number], 0, channels)]) - fixed);
  const affordable = (positions: readonly unknown[]): number => Math.floor((budget / positions.length - fixed) / each);
  const positions = affordable(everywhere) >= channels ? everywhere : classes;
  const complete = affordable(positions) >= channels;
  const samplesPerPosition = complete ? channels : Math.max(1, Math.floor(affordable(positions) / channels));

  const generator = new Random(seed);
  const found = { absolute: 0, scale: 0 };
  for (const position of positions) {
    const samples = range(samplesPerPosition).map((i) => (complete ? impulse(position, i, channels) : mix(position, channels, generator)));
    compare(reader.read(before, samples), reader.read(after, samples), found);
  }
  const relative = found.absolute === 0 ? 0 : found.absolute / found.scale;
  return { absolute: found.absolute, relative, map, positions: positions.length, samplesPerPosition, complete };
}

/** Largest difference and largest value of two responses to the same samples. */
function compare(before: Response, after: Response, found: { absolute: number; scale: number }): void {
  const pairs = [[before.zero, after.zero], ...before.patches.map((patch, i) => [patch, after.patches[i]])];
  for (const [a, b] of pairs) {
    // What one does not reach is zero.
    for (const distance of unitedSum(a, { ...b, data: b.data.map((value) => -value) }).data) {
      if (!(Math.abs(distance) <= found.absolute)) found.absolute = Number.isNaN(distance) ? Infinity : Math.abs(distance);
    }
    for (const value of a.data) found.scale = Math.max(found.scale, Math.abs(value));
  }
}

function impulse(position: readonly [number, number], channel: number, channels: number): Patch {
  const data = new Float64Array(channels);
  data[channel] = 1;
  return pixel(position, data);
}

function mix(position: readonly [number, number], channels: number, generator: Random): Patch {
  return pixel(
    position,
    Float64Array.from({ length: channels }, () => (generator.uniform() < 0.5 ? -1 : 1)),
  );
}

function pixel([top, left]: readonly [number, number], data: Float64Array): Patch {
  return { top, left, rows: 1, columns: 1, data };
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

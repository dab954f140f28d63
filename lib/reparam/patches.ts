/**
 * Sparse images: what a few impulses turn into on their way through affine operators.
 *
 * An impulse (some values at one pixel) reaches few pixels, and, where groups keep channels apart, few channels. So the
 * answers to all samples of one position share a *rectangle* of pixels, and each has a *range* of channels of its own;
 * everything outside is zero.
 *
 *     data   [sample][row][column][channel of the sample's range]
 */

export interface Patches {
  readonly top: number;
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
  /** For each sample, the first channel of its range. */
  readonly first: Int32Array;
  /** Channels in every range. */
  readonly width: number;
  readonly data: Float64Array;
}

/**
 * Memory for patches, used again and again: fresh memory for each would have to be paged in and collected, and would
 * not be in the processor's cache.
 */
export class Scratch {
  #chunk = new Float64Array(2 ** 17);
  #used = 0;

  /** Zeros, until the next {@link reset}. */
  zeros(length: number): Float64Array {
    return this.#take(length).fill(0);
  }

  copyOf(data: Float64Array): Float64Array {
    const copy = this.#take(data.length);
    copy.set(data);
    return copy;
  }

  /** Takes everything back. */
  reset(): void {
    this.#used = 0;
  }

  #take(length: number): Float64Array {
    if (this.#used + length > this.#chunk.length) {
      // What lies in the old chunk stays valid.
      this.#chunk = new Float64Array(2 * Math.max(this.#chunk.length, length));
      this.#used = 0;
    }
    this.#used += length;
    return this.#chunk.subarray(this.#used - length, this.#used);
  }
}

/** The ranges of channels of some samples. */
export type Ranges = Pick<Patches, 'first' | 'width'>;

/** `samples` images that are zero everywhere. */
export function emptyPatches(samples: number): Patches {
  return { top: 0, left: 0, rows: 0, columns: 0, first: new Int32Array(samples), width: 0, data: new Float64Array() };
}

/** One sample with the same values at every pixel. */
export function constantImage(memory: Scratch, rows: number, columns: number, values: Float64Array): Patches {
  const data = memory.zeros(rows * columns * values.length);
  for (let at = 0; at < data.length; at += values.length) data.set(values, at);
  return { top: 0, left: 0, rows, columns, first: new Int32Array(1), width: values.length, data };
}

/** a + b, on the rectangle and the ranges around both. */
export function sum(memory: Scratch, a: Patches, b: Patches): Patches {
  if (b.data.length === 0) return a;
  const around = outline(a, b);
  const isAround = a.rows === around.rows && a.columns === around.columns && a.width === around.width;
  const result = isAround ? { ...around, data: memory.copyOf(a.data) } : laidOut(memory, a, around);
  accumulate(result, b);
  return result;
}

/**
 * The largest |a − b| and the largest |a|; infinite where a number is NaN. What one of the two does not reach is zero
 * there.
 */
export function compared(memory: Scratch, a: Patches, b: Patches): { distance: number; magnitude: number } {
  const isAlike =
    a.top === b.top && a.left === b.left && a.rows === b.rows && a.columns === b.columns && a.width === b.width;
  if (!isAlike || a.first.some((first, s) => first !== b.first[s])) {
    const around = outline(a, b);
    return compared(memory, laidOut(memory, a, around), laidOut(memory, b, around));
  }
  const [x, y] = [a.data, b.data];
  let distance = 0;
  let magnitude = 0;
  for (let i = 0; i < x.length; i++) {
    const here = Math.abs(x[i]);
    const apart = Math.abs(x[i] - y[i]);
    // Written so that NaN is noticed.
    if (!(here <= magnitude)) magnitude = Number.isNaN(here) ? Infinity : here;
    if (!(apart <= distance)) distance = Number.isNaN(apart) ? Infinity : apart;
  }
  return { distance, magnitude };
}

/** The same, with zeros around it. */
function laidOut(memory: Scratch, x: Patches, around: Omit<Patches, 'data'>): Patches {
  const result = { ...around, data: memory.zeros(around.first.length * around.rows * around.columns * around.width) };
  accumulate(result, x);
  return result;
}

/** The rectangle and the ranges around two patches. */
function outline(a: Patches, b: Patches): Omit<Patches, 'data'> {
  if (a.data.length === 0) return b;
  if (b.data.length === 0) return a;
  const [top, left] = [Math.min(a.top, b.top), Math.min(a.left, b.left)];
  return {
    top,
    left,
    rows: Math.max(a.top + a.rows, b.top + b.rows) - top,
    columns: Math.max(a.left + a.columns, b.left + b.columns) - left,
    ...rangesAround(
      a.first.map((first, s) => Math.min(first, b.first[s])),
      a.first.map((first, s) => Math.max(first + a.width, b.first[s] + b.width)),
    ),
  };
}

/**
 * Ranges of one width, each with its samples' channels from `low` up to `high`. A narrower one is continued downwards,
 * so none leaves the channels.
 */
export function rangesAround(low: Int32Array, high: Int32Array): Ranges {
  let width = 0;
  for (let s = 0; s < low.length; s++) width = Math.max(width, high[s] - low[s]);
  return { first: low.map((first, s) => Math.max(0, Math.min(first, high[s] - width))), width };
}

/** Adds `from` to `into`, which lies around it. */
function accumulate(into: Patches, from: Patches): void {
  // In names of their own: V8 reads fields of objects anew in every turn of a loop that writes.
  const [target, source, width] = [into.data, from.data, from.width];
  let at = 0;
  for (let s = 0; s < from.first.length; s++) {
    const channel = from.first[s] - into.first[s];
    for (let y = 0; y < from.rows; y++) {
      const line = (s * into.rows + from.top - into.top + y) * into.columns + from.left - into.left;
      for (let x = 0; x < from.columns; x++) {
        const to = (line + x) * into.width + channel;
        for (let c = 0; c < width; c++) target[to + c] += source[at + c];
        at += width;
      }
    }
  }
}

/** Every channel times its factor. */
export function scaled(memory: Scratch, x: Patches, factors: Float64Array): Patches {
  const [source, width, perSample] = [x.data, x.width, x.rows * x.columns * x.width];
  const data = memory.zeros(source.length);
  for (let at = 0; at < source.length; at += width) {
    const channel = x.first[Math.floor(at / perSample)];
    for (let c = 0; c < width; c++) data[at + c] = source[at + c] * factors[channel + c];
  }
  return { ...x, data };
}

/** For every input index along one axis: which outputs read it, by which tap. */
export type Reached = readonly (readonly { readonly at: number; readonly tap: number }[])[];

/** What one pixel of a sample (its values from `from` on) adds to one output pixel (whose range begins at `to`). */
export type PixelRule = (
  sample: number,
  from: number,
  target: Float64Array,
  to: number,
  row: number,
  column: number,
) => void;

/** Sends every pixel to the outputs that read it; `ranges` are those of the outputs. */
export function scattered(
  memory: Scratch,
  x: Patches,
  rows: Reached,
  columns: Reached,
  ranges: Ranges,
  pixel: PixelRule,
): Patches {
  const [top, height] = span(rows.slice(x.top, x.top + x.rows));
  const [left, breadth] = span(columns.slice(x.left, x.left + x.columns));
  const samples = x.first.length;
  const data = memory.zeros(samples * height * breadth * ranges.width);
  if (data.length === 0) return emptyPatches(samples);
  let from = 0;
  for (let s = 0; s < samples; s++) {
    for (let y = 0; y < x.rows; y++) {
      for (let column = 0; column < x.columns; column++, from += x.width) {
        for (const down of rows[x.top + y]) {
          for (const across of columns[x.left + column]) {
            const to = ((s * height + down.at - top) * breadth + across.at - left) * ranges.width;
            pixel(s, from, data, to, down.tap, across.tap);
          }
        }
      }
    }
  }
  return { top, left, rows: height, columns: breadth, first: ranges.first, width: ranges.width, data };
}

/** First output and number of outputs that a range of inputs reaches. */
function span(reached: Reached): [number, number] {
  let [low, high] = [Infinity, -1];
  for (const outputs of reached) {
    for (const { at } of outputs) {
      low = Math.min(low, at);
      high = Math.max(high, at);
    }
  }
  return high < 0 ? [0, 0] : [low, high - low + 1];
}

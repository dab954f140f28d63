/**
 * Seeded random numbers: the same seed gives the same numbers on every machine and every version of Node.
 *
 * Generator: sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state. Normal deviates by Marsaglia's polar method,
 * not by Box and Muller's, because newer V8 has another sine, which differs in the last bit.
 */
import { anyNumber, finiteNumber, isInstance, refused, wholeNumber } from '../checks.js';
import { optionsOf } from '../options.js';
import type { DType } from './dtype.js';
import { Tensor } from './tensor.js';

/**
 * A generator of its own: the same seed gives the same numbers on every machine. Pass it to {@link randn} and
 * {@link rand}, or draw single numbers. It is Chris Doty-Humphrey's sfc32, of the PractRand suite.
 */
export class Random {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;
  #spare: number | undefined;

  /** @param seed any number; its 64 bits as a double are the seed */
  constructor(seed = 0) {
    const bits = new DataView(new ArrayBuffer(8));
    bits.setFloat64(0, anyNumber(seed, 'Random: seed'));
    this.#a = bits.getInt32(0);
    this.#b = bits.getInt32(4);
    this.#c = 0x9e3779b9 | 0;
    for (let i = 0; i < 15; i++) this.#next();
  }

  /** Uniform in [0, 1), 32 bits. */
  uniform(): number {
    return (this.#next() >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    wholeNumber(low, 'integer: low', Number.MIN_SAFE_INTEGER);
    wholeNumber(high, 'integer: high', low);
    return low + Math.floor(this.uniform() * (high - low + 1));
  }

  /** Standard normal deviate. */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    let [x, y, square] = [0, 0, 0];
    while (square === 0 || square >= 1) {
      [x, y] = [2 * this.uniform() - 1, 2 * this.uniform() - 1];
      square = x * x + y * y;
    }
    const stretch = Math.sqrt((-2 * Math.log(square)) / square);
    this.#spare = stretch * y;
    return stretch * x;
  }

  #next(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + result) | 0;
    return result;
  }
}

let processGenerator = new Random(Math.floor(Math.random() * 2 ** 32));

/**
 * Makes everything random that follows (new layers, `randn`, `rand`) reproducible in this process. @throws ERR_INPUT
 */
export function manualSeed(seed: number): void {
  processGenerator = new Random(seed);
}

/** The generator that layers fork theirs from. */
export function defaultGenerator(): Random {
  return processGenerator;
}

/**
 * A tensor of standard normal numbers, rounded to the format (float32 unless `dtype` says otherwise); from `generator`,
 * or from the process' own.
 * @throws ERR_SHAPE, ERR_LIMIT, ERR_OOM, ERR_INPUT
 * @example
 * ```ts
 * import { Random, randn } from 'repconv';
 *
 * const images = randn([8, 3, 224, 224], { generator: new Random(7) }); // the same numbers each time
 * console.log(images.size); // 1204224
 * ```
 */
export function randn<D extends DType = 'float32'>(
  shape: readonly number[],
  options: { generator?: Random; dtype?: D } = {},
): Tensor<D> {
  const { generator, dtype } = optionsOf(options, { generator: processGenerator, dtype: undefined }, 'randn');
  checkGenerator(generator, 'randn');
  return filled(shape, dtype, () => generator.normal());
}

/**
 * A tensor of numbers uniform in [low, high), which is [0, 1) unless told otherwise, then rounded to the format.
 * @throws ERR_SHAPE, ERR_LIMIT, ERR_OOM, ERR_INPUT
 */
export function rand<D extends DType = 'float32'>(
  shape: readonly number[],
  options: { low?: number; high?: number; generator?: Random; dtype?: D } = {},
): Tensor<D> {
  const defaults = { low: 0, high: 1, generator: processGenerator, dtype: undefined };
  const { low, high, generator, dtype } = optionsOf(options, defaults, 'rand');
  checkGenerator(generator, 'rand');
  const range = finiteNumber(high, 'rand: high') - finiteNumber(low, 'rand: low');
  return filled(shape, dtype, () => low + range * generator.uniform());
}

/** @throws ERR_INPUT */
function checkGenerator(generator: unknown, operation: string): void {
  if (!isInstance(generator, Random)) throw refused(`${operation}: generator`, 'a Random', generator);
}

function filled<D extends DType>(shape: readonly number[], dtype: D | undefined, draw: () => number): Tensor<D> {
  const result = new Tensor('float64', shape);
  const { data } = result;
  for (let i = 0; i < data.length; i++) data[i] = draw();
  return result.to(dtype ?? ('float32' as D));
}

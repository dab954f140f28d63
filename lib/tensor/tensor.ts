/**
 * A tensor: a number format, a shape, and the typed array of its elements in row-major order. Images are [N, C, H, W].
 *
 * The array belongs to whoever holds it: `tensor.data` may be read and written, and every operation that returns a
 * tensor returns fresh memory (`reshape` is the exception, and says so).
 */
import { inspect, types } from 'node:util';
import { anyNumber, entriesOf, isInstance, isList, refused } from '../checks.js';
import { RepconvError, shown } from '../errors.js';
import { type DataOf, type DType, dtypes, isArrayFor, isDType, storageLength } from './dtype.js';
import { checkedShape, checkedSize, maxRank, showShape, sizeOf } from './shape.js';

/** A tensor of any number format. */
export type AnyTensor = Tensor<DType>;

/** Numbers, nested as deeply as the tensor has axes. */
export type NestedNumbers = number | readonly NestedNumbers[];

/** Writes the numbers of a tensor, from the first on, into one stretch of memory after the other. */
export interface Writer<D extends DType> {
  write(stretch: DataOf<D>): void;
}

/** In place of an array: memory is taken, and written by what `begin` gives, when `data` is first read. */
export class WhenRead<D extends DType> {
  constructor(readonly begin: () => Writer<D>) {}
}

/**
 * Gives a tensor the numbers of `data`: copied into its array, or as its array where it has none yet. Nobody else may
 * have `data`.
 */
export let setNumbers: <D extends DType>(tensor: Tensor<D>, data: DataOf<D>) => void;

/** Whether it is a tensor that a constructor made: a proxy of one is none, nor what only inherits from one. */
export let isTensor: (value: unknown) => value is AnyTensor;

/**
 * Numbers of one format with a shape, in row-major order: the last axis varies fastest. `data` may be read and written.
 *
 * Posted to a Worker, or cloned by `structuredClone`, a tensor arrives as the plain object of its fields, with memory
 * of its own, and `new Tensor(posted.dtype, posted.shape, posted.data)` makes it a tensor again. With
 * `tensor.data.buffer` in the list of what is transferred nothing is copied, and the sender's tensor is lost; without
 * it the whole of that buffer is copied, which many tensors of one file may share: `clone()` first where that is more
 * than is meant.
 *
 * @example
 * ```ts
 * import { Tensor } from 'repconv';
 *
 * const image = new Tensor('float32', [1, 1, 2, 2], new Float32Array([1, 2, 3, 4]));
 * image.data[0] = 0.5;
 * console.log(image.shape, image.size); // [ 1, 1, 2, 2 ] 4
 * console.log(image.reshape([2, 2]).toArray()); // [ [ 0.5, 2 ], [ 3, 4 ] ]
 * console.log(image.to('float16').dtype); // float16
 * ```
 */
export class Tensor<out D extends DType = 'float32'> {
  /** The number format, by PyTorch's name. */
  readonly dtype: D;
  /** Extents, outermost first; images are [N, C, H, W], and a single number is []. */
  readonly shape: readonly number[];
  /**
   * The elements in row-major order.
   * @throws ERR_INPUT once they are gone (see {@link isIntact}); nothing here computes with what is not there
   */
  declare readonly data: DataOf<D>;
  #elements: DataOf<D> | WhenRead<D>;
  readonly #length: number;

  /**
   * What `data` is: the one place through which every reader comes. A property of the tensor's own, as its `dtype` and
   * `shape` are, so that a structured clone and a comparison of two tensors see all three.
   */
  static readonly #dataProperty: PropertyDescriptor & ThisType<AnyTensor> = {
    enumerable: true,
    get() {
      if (this.#elements instanceof WhenRead) this.#elements = this.#firstRead(this.#elements);
      checkIntact(this, () => `tensor: ${this.dtype} ${showShape(this.shape)}`);
      return this.#elements;
    },
  };

  static {
    isTensor = (value): value is AnyTensor => typeof value === 'object' && value !== null && #elements in value;
    setNumbers = (tensor, data) => {
      if (tensor.#elements instanceof WhenRead) tensor.#elements = data;
      else (tensor.data as Float32Array).set(data as Float32Array);
    };
  }

  /**
   * Wraps `data` (no copy), or allocates zeros.
   * @throws ERR_INPUT for an unknown dtype, an array of another kind or one whose buffer was transferred away,
   * ERR_SHAPE
   * when the length is not the product of the shape
   */
  constructor(dtype: D, shape: readonly number[], data?: DataOf<D>);
  /**
   * For layers, which hand over what writes their numbers when somebody first reads them: a network that is about to be
   * loaded draws no weights, nor takes memory for them. @internal
   */
  constructor(dtype: D, shape: readonly number[], data?: DataOf<D> | WhenRead<D>);
  constructor(dtype: D, shape: readonly number[], data?: DataOf<D> | WhenRead<D>) {
    this.dtype = checkedDType(dtype, 'tensor: dtype');
    this.shape = Object.freeze(checkedShape(shape, 'tensor'));
    const size = checkedSize(this.shape, 'tensor');
    this.#length = storageLength(dtype, size);
    Object.defineProperty(this, 'data', Tensor.#dataProperty);
    const isWhenRead = isInstance<WhenRead<D>>(data, WhenRead);
    if ((data === undefined || isWhenRead) && size > maxElements)
      throw new RepconvError('ERR_LIMIT', `tensor: shape ${showShape(this.shape)} has more than 2^31 - 1 elements`);
    if (isWhenRead) {
      this.#elements = data;
      return;
    }
    const elements = data === undefined ? allocate(dtype, this.#length, this.shape) : data;
    if (!isArrayFor(dtype, elements)) {
      throw new RepconvError('ERR_INPUT', `tensor: ${dtype} expects a ${dtypes[dtype].array.name}, got ${shown(data)}`);
    }
    if (elements.length !== this.#length) {
      throw new RepconvError(
        'ERR_SHAPE',
        `tensor: shape ${showShape(this.shape)} expects ${this.#length} ${dtypes[dtype].array.name} elements, got ${elements.length}`,
      );
    }
    this.#elements = ofFixedLength(dtype, elements);
    checkIntact(this, () => 'tensor: data');
  }

  /**
   * Whether the elements are still in memory: false once their buffer was transferred away (to a worker, or because
   * WebAssembly's memory grew) or resized to less.
   */
  get isIntact(): boolean {
    const elements = this.#elements;
    if (elements instanceof WhenRead) return true;
    return elements.length === this.#length && (this.#length > 0 || !isDetached(elements));
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** The same elements under another shape; shares the memory. One extent may be -1. @throws ERR_SHAPE */
  reshape(shape: readonly number[]): Tensor<D> {
    const wanted = (entriesOf(shape, maxRank) ?? []) as number[];
    const isWanted = isList(shape) && wanted.length === shape.length;
    const known = checkedShape(isWanted ? wanted.filter((extent) => extent !== -1) : shape, 'reshape');
    const rest = this.size / sizeOf(known);
    const fits =
      known.length === wanted.length
        ? this.size === sizeOf(known)
        : known.length === wanted.length - 1 && Number.isInteger(rest);
    if (!fits) {
      throw new RepconvError('ERR_SHAPE', `reshape: ${showShape(this.shape)} cannot become ${showShape(wanted)}`);
    }
    return new Tensor(
      this.dtype,
      wanted.map((extent) => (extent === -1 ? rest : extent)),
      this.data,
    );
  }

  /** A copy with its own memory. */
  clone(): Tensor<D> {
    const copy = this.#elements instanceof WhenRead ? this.#elements : (this.data.slice() as DataOf<D>);
    return new Tensor(this.dtype, this.shape, copy);
  }

  /**
   * The same numbers in another format, each rounded once to nearest-even; a copy even when the format stays. @throws
   * ERR_UNSUPPORTED for formats that are only carried
   */
  to<T extends DType>(dtype: T): Tensor<T> {
    if (checkedDType<DType>(dtype, 'to: dtype') === this.dtype) return this.clone() as unknown as Tensor<T>;
    const convert = conversion(this.dtype, dtype);
    if (this.#elements instanceof WhenRead)
      return new Tensor(dtype, this.shape, convertedWhenRead(this.#elements, this.dtype, convert));
    const result = new Tensor(dtype, this.shape);
    convert(this.data, result.data);
    return result;
  }

  /** The elements as (nested) JavaScript numbers. */
  toArray(): NestedNumbers {
    const { data } = this.to('float64');
    const nest = (axis: number, start: number, length: number): NestedNumbers => {
      if (axis === this.shape.length) return data[start];
      const step = this.shape[axis] === 0 ? 0 : length / this.shape[axis];
      return Array.from({ length: this.shape[axis] }, (_, i) => nest(axis + 1, start + i * step, step));
    };
    return nest(0, 0, this.size);
  }

  #firstRead({ begin }: WhenRead<D>): DataOf<D> {
    const elements = allocate(this.dtype, this.#length, this.shape);
    begin().write(elements);
    return elements;
  }

  /** Format and shape: `Tensor(float32, [1,3,224,224])`. */
  toString(): string {
    return `Tensor(${this.dtype}, ${showShape(this.shape)})`;
  }

  /** What `console.log` shows. @internal */
  [inspect.custom](_depth: number, options: object): string {
    if (!this.isIntact) return `${this} whose buffer was transferred or resized`;
    const values = inspect(this.size <= 1000 ? this.data : this.data.slice(0, 8), options);
    return `${this} ${values}`;
  }
}

/**
 * Guard of doors that take tensors and can say which one it is: its elements are still in memory.
 * @param what how the message begins: operation and name
 * @throws ERR_INPUT
 */
export function checkIntact(tensor: AnyTensor, what: () => string): void {
  if (tensor.isIntact) return;
  const length = storageLength(tensor.dtype, tensor.size);
  throw new RepconvError(
    'ERR_INPUT',
    `${what()} expects ${length} elements in memory, but its buffer was transferred or resized`,
  );
}

/**
 * A tensor from (nested) numbers or a flat list, in float32 unless `dtype` says otherwise.
 * @param shape needed only where `values` is flat and the tensor is not
 * @throws ERR_SHAPE for ragged nesting or a length that is not the product of `shape`, ERR_INPUT for an array whose
 * buffer was transferred away
 * @example
 * ```ts
 * import { tensor } from 'repconv';
 *
 * console.log(tensor([[1, 2, 3], [4, 5, 6]]).shape); // [ 2, 3 ]
 * console.log(tensor([1, 2, 3, 4], [2, 2], 'float64').dtype); // float64
 * ```
 */
export function tensor<D extends DType = 'float32'>(
  values: NestedNumbers | ArrayLike<number>,
  shape?: readonly number[],
  dtype: D = 'float32' as D,
): Tensor<D> {
  const [numbers, found] = ArrayBuffer.isView(values) ? ofTypedArray(values) : ofLists(values as NestedNumbers);
  return new Tensor('float64', shape ?? found, numbers).to(dtype);
}

/** A tensor of zeros. @throws ERR_SHAPE, ERR_LIMIT, ERR_OOM */
export function zeros<D extends DType = 'float32'>(shape: readonly number[], dtype: D = 'float32' as D): Tensor<D> {
  return new Tensor(dtype, shape);
}

/**
 * A tensor with `value`, rounded to the format, everywhere. @throws ERR_SHAPE, ERR_LIMIT, ERR_OOM, ERR_UNSUPPORTED for
 * formats that are only carried
 */
export function full<D extends DType = 'float32'>(
  shape: readonly number[],
  value: number,
  dtype: D = 'float32' as D,
): Tensor<D> {
  anyNumber(value, 'full: value');
  const result = new Tensor(dtype, shape);
  (result.data as { fill(value: number | bigint): unknown }).fill(numberAccess(dtype).write(value));
  return result;
}

/** A tensor of ones. @throws as {@link full} */
export function ones<D extends DType = 'float32'>(shape: readonly number[], dtype: D = 'float32' as D): Tensor<D> {
  return full(shape, 1, dtype);
}

/** Converts elements of one format into as many of another. */
function conversion<From extends DType, Into extends DType>(
  from: From,
  into: Into,
): (numbers: DataOf<From>, result: DataOf<Into>) => void {
  const read = numberAccess(from).read as (element: number | bigint) => number;
  const { write } = numberAccess(into);
  // Numbers as typed arrays convert them.
  if (numberAccess(from) === numberAccess(into)) {
    return (numbers, result) => (result as Float64Array).set(numbers as Float64Array);
  }
  return (numbers, result) => {
    const [elements, converted] = [numbers as ArrayLike<number | bigint>, result as { [i: number]: number | bigint }];
    for (let i = 0; i < elements.length; i++) converted[i] = write(read(elements[i]));
  };
}

function convertedWhenRead<From extends DType, Into extends DType>(
  { begin }: WhenRead<From>,
  from: From,
  convert: (numbers: DataOf<From>, result: DataOf<Into>) => void,
): WhenRead<Into> {
  return new WhenRead(() => {
    const writer = begin();
    return {
      write(stretch) {
        const numbers = new dtypes[from].array(stretch.length);
        writer.write(numbers);
        convert(numbers, stretch);
      },
    };
  });
}

function checkedDType<D extends DType>(dtype: D, what: string): D {
  if (isDType(dtype)) return dtype;
  throw refused(what, `one of ${Object.keys(dtypes).join(', ')}`, dtype);
}

function numberAccess(dtype: DType): { read(element: never): number; write(value: number): number | bigint } {
  const access = dtypes[dtype].number;
  if (access === undefined)
    throw new RepconvError('ERR_UNSUPPORTED', `tensor: ${dtype} is stored and carried, but not converted`);
  return access;
}

/**
 * The most elements that memory is asked for. Nobody means more, and drawing or filling them would keep a machine busy
 * for minutes before it fails.
 */
const maxElements = 2 ** 31 - 1;

function allocate<D extends DType>(dtype: D, length: number, shape: readonly number[]): DataOf<D> {
  try {
    return new dtypes[dtype].array(length);
  } catch (cause) {
    throw new RepconvError('ERR_OOM', `tensor: no memory for ${dtype} ${showShape(shape)}`, { cause });
  }
}

/**
 * The array, or one of the same memory whose length stays: an array over a buffer that can be resized may follow its
 * length, in the midst of a computation if another thread does it, and a tensor's shape does not.
 */
function ofFixedLength<D extends DType>(dtype: D, elements: DataOf<D>): DataOf<D> {
  const buffer: ArrayBufferLike & { readonly resizable?: boolean; readonly growable?: boolean } = elements.buffer;
  const canChange = buffer.resizable === true || buffer.growable === true;
  return canChange ? new dtypes[dtype].array(buffer, elements.byteOffset, elements.length) : elements;
}

/** Whether an array lost its elements: an empty one has none either, but it can be used. */
export function isDetached(elements: { at(index: number): unknown }): boolean {
  try {
    elements.at(0);
    return false;
  } catch {
    return true;
  }
}

/** The numbers, and their shape. */
type Numbers = [Float64Array, readonly number[]];

function ofTypedArray(values: ArrayBufferView): Numbers {
  if (types.isDataView(values) || types.isBigInt64Array(values) || types.isBigUint64Array(values))
    throw new RepconvError(
      'ERR_INPUT',
      `tensor: expects a typed array of numbers, got a ${values[Symbol.toStringTag]}`,
    );
  const array = values as DataOf<'float32'>;
  if (isDetached(array))
    throw new RepconvError(
      'ERR_INPUT',
      'tensor: expects numbers in memory, but their buffer was transferred or resized',
    );
  const numbers = allocate('float64', array.length, [array.length]);
  numbers.set(array);
  return [numbers, [array.length]];
}

function ofLists(values: NestedNumbers): Numbers {
  const shape = checkedShape(nestedShape(values), 'tensor');
  if (!isNestedAs(values, shape))
    throw new RepconvError(
      'ERR_SHAPE',
      `tensor: expects numbers in lists of equal length and depth, as the first branch ${showShape(shape)}`,
    );
  const numbers = allocate('float64', sizeOf(shape), shape);
  let at = 0;
  const copy = (level: NestedNumbers, axis: number): void => {
    if (axis === shape.length) numbers[at++] = level as number;
    else for (const inner of level as readonly NestedNumbers[]) copy(inner, axis + 1);
  };
  copy(values, 0);
  return [numbers, shape];
}

function nestedShape(values: NestedNumbers): number[] {
  const shape: number[] = [];
  for (let level = values; isList(level); level = level[0] as NestedNumbers) {
    shape.push(level.length);
    if (level.length === 0 || shape.length > maxRank) break;
  }
  return shape;
}

function isNestedAs(values: NestedNumbers, shape: readonly number[], axis = 0): boolean {
  if (axis === shape.length) return typeof values === 'number';
  if (!isList(values) || values.length !== shape[axis]) return false;
  // Not by `every`, which passes over holes, one by one.
  for (let i = 0; i < values.length; i++) if (!isNestedAs(values[i] as NestedNumbers, shape, axis + 1)) return false;
  return true;
}

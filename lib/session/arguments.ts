/** What callers hand to a run: checked, and put in the order of the program. */
import { types } from 'node:util';
import { listed, printable, RepconvError, shown } from '../errors.js';
import { isPlainObject } from '../options.js';
import { Random, randn } from '../tensor/random.js';
import { type Shape, showShape, sizeOf } from '../tensor/shape.js';
import { checkIntact, isTensor, Tensor } from '../tensor/tensor.js';

/**
 * What one input takes: a tensor; of an input that `preprocess` makes from bytes, a uint8 tensor [N, H, W, C] or the
 * bytes bare, as canvas gives them too.
 */
export type SessionInput = Tensor<'float32' | 'uint8'> | Uint8Array | Uint8ClampedArray;
/** Inputs by name; a model of one input also takes its own bare. */
export type SessionInputs = SessionInput | Readonly<Record<string, SessionInput>>;
/** Tensors by output name. */
export type SessionOutputs = Record<string, Tensor>;

/** One input, as runs bring it: bytes [N, H, W, C] where `preprocess` says so. */
export interface DeclaredInput {
  readonly name: string;
  readonly dtype: 'float32' | 'uint8';
  readonly shape: Shape;
}

/** An input as it was given: its memory and its shape. */
export interface GivenInput {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array;
}

/**
 * The inputs by name, or the only one bare, in their order. Shapes are looked at by InputShapes. @throws ERR_INPUT,
 * ERR_SHAPE for bytes without a shape
 */
export function checkedInputs(
  given: SessionInputs,
  declared: readonly DeclaredInput[],
  operation: string,
): GivenInput[] {
  const names = declared.map(({ name }) => name);
  const isBare = (isTensor(given) || isBytes(given) || isPosted(given)) && names.length === 1;
  const record: unknown = isBare ? { [names[0]]: given } : given;
  const isRecord = isPlainObject(record);
  const unknown = isRecord ? Object.keys(record).filter((name) => !names.includes(name)) : [];
  if (!isRecord || unknown.length > 0)
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: expects the inputs ${listed(names)}${unknown.length > 0 ? ` and no others, got ${listed(unknown)}` : `, got ${shown(given, { depth: 0 })}`}`,
    );
  return declared.map((input) => {
    const value = Object.hasOwn(record, input.name) ? record[input.name] : undefined;
    if (isBytes(value) && input.dtype === 'uint8') {
      const shape = shapeOfBytes(value.length, input, operation);
      const data = types.isUint8Array(value) ? value : new Uint8Array(value.buffer, value.byteOffset, value.length);
      return { shape, data };
    }
    const what = (): string => `${operation}: input ${printable(input.name, 60)}`;
    if (!isTensor(value)) {
      const expected = input.dtype === 'uint8' ? 'a Tensor or Uint8Array' : 'a Tensor';
      const found = isPosted(value)
        ? 'one that was posted: new Tensor(dtype, shape, data) makes it one again'
        : typeof value;
      throw new RepconvError('ERR_INPUT', `${what()} expects ${expected}, got ${found}`);
    }
    if (value.dtype !== input.dtype)
      throw new RepconvError('ERR_INPUT', `${what()} expects ${input.dtype}, got ${value.dtype}`);
    checkIntact(value, what);
    return value as GivenInput;
  });
}

/** Inputs of these shapes, the same each time. @param shapes null: they are not known @throws ERR_INPUT */
export function randomInputs(
  declared: readonly DeclaredInput[],
  shapes: readonly (readonly number[])[] | null,
  operation: string,
): Record<string, Tensor<'float32' | 'uint8'>> {
  if (shapes === null) {
    const open = listed(declared.map(({ name, shape }) => `${name} ${showShape(shape)}`));
    throw new RepconvError('ERR_INPUT', `${operation}: expects inputs where more than the batch is open: ${open}`);
  }
  const generator = new Random(1);
  return Object.fromEntries(
    declared.map(({ name, dtype }, i) => {
      if (dtype === 'float32') return [name, randn(shapes[i], { generator })];
      const bytes = new Tensor('uint8', shapes[i]);
      for (let k = 0; k < bytes.size; k++) bytes.data[k] = generator.integer(0, 255);
      return [name, bytes];
    }),
  );
}

function isBytes(value: unknown): value is Uint8Array | Uint8ClampedArray {
  return types.isUint8Array(value) || types.isUint8ClampedArray(value);
}

/** Whether it is what a structured clone, to or from a Worker, makes of a tensor. */
function isPosted(value: unknown): boolean {
  return isPlainObject(value) && ['dtype', 'shape', 'data'].every((name) => Object.hasOwn(value, name));
}

/** Bare bytes have the declared shape; how many images they are tells their length. */
function shapeOfBytes(length: number, { name, shape }: DeclaredInput, operation: string): number[] {
  const [batch, ...image] = shape;
  if (!image.every((extent) => typeof extent === 'number'))
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: input ${printable(name, 60)} expects a uint8 Tensor, whose shape tells the extents that ${showShape(shape)} leaves open; got a Uint8Array`,
    );
  const images = length / sizeOf(image as number[]);
  if (!Number.isInteger(images) || images === 0 || (typeof batch === 'number' && images !== batch))
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: input ${printable(name, 60)} expects the bytes of ${showShape(shape)}, got ${length}`,
    );
  return [images, ...(image as number[])];
}

/** The tensors that a run writes into: those given, and fresh ones for the rest. @throws ERR_INPUT, ERR_SHAPE */
export function checkedOutputs(
  out: Tensor | Readonly<Record<string, Tensor>> | undefined,
  outputs: readonly (readonly [string, readonly number[]])[],
  operation: string,
): SessionOutputs {
  const names = outputs.map(([name]) => name);
  const isBare = isTensor(out) && names.length === 1;
  const record = isBare ? { [names[0]]: out } : out === undefined ? {} : isPlainObject(out) ? out : null;
  const unknown = Object.keys(record ?? {}).filter((name) => !names.includes(name));
  if (record === null || unknown.length > 0)
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: out expects tensors for the outputs ${listed(names)}${record === null ? `, got ${shown(out, { depth: 0 })}` : ` and no others, got ${listed(unknown)}`}`,
    );
  return Object.fromEntries(
    outputs.map(([name, shape]) => {
      if (!Object.hasOwn(record, name)) return [name, new Tensor('float32', shape)];
      const value: unknown = record[name];
      const what = (): string => `${operation}: out.${printable(name, 60)}`;
      if (!isTensor(value)) throw new RepconvError('ERR_INPUT', `${what()} expects a Tensor, got ${typeof value}`);
      if (value.dtype !== 'float32')
        throw new RepconvError('ERR_INPUT', `${what()} expects float32, got ${value.dtype}`);
      if (showShape(value.shape) !== showShape(shape))
        throw new RepconvError('ERR_SHAPE', `${what()} expects ${showShape(shape)}, got ${showShape(value.shape)}`);
      checkIntact(value, what);
      return [name, value as Tensor];
    }),
  );
}

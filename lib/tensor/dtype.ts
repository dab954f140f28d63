/**
 * The number formats a tensor can be stored in: one table, from which names, sizes, typed arrays and file names follow.
 *
 * Arithmetic is done in float32 (native) and float64 (reference). The rest are storage: they are converted, kept and
 * written back byte for byte. Names are PyTorch's; `file` is the name in a safetensors header.
 */
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from './half.js';

/** The typed array of each number format. */
type Arrays = {
  float64: Float64Array;
  float32: Float32Array;
  /** the bits */ float16: Uint16Array;
  /** the bits */ bfloat16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  uint64: BigUint64Array;
  uint32: Uint32Array;
  uint16: Uint16Array;
  uint8: Uint8Array;
  bool: Uint8Array;
  /** the bytes of (real, imaginary) float32 pairs */ complex64: Uint8Array;
  float8_e4m3fn: Uint8Array;
  float8_e4m3fnuz: Uint8Array;
  float8_e5m2: Uint8Array;
  float8_e5m2fnuz: Uint8Array;
  float8_e8m0fnu: Uint8Array;
  /** packed as in the file */ float6_e2m3fn: Uint8Array;
  /** packed as in the file */ float6_e3m2fn: Uint8Array;
  /** packed as in the file, two a byte */ float4_e2m1fn: Uint8Array;
};

/**
 * A number format, by PyTorch's name: `float64`, `float32`, `float16`, `bfloat16`; `int64`, `int32`, `int16`, `int8`,
 * `uint64`, `uint32`, `uint16`, `uint8`, `bool`. These are only stored and carried: `complex64`, `float8_e4m3fn`,
 * `float8_e4m3fnuz`, `float8_e5m2`, `float8_e5m2fnuz`, `float8_e8m0fnu`, `float6_e2m3fn`, `float6_e3m2fn`,
 * `float4_e2m1fn`.
 */
export type DType = keyof Arrays;
/**
 * The typed array that holds the elements of a tensor of format `D`: `Float32Array` for `float32`, `BigInt64Array` for
 * `int64`, and so on. `float16` and `bfloat16` are their bits, in a `Uint16Array`; `bool` is 0 or 1 in a `Uint8Array`,
 * and what is only carried is its bytes in one.
 */
export type DataOf<D extends DType> = Arrays[D];
/** The formats that a network's weights may have. */
export type FloatDType = 'float64' | 'float32' | 'float16' | 'bfloat16';

type DTypeRow<D extends DType> = {
  readonly bits: number;
  readonly file: string;
  readonly array: {
    new (length: number): DataOf<D>;
    new (buffer: ArrayBufferLike, byteOffset: number, length: number): DataOf<D>;
    readonly BYTES_PER_ELEMENT: number;
    readonly name: string;
  };
  /** How an element is read and written as a number; absent where the bits are only carried. */
  readonly number?: { read(element: never): number; write(value: number): number | bigint };
};

const plain = { read: (element: number): number => element, write: (value: number): number => value };
const whole = {
  read: (element: bigint): number => Number(element),
  /** What is no number becomes 0, as in the narrower integer arrays. */
  write: (value: number): bigint => (Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n),
};

/** The table itself. */
export const dtypes: { readonly [D in DType]: DTypeRow<D> } = {
  float64: { bits: 64, file: 'F64', array: Float64Array, number: plain },
  float32: { bits: 32, file: 'F32', array: Float32Array, number: plain },
  float16: { bits: 16, file: 'F16', array: Uint16Array, number: { read: float16ToNumber, write: numberToFloat16 } },
  bfloat16: { bits: 16, file: 'BF16', array: Uint16Array, number: { read: bfloat16ToNumber, write: numberToBfloat16 } },
  int64: { bits: 64, file: 'I64', array: BigInt64Array, number: whole },
  int32: { bits: 32, file: 'I32', array: Int32Array, number: plain },
  int16: { bits: 16, file: 'I16', array: Int16Array, number: plain },
  int8: { bits: 8, file: 'I8', array: Int8Array, number: plain },
  uint64: { bits: 64, file: 'U64', array: BigUint64Array, number: whole },
  uint32: { bits: 32, file: 'U32', array: Uint32Array, number: plain },
  uint16: { bits: 16, file: 'U16', array: Uint16Array, number: plain },
  uint8: { bits: 8, file: 'U8', array: Uint8Array, number: plain },
  bool: {
    bits: 8,
    file: 'BOOL',
    array: Uint8Array,
    number: { read: plain.read, write: (value) => (value !== 0 ? 1 : 0) },
  },
  complex64: { bits: 64, file: 'C64', array: Uint8Array },
  float8_e4m3fn: { bits: 8, file: 'F8_E4M3', array: Uint8Array },
  float8_e4m3fnuz: { bits: 8, file: 'F8_E4M3FNUZ', array: Uint8Array },
  float8_e5m2: { bits: 8, file: 'F8_E5M2', array: Uint8Array },
  float8_e5m2fnuz: { bits: 8, file: 'F8_E5M2FNUZ', array: Uint8Array },
  float8_e8m0fnu: { bits: 8, file: 'F8_E8M0', array: Uint8Array },
  float6_e2m3fn: { bits: 6, file: 'F6_E2M3', array: Uint8Array },
  float6_e3m2fn: { bits: 6, file: 'F6_E3M2', array: Uint8Array },
  float4_e2m1fn: { bits: 4, file: 'F4', array: Uint8Array },
};

/** Whether `name` is a format of the table. */
export function isDType(name: unknown): name is DType {
  return typeof name === 'string' && Object.hasOwn(dtypes, name);
}

/**
 * Whether `value` is the kind of typed array that holds elements of this format. What it *is* counts, not which
 * `Float32Array` made it: Jest and `vm` have one of their own.
 */
export function isArrayFor<D extends DType>(dtype: D, value: unknown): value is DataOf<D> {
  return ArrayBuffer.isView(value) && (value as DataOf<D>)[Symbol.toStringTag] === dtypes[dtype].array.name;
}

/** Whether arithmetic may be asked for in this format. */
export function isFloatDType(dtype: DType): dtype is FloatDType {
  return dtype === 'float64' || dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';
}

/**
 * Length of the typed array that stores `size` elements (smaller or larger than `size` where elements are packed or
 * split into bytes).
 */
export function storageLength(dtype: DType, size: number): number {
  const { bits, array } = dtypes[dtype];
  return Math.ceil((size * bits) / (array.BYTES_PER_ELEMENT * 8));
}

/** Good files with small damage: what disks, networks and careless editors make of them. */
import { type Random, randn } from '../../lib/tensor/random.js';
import { type AnyTensor, Tensor, tensor } from '../../lib/tensor/tensor.js';

/** A state dict with every kind of entry: formats of every width, a scalar, an empty tensor. */
export function sampleTensors(random: Random): [string, AnyTensor][] {
  return [
    ['conv.weight', randn([4, 2, 3, 3], { generator: random })],
    ['conv.bias', randn([4], { generator: random, dtype: 'float16' })],
    ['bn.num_batches_tracked', tensor([1000], [], 'int64')],
    ['flags', tensor([1, 0, 1], [3], 'bool')],
    ['empty', new Tensor('float32', [0, 3])],
  ];
}

/** A copy with one change: a bit, a byte, a digit, bytes cut, doubled, moved or wiped, the end missing or repeated. */
export function mutated(original: Uint8Array, random: Random): Uint8Array {
  const bytes = Buffer.from(original);
  const at = random.integer(0, bytes.length - 1);
  const length = random.integer(1, 12);
  const other = random.integer(0, bytes.length - 1);
  const kinds: readonly (() => Buffer)[] = [
    () => withByte(bytes, at, bytes[at] ^ (1 << random.integer(0, 7))),
    () => withByte(bytes, at, random.integer(0, 255)),
    () => withByte(bytes, random.integer(0, 15), random.integer(0, 255)),
    () => withDigit(bytes, at, random.integer(0, 9)),
    () => bytes.subarray(0, at),
    () => Buffer.concat([bytes, bytes.subarray(0, length)]),
    () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]),
    () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(other, other + length), bytes.subarray(at)]),
    () => withCopy(bytes, at, other, length),
    () => bytes.fill(random.integer(0, 1) * 0xff, at, Math.min(at + length, bytes.length)),
  ];
  return kinds[random.integer(0, kinds.length - 1)]();
}

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  bytes[at] = value;
  return bytes;
}

/** The next decimal digit at or behind `at`, changed: shapes, offsets, formats, the digest. */
function withDigit(bytes: Buffer, at: number, digit: number): Buffer {
  const found = bytes.subarray(at).findIndex((byte) => byte >= 0x30 && byte <= 0x39);
  return found < 0 ? bytes : withByte(bytes, at + found, 0x30 + digit);
}

function withCopy(bytes: Buffer, at: number, from: number, length: number): Buffer {
  bytes.copy(bytes, at, from, from + length);
  return bytes;
}

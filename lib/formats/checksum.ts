/**
 * The checksum of a state dict, kept in the file's `__metadata__`.
 *
 * SHA-256 over an encoding that does not depend on where things lie in the file, in which nothing can be taken for
 * anything else. Counts and lengths are 64-bit little-endian; a text is its length in bytes and its UTF-8; entries are
 * sorted by the UTF-8 of their names.
 *
 *     number of metadata entries   (key, value) …    all but the checksum itself
 *     number of tensors            (name, dtype as in the file, rank, extents …, length in bytes, bytes) …
 *
 * Two keys carry it: one holds the digest, the other says that there is one, so that damage to either key is noticed
 * too. It guards against damage, not against forgery.
 */
import { createHash, type Hash } from 'node:crypto';
import { printable, RepconvError } from '../errors.js';
import { type DType, dtypes } from '../tensor/dtype.js';
import { call, type Steps } from './steps.js';

/** Says that there is a checksum, and of which kind. */
export const checksumKindKey = 'repconv.checksum';
/** Holds the digest, in hexadecimal. */
export const checksumKey = 'repconv.sha256';
/** The kind this file describes. */
export const checksumKind = 'sha256';

/** Hashed between two pauses: some 4 ms of work. */
const bytesPerPause = 2 ** 22;

/** What of a tensor goes into the checksum. */
export interface ChecksummedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** The digest in hexadecimal. */
export function* checksumOf(
  tensors: readonly ChecksummedTensor[],
  metadata: ReadonlyMap<string, string>,
): Steps<string> {
  const hash = createHash('sha256');
  const entries = [...metadata].filter(([key]) => key !== checksumKey);
  updateNumbers(hash, entries.length);
  for (const [key, value] of entries.sort(([a], [b]) => compareUtf8(a, b))) {
    updateText(hash, key);
    updateText(hash, value);
  }
  updateNumbers(hash, tensors.length);
  let untilPause = bytesPerPause;
  for (const { name, dtype, shape, bytes } of [...tensors].sort((a, b) => compareUtf8(a.name, b.name))) {
    updateText(hash, name);
    updateText(hash, dtypes[dtype].file);
    updateNumbers(hash, shape.length, ...shape, bytes.length);
    for (let begin = 0; begin < bytes.length; begin += bytesPerPause) {
      const piece = bytes.subarray(begin, begin + bytesPerPause);
      hash.update(piece);
      untilPause -= piece.length;
      if (untilPause > 0) continue;
      untilPause = bytesPerPause;
      yield* call('pause');
    }
  }
  return hash.digest('hex');
}

/**
 * Compares content with the checksum in its metadata, if there is one.
 * @throws ERR_CORRUPT when they differ or half of the checksum is missing, ERR_UNSUPPORTED for a kind this version does
 * not know
 */
export function* verifyChecksum(
  tensors: readonly ChecksummedTensor[],
  metadata: ReadonlyMap<string, string>,
  source: string,
): Steps<void> {
  const [kind, expected] = [metadata.get(checksumKindKey), metadata.get(checksumKey)];
  if (kind === undefined && expected === undefined) return;
  if (kind === undefined || expected === undefined) {
    const missing = kind === undefined ? checksumKindKey : checksumKey;
    throw new RepconvError(
      'ERR_CORRUPT',
      `${source}: checksum expects "${checksumKindKey}" and "${checksumKey}" in the metadata, got no "${missing}"`,
    );
  }
  if (kind !== checksumKind)
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${source}: checksum expects the kind "${checksumKind}", got "${printable(kind)}"`,
    );
  const actual = yield* checksumOf(tensors, metadata);
  if (actual !== expected)
    throw new RepconvError(
      'ERR_CORRUPT',
      `${source}: checksum expects ${printable(expected, 64)}, got ${actual}: the file is damaged`,
    );
}

/**
 * Order of two strings by their UTF-8, which is that of their code points: not JavaScript's own, which puts surrogates
 * before U+E000.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = codePointRank(a.charCodeAt(i)) - codePointRank(b.charCodeAt(i));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function updateText(hash: Hash, text: string): void {
  const bytes = Buffer.from(text);
  updateNumbers(hash, bytes.length);
  hash.update(bytes);
}

function updateNumbers(hash: Hash, ...numbers: number[]): void {
  hash.update(new BigUint64Array(numbers.map(BigInt)));
}

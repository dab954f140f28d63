/**
 * safetensors, the format of our state dicts: tensors by name, as PyTorch reads and writes them.
 *
 *     ┌─────────────────┬───────────────────────────────┬──────────────────────────────────────────┐
 *     │ 8 bytes         │ header: JSON, padded to 8     │ data: elements, row-major, little-endian │
 *     │ length of header│ (see safetensorsHeader.ts)    │ wide formats first, so all are aligned   │
 *     └─────────────────┴───────────────────────────────┴──────────────────────────────────────────┘
 *
 * This file reads them; serializeSafetensors.ts writes them.
 */
import { endianness } from 'node:os';
import { types } from 'node:util';
import { refused, text } from '../checks.js';
import { printable, RepconvError } from '../errors.js';
import { optionsOf } from '../options.js';
import { type DType, dtypes } from '../tensor/dtype.js';
import { type AnyTensor, isDetached, Tensor } from '../tensor/tensor.js';
import { verifyChecksum } from './checksum.js';
import { resolvedLimits } from './limits.js';
import type { RegularFile } from './regularFile.js';
import {
  defaultSafetensorsLimits,
  headerLength,
  type ParsingContext,
  parseHeader,
  prefixBytes,
  type SafetensorsHeader,
  type SafetensorsLimits,
  type TensorEntry,
} from './safetensorsHeader.js';
import { refuseOtherFormats, signatureBytes } from './signature.js';
import { runSync, type Steps } from './steps.js';

/** What a safetensors file holds. */
export interface SafetensorsContent {
  /** The tensors by name, in the order of the header. */
  readonly tensors: Map<string, AnyTensor>;
  /** The texts that the file keeps beside them. */
  readonly metadata: Map<string, string>;
}

/** How a safetensors file is read. */
export interface SafetensorsReadOptions {
  /** The most a file may have of each thing, where it is not the default. */
  limits?: Partial<SafetensorsLimits>;
}

/**
 * The tensors in the bytes of a safetensors file. They are views of `bytes` wherever that is aligned for them.
 * @param options.name the file's name, for messages
 * @throws ERR_TRUNCATED, ERR_HEADER, ERR_CORRUPT, ERR_LIMIT, ERR_UNSUPPORTED, ERR_INPUT
 */
export function parseSafetensors(
  bytes: Uint8Array,
  options: SafetensorsReadOptions & { name?: string } = {},
): SafetensorsContent {
  const { name, limits } = optionsOf(options, { name: undefined, limits: undefined }, 'parseSafetensors');
  const source =
    name === undefined ? 'parseSafetensors' : `parseSafetensors: "${printable(text(name, 'parseSafetensors: name'))}"`;
  if (!types.isUint8Array(bytes)) throw refused(`${source}:`, 'the bytes as a Uint8Array', bytes);
  if (isDetached(bytes))
    throw new RepconvError(
      'ERR_INPUT',
      `${source}: expects bytes in memory, but their buffer was transferred or resized`,
    );
  const context = parsingContext(limits, source);
  refuseOtherFormats(bytes.subarray(0, signatureBytes), 'safetensors', source);
  const length = headerLength(bytes.subarray(0, prefixBytes), bytes.length, context);
  const headerEnd = prefixBytes + length;
  const header = parseHeader(bytes.subarray(prefixBytes, headerEnd), bytes.length - headerEnd, context);
  const data = new Uint8Array(bytes.buffer, bytes.byteOffset + headerEnd, bytes.length - headerEnd);
  return runSync(contentOf(header, data, source));
}

/**
 * The same from an open file. Memory for the data is asked for only when the header has been found to agree with the
 * size of the file. @internal
 */
export function* readSafetensors(file: RegularFile, context: ParsingContext): Steps<SafetensorsContent> {
  refuseOtherFormats(yield* file.first(signatureBytes), 'safetensors', context.source);
  const prefix = yield* file.next(Math.min(prefixBytes, file.sizeBytes));
  const length = headerLength(prefix, file.sizeBytes, context);
  const dataBytes = file.sizeBytes - prefixBytes - length;
  const header = parseHeader(yield* file.next(length), dataBytes, context);
  return yield* contentOf(header, yield* file.next(dataBytes), context.source);
}

/**
 * Limits, and how messages begin, for one run of the parser. @throws ERR_INPUT, ERR_UNSUPPORTED on a big-endian machine
 */
export function parsingContext(limits: SafetensorsReadOptions['limits'], source: string): ParsingContext {
  checkByteOrder(source);
  return { limits: resolvedLimits(defaultSafetensorsLimits, limits, source), source };
}

/** Elements are used as they lie in the file, whose order is little-endian. @throws ERR_UNSUPPORTED */
export function checkByteOrder(source: string): void {
  if (endianness() !== 'LE')
    throw new RepconvError('ERR_UNSUPPORTED', `${source}: expects a little-endian processor, got a big-endian one`);
}

/** The tensors of a header over its data, once their checksum has been verified. */
function* contentOf(
  { entries, metadata }: SafetensorsHeader,
  data: Uint8Array,
  source: string,
): Steps<SafetensorsContent> {
  const checksummed = entries.map(({ name, dtype, shape, begin, end }) => ({
    name,
    dtype,
    shape,
    bytes: data.subarray(begin, end),
  }));
  yield* verifyChecksum(checksummed, metadata, source);
  return { tensors: new Map(entries.map((entry) => [entry.name, tensorOf(entry, data)])), metadata };
}

function tensorOf({ dtype, shape, begin, end }: TensorEntry, data: Uint8Array): AnyTensor {
  const { array } = dtypes[dtype];
  const isAligned = (data.byteOffset + begin) % array.BYTES_PER_ELEMENT === 0;
  const bytes = isAligned ? data.subarray(begin, end) : new Uint8Array(data.subarray(begin, end));
  return new Tensor<DType>(
    dtype,
    shape,
    new array(bytes.buffer, bytes.byteOffset, bytes.byteLength / array.BYTES_PER_ELEMENT),
  );
}

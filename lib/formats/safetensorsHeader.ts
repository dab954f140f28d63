/**
 * The header of a safetensors file: read strictly, and believed only where it agrees with itself and with the size of
 * the file.
 *
 *     {"__metadata__": {"key": "text", …}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
 *
 * Tensors cover the data exactly: no hole, no overlap, nothing behind the last. Fields that the format does not know
 * are passed over, as the reference implementation does.
 */
import { printable, RepconvError } from '../errors.js';
import { type DType, dtypes, isDType } from '../tensor/dtype.js';
import { checkedSize, maxRank, showShape } from '../tensor/shape.js';
import { JsonReader } from './jsonReader.js';

/** How much of each thing a file may have. */
export interface SafetensorsLimits {
  /** Bytes of the whole file. */
  fileBytes: number;
  /** Bytes of the header. */
  headerBytes: number;
  /** Nesting of the header's JSON; never more than 1000. */
  depth: number;
  /** Entries of `__metadata__`. */
  metadataEntries: number;
  /** Number of tensors. */
  tensors: number;
  /** Axes of one tensor; never more than 32. */
  rank: number;
  /** Bytes of one tensor. */
  tensorBytes: number;
}

/** The limits of who does not set others. */
export const defaultSafetensorsLimits: Readonly<SafetensorsLimits> = {
  fileBytes: 2 ** 33,
  headerBytes: 100_000_000,
  depth: 100,
  metadataEntries: 100_000,
  tensors: 1_000_000,
  rank: maxRank,
  tensorBytes: 2 ** 33,
};

/** The header's place for texts; no tensor may have this name. */
export const metadataKey = '__metadata__';

/** Bytes before the header, which hold its length. */
export const prefixBytes = 8;

/** Where a tensor lies: bytes `begin` to `end` of the data. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  /** In the order of the header. */
  readonly entries: readonly TensorEntry[];
  readonly metadata: Map<string, string>;
}

/** What the parts of a parser pass on: limits, and how messages begin (operation and file). */
export interface ParsingContext {
  readonly limits: Readonly<SafetensorsLimits>;
  readonly source: string;
}

/** Length of the header, as the first bytes of a file say. @throws ERR_TRUNCATED, ERR_LIMIT */
export function headerLength(prefix: Uint8Array, fileBytes: number, { limits, source }: ParsingContext): number {
  if (fileBytes > limits.fileBytes)
    throw new RepconvError(
      'ERR_LIMIT',
      `${source}: the file expects at most ${limits.fileBytes} bytes, got ${fileBytes} (limit fileBytes)`,
    );
  if (fileBytes < prefixBytes)
    throw new RepconvError(
      'ERR_TRUNCATED',
      `${source}: the length of the header expects ${prefixBytes} bytes, got ${fileBytes}`,
    );
  // 64 bits: compared before they are narrowed.
  const length = new DataView(prefix.buffer, prefix.byteOffset, prefixBytes).getBigUint64(0, true);
  if (length > BigInt(limits.headerBytes))
    throw new RepconvError(
      'ERR_LIMIT',
      `${source}: header expects at most ${limits.headerBytes} bytes, got ${length} (limit headerBytes)`,
    );
  if (Number(length) > fileBytes - prefixBytes)
    throw new RepconvError(
      'ERR_TRUNCATED',
      `${source}: header expects ${length} bytes, got ${fileBytes - prefixBytes}`,
    );
  return Number(length);
}

/**
 * Reads a header for `dataBytes` bytes of data.
 * @throws ERR_HEADER, ERR_LIMIT, ERR_UNSUPPORTED for an unknown dtype, ERR_TRUNCATED when tensors reach beyond the data
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, context: ParsingContext): SafetensorsHeader {
  const { limits, source } = context;
  const reader = new JsonReader(decodeHeader(bytes, source), `${source}: header`, limits.depth);
  const entries: TensorEntry[] = [];
  const metadata = new Map<string, string>();
  reader.object((key) => {
    if (key === metadataKey)
      return reader.object((name) => metadata.set(name, reader.string()), limits.metadataEntries, 'metadataEntries');
    if (entries.length === limits.tensors)
      throw new RepconvError(
        'ERR_LIMIT',
        `${source}: header expects at most ${limits.tensors} tensors, got more (limit tensors)`,
      );
    entries.push(readEntry(key, reader, context));
  }, limits.tensors + 2); // one for the metadata, one to be refused above
  reader.end();
  checkCoverage(entries, dataBytes, source);
  return { entries, metadata };
}

function decodeHeader(bytes: Uint8Array, source: string): string {
  if (bytes[0] !== 0x7b) {
    const found = bytes.length === 0 ? 'nothing' : `byte 0x${bytes[0].toString(16).padStart(2, '0')}`;
    throw new RepconvError('ERR_HEADER', `${source}: header expects to begin with "{", got ${found}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new RepconvError('ERR_HEADER', `${source}: header expects UTF-8, got other bytes`, { cause });
  }
}

function readEntry(name: string, reader: JsonReader, { limits, source }: ParsingContext): TensorEntry {
  const found: { dtype?: DType; shape?: number[]; offsets?: number[] } = {};
  const item = `${source}: tensor "${printable(name)}"`;
  reader.object((field) => {
    if (field === 'dtype') found.dtype = dtypeOf(reader.string(), item);
    else if (field === 'shape') found.shape = readNumbers(reader, Math.min(limits.rank, maxRank), 'rank');
    else if (field === 'data_offsets') found.offsets = readNumbers(reader);
    else reader.skip();
  });
  const { dtype, shape, offsets } = found;
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    const missing = dtype === undefined ? 'dtype' : shape === undefined ? 'shape' : 'data_offsets';
    throw new RepconvError('ERR_HEADER', `${item} expects dtype, shape and data_offsets, got no ${missing}`);
  }
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin > end)
    throw new RepconvError(
      'ERR_HEADER',
      `${item}: data_offsets expects a beginning and an end not before it, got ${offsets.length} numbers: ${offsets.slice(0, 3)}`,
    );
  checkExtent(dtype, shape, end - begin, item);
  if (end - begin > limits.tensorBytes)
    throw new RepconvError(
      'ERR_LIMIT',
      `${item} expects at most ${limits.tensorBytes} bytes, got ${end - begin} (limit tensorBytes)`,
    );
  return { name, dtype, shape, begin, end };
}

function readNumbers(reader: JsonReader, maxLength?: number, limit?: string): number[] {
  const numbers: number[] = [];
  reader.array(() => numbers.push(reader.wholeNumber()), maxLength, limit);
  return numbers;
}

const dtypeByFileName: ReadonlyMap<string, DType> = new Map(
  Object.keys(dtypes)
    .filter(isDType)
    .map((dtype) => [dtypes[dtype].file, dtype]),
);

function dtypeOf(fileName: string, item: string): DType {
  const dtype = dtypeByFileName.get(fileName);
  if (dtype === undefined)
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${item}: dtype expects ${[...dtypeByFileName.keys()].join(', ')}, got "${printable(fileName, 40)}"`,
    );
  return dtype;
}

/** dtype × shape = bytes, with nothing rounded. */
function checkExtent(dtype: DType, shape: readonly number[], sizeBytes: number, item: string): void {
  const bits = checkedSize(shape, item) * dtypes[dtype].bits;
  if (!Number.isSafeInteger(bits))
    throw new RepconvError('ERR_LIMIT', `${item}: ${dtype} ${showShape(shape)} has more than 2^53 bits`);
  if (bits % 8 !== 0)
    throw new RepconvError('ERR_HEADER', `${item}: ${dtype} ${showShape(shape)} expects whole bytes, got ${bits} bits`);
  if (bits / 8 !== sizeBytes)
    throw new RepconvError(
      'ERR_HEADER',
      `${item}: ${dtype} ${showShape(shape)} expects ${bits / 8} bytes, got data_offsets of ${sizeBytes}`,
    );
}

/** No hole, no overlap, no byte behind the last tensor: what is in the file is in a tensor, once. */
function checkCoverage(entries: readonly TensorEntry[], dataBytes: number, source: string): void {
  let covered = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) {
      const kind = begin > covered ? 'a hole' : 'an overlap';
      throw new RepconvError(
        'ERR_HEADER',
        `${source}: tensor "${printable(name)}" expects to begin at ${covered}, got ${begin}: ${kind}`,
      );
    }
    covered = end;
  }
  if (covered > dataBytes)
    throw new RepconvError('ERR_TRUNCATED', `${source}: data expects ${covered} bytes, got ${dataBytes}`);
  if (covered < dataBytes)
    throw new RepconvError(
      'ERR_HEADER',
      `${source}: data expects ${covered} bytes, got ${dataBytes}: bytes behind the last tensor`,
    );
}

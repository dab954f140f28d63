/**
 * Tensors to the bytes of a safetensors file (see safetensors.ts for the format).
 *
 * The bytes are, one by one, those that the reference implementation writes for the same tensors; with metadata its
 * order is not defined, ours is sorted. So equal content gives equal bytes, in whatever order it is handed over.
 */
import { entriesOf, flag, isIterable, refused, text } from '../checks.js';
import { printable, RepconvError } from '../errors.js';
import { isPlainObject, optionsOf } from '../options.js';
import { bytesOf } from '../tensor/compare.js';
import { type DType, dtypes } from '../tensor/dtype.js';
import { showShape } from '../tensor/shape.js';
import { type AnyTensor, checkIntact, isTensor } from '../tensor/tensor.js';
import { checksumKey, checksumKind, checksumKindKey, checksumOf, compareUtf8 } from './checksum.js';
import { allocateBytes } from './regularFile.js';
import { checkByteOrder } from './safetensors.js';
import { defaultSafetensorsLimits as limits, metadataKey, prefixBytes, type TensorEntry } from './safetensorsHeader.js';
import { runSync, type Steps } from './steps.js';

/** How a safetensors file is written. */
export interface SafetensorsWriteOptions {
  /** Texts to keep beside the tensors. A checksum among them is replaced, not kept. */
  metadata?: Iterable<readonly [string, string]> | Readonly<Record<string, string>>;
  /** Whether to add a checksum to the metadata (default: yes). */
  checksum?: boolean;
}

/**
 * The bytes of a file that holds these tensors.
 * @throws ERR_INPUT for a name, tensor or text that cannot be written, ERR_UNSUPPORTED for elements that do not fill
 * whole bytes, ERR_LIMIT, ERR_OOM
 * @internal
 */
export function serializeSafetensors(
  tensors: Iterable<readonly [string, AnyTensor]>,
  options: SafetensorsWriteOptions = {},
): Uint8Array<ArrayBuffer> {
  return runSync(serialized(tensors, options, 'serializeSafetensors'));
}

/**
 * The same in steps. Everything is copied before the first of them: what is written is what the tensors held at the
 * time of the call. @internal
 */
export function* serialized(
  tensors: Iterable<readonly [string, AnyTensor]>,
  options: SafetensorsWriteOptions,
  source: string,
): Steps<Uint8Array<ArrayBuffer>> {
  checkByteOrder(source);
  const { metadata: texts, checksum } = optionsOf(options, { metadata: undefined, checksum: true }, source);
  const hasChecksum = flag(checksum, `${source}: checksum`);
  const placed = placeTensors(checkedTensors(tensors, source));
  const metadata = sortedMetadata(texts, hasChecksum, source);

  let header = encodeHeader(placed, metadata, source);
  const dataBytes = placed.at(-1)?.end ?? 0;
  const bytes = allocateFile(prefixBytes + header.length + dataBytes, source);
  const data = bytes.subarray(prefixBytes + header.length);
  for (const { tensor, begin } of placed) data.set(bytesOf(tensor), begin);

  if (hasChecksum) {
    const copies = placed.map(({ name, dtype, shape, begin, end }) => ({
      name,
      dtype,
      shape,
      bytes: data.subarray(begin, end),
    }));
    metadata.set(checksumKey, yield* checksumOf(copies, metadata));
    header = encodeHeader(placed, metadata, source);
  }
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, prefixBytes);
  return bytes;
}

/**
 * Formats in the order of the file, which is the reference implementation's: wide ones first, so that every tensor is
 * aligned.
 */
const dtypeOrder: readonly DType[] = [
  ...(['uint64', 'int64', 'float64', 'complex64'] as const),
  ...(['float32', 'uint32', 'int32'] as const),
  ...(['bfloat16', 'float16', 'uint16', 'int16'] as const),
  ...([
    'float8_e5m2fnuz',
    'float8_e4m3fnuz',
    'float8_e8m0fnu',
    'float8_e4m3fn',
    'float8_e5m2',
    'int8',
    'uint8',
  ] as const),
  ...(['float6_e3m2fn', 'float6_e2m3fn', 'float4_e2m1fn', 'bool'] as const),
];

interface PlacedTensor extends TensorEntry {
  readonly tensor: AnyTensor;
}

function placeTensors(tensors: ReadonlyMap<string, AnyTensor>): PlacedTensor[] {
  const rank = new Map(dtypeOrder.map((dtype, index) => [dtype, index]));
  const inOrder = [...tensors].sort(([a, x], [b, y]) => rank.get(x.dtype)! - rank.get(y.dtype)! || compareUtf8(a, b));
  let offset = 0;
  return inOrder.map(([name, tensor]) => {
    const begin = offset;
    offset += tensor.data.byteLength;
    return { name, dtype: tensor.dtype, shape: tensor.shape, begin, end: offset, tensor };
  });
}

/**
 * The header's text is JSON as `JSON.stringify` and the reference implementation both write it; spaces fill it up to
 * the next 8 bytes.
 */
function encodeHeader(
  placed: readonly PlacedTensor[],
  metadata: ReadonlyMap<string, string>,
  source: string,
): Uint8Array {
  const fields = placed.map(({ name, dtype, shape, begin, end }) => {
    const entry = { dtype: dtypes[dtype].file, shape, data_offsets: [begin, end] };
    return `${JSON.stringify(name)}:${JSON.stringify(entry)}`;
  });
  // Not through an object, which would put keys that look like numbers first.
  const texts = [...metadata].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  if (texts.length > 0) fields.unshift(`"${metadataKey}":{${texts.join(',')}}`);
  const text = Buffer.from(`{${fields.join(',')}}`);
  const header = Buffer.alloc(Math.ceil(text.length / 8) * 8, ' ');
  if (header.length > limits.headerBytes)
    throw new RepconvError(
      'ERR_LIMIT',
      `${source}: header expects at most ${limits.headerBytes} bytes, got ${header.length}`,
    );
  header.set(text);
  return header;
}

function allocateFile(fileBytes: number, source: string): Uint8Array<ArrayBuffer> {
  if (fileBytes > limits.fileBytes)
    throw new RepconvError(
      'ERR_LIMIT',
      `${source}: the file expects at most ${limits.fileBytes} bytes, got ${fileBytes}`,
    );
  return allocateBytes(fileBytes, source);
}

function checkedTensors(tensors: Iterable<readonly [string, AnyTensor]>, source: string): Map<string, AnyTensor> {
  const checked = new Map<string, AnyTensor>();
  for (const [given, tensor] of pairsOf(tensors, 'tensors', source)) {
    const name = wellFormed(given, 'a name', source);
    const item = `${source}: tensor "${printable(name)}"`;
    if (name === metadataKey) throw new RepconvError('ERR_INPUT', `${item}: the name is reserved by the format`);
    if (checked.has(name)) throw new RepconvError('ERR_INPUT', `${item} appears twice`);
    if (checked.size === limits.tensors)
      throw new RepconvError('ERR_LIMIT', `${source}: expects at most ${limits.tensors} tensors, got more`);
    checked.set(name, checkedTensor(tensor, item));
  }
  return checked;
}

function checkedTensor(tensor: unknown, item: string): AnyTensor {
  if (!isTensor(tensor)) throw refused(item, 'a Tensor', tensor);
  const { dtype, shape, size } = tensor as AnyTensor;
  checkIntact(tensor as AnyTensor, () => `${item}: ${dtype} ${showShape(shape)}`);
  if ((size * dtypes[dtype].bits) % 8 !== 0)
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${item}: ${dtype} ${showShape(shape)} does not fill whole bytes, which the format demands`,
    );
  return tensor;
}

function sortedMetadata(
  given: SafetensorsWriteOptions['metadata'],
  hasChecksum: boolean,
  source: string,
): Map<string, string> {
  const metadata = new Map<string, string>();
  const pairs = isPlainObject(given) && !isIterable(given) ? Object.entries(given) : given;
  for (const [name, value] of pairs === undefined ? [] : pairsOf(pairs, 'metadata', source)) {
    const key = wellFormed(name, 'a metadata key', source);
    const item = `metadata "${printable(key)}"`;
    if (metadata.has(key)) throw new RepconvError('ERR_INPUT', `${source}: ${item} appears twice`);
    metadata.set(key, wellFormed(value, item, source));
  }
  metadata.delete(checksumKindKey);
  metadata.delete(checksumKey);
  if (hasChecksum) metadata.set(checksumKindKey, checksumKind).set(checksumKey, '0'.repeat(64));
  if (metadata.size > limits.metadataEntries)
    throw new RepconvError(
      'ERR_LIMIT',
      `${source}: metadata expects at most ${limits.metadataEntries} entries, got ${metadata.size}`,
    );
  return new Map([...metadata].sort(([a], [b]) => compareUtf8(a, b)));
}

function* pairsOf(pairs: unknown, role: string, source: string): Generator<unknown[]> {
  if (typeof pairs !== 'object' || !isIterable(pairs))
    throw refused(`${source}: ${role}`, 'a Map or another iterable of pairs', pairs);
  for (const pair of pairs) {
    const entries = entriesOf(pair, 2);
    if (entries === null) throw refused(`${source}: ${role}`, 'pairs [name, value]', pair);
    yield entries;
  }
}

/** A text that UTF-8 can hold. @throws ERR_INPUT */
function wellFormed(given: unknown, role: string, source: string): string {
  const checked = text(given, `${source}: ${role}`);
  if (checked.isWellFormed()) return checked;
  throw new RepconvError(
    'ERR_INPUT',
    `${source}: ${role} expects text, got a lone surrogate in "${printable(checked)}"`,
  );
}

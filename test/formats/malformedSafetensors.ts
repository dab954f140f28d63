/**
 * Bad safetensors files, each with the code it must end in: every field missing, of every wrong type, negative,
 * fractional, too large, twice, contradicting another; every length wrong; text that is almost JSON.
 */
import type { ErrorCode } from '../../lib/errors.js';
import type { SafetensorsLimits } from '../../lib/formats/safetensorsHeader.js';

export interface MalformedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly code: ErrorCode;
  /** What the message must name. */
  readonly says: string;
  readonly limits?: Partial<SafetensorsLimits>;
}

/** A file from the text of its header and its data. */
export function fileOf(header: string | Uint8Array, dataBytes: number, claimedLength?: bigint): Uint8Array {
  const text = Buffer.from(header as string);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, claimedLength ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

/** The text of one entry; a field given as null is left out. */
function entry(fields: { dtype?: string | null; shape?: string | null; data_offsets?: string | null } = {}): string {
  const all = { dtype: '"F32"', shape: '[2]', data_offsets: '[0,8]', ...fields };
  const texts = Object.entries(all).filter(([, text]) => text !== null);
  return `{${texts.map(([name, text]) => `"${name}":${text}`).join(',')}}`;
}

function bad(name: string, header: string | Uint8Array, code: ErrorCode, says: string, dataBytes = 8): MalformedFile {
  return { name, bytes: fileOf(header, dataBytes), code, says };
}

function wrongTypes(field: 'dtype' | 'shape' | 'data_offsets', expects: string, own: string): MalformedFile[] {
  const types = {
    null: 'null',
    true: 'true',
    'a number': '1',
    'a fraction': '0.5',
    'a string': '"F32"',
    'a list': '[]',
    'an object': '{}',
    nothing: '',
  };
  return Object.entries(types)
    .filter(([type]) => type !== own)
    .map(([type, text]) =>
      bad(
        `${field} is ${type}`,
        `{"a":${entry({ [field]: text })}}`,
        'ERR_HEADER',
        `"a" "${field}": expects ${expects}`,
      ),
    );
}

function badNumbers(field: 'shape' | 'data_offsets', wrap: (number: string) => string): MalformedFile[] {
  const header: Record<string, string> = {
    'a negative number': '-1',
    'minus zero': '-0',
    'a leading zero': '02',
    'a plus sign': '+2',
    hexadecimal: '0x2',
    NaN: 'NaN',
    Infinity: 'Infinity',
    null: 'null',
    'a string': '"2"',
    'a list': '[2]',
    'an object': '{}',
    'two numbers without a comma': '1 2',
    'a comma with nothing behind it': '2,',
  };
  const fractional: Record<string, string> = {
    'a fraction': '1.0',
    'a power of ten': '1e0',
    'infinity by overflow': '1e999',
  };
  const beyond: Record<string, string> = {
    '2^53': '9007199254740992',
    '2^64': '18446744073709551616',
    'a number of 10 000 digits': '9'.repeat(10_000),
  };
  const files = (numbers: Record<string, string>, code: ErrorCode, says: string): MalformedFile[] =>
    Object.entries(numbers).map(([name, text]) =>
      bad(`${field} has ${name}`, `{"a":${entry({ [field]: wrap(text) })}}`, code, says),
    );
  return [
    ...files(header, 'ERR_HEADER', `"a" "${field}"`),
    ...files(fractional, 'ERR_HEADER', 'expects a whole number, got a fraction or a power of ten'),
    ...files(beyond, 'ERR_LIMIT', `"a" "${field}"`),
  ];
}

const good = `{"a":${entry()}}`;
const two = (a: string, b: string): string => `{"a":${entry({ data_offsets: a })},"b":${entry({ data_offsets: b })}}`;
const nested = (depth: number): string => `{"a":{"extra":${'['.repeat(depth)}${']'.repeat(depth)}}}`;

const lengths: MalformedFile[] = [
  { name: 'no bytes at all', bytes: new Uint8Array(0), code: 'ERR_TRUNCATED', says: 'expects 8 bytes, got 0' },
  {
    name: 'a length of 7 bytes',
    bytes: fileOf(good, 8).subarray(0, 7),
    code: 'ERR_TRUNCATED',
    says: 'expects 8 bytes, got 7',
  },
  {
    name: 'a header of no bytes',
    bytes: fileOf('', 0),
    code: 'ERR_HEADER',
    says: 'expects to begin with "{", got nothing',
  },
  {
    name: 'a header longer than the file',
    bytes: fileOf(good, 8, 1000n),
    code: 'ERR_TRUNCATED',
    says: 'header expects 1000 bytes',
  },
  {
    name: 'a header of 2^64 − 1 bytes',
    bytes: fileOf(good, 8, 2n ** 64n - 1n),
    code: 'ERR_LIMIT',
    says: 'headerBytes',
  },
  { name: 'a header of 2^63 bytes', bytes: fileOf(good, 8, 2n ** 63n), code: 'ERR_LIMIT', says: 'headerBytes' },
  {
    name: 'a length right in its low 32 bits',
    bytes: fileOf(good, 8, 2n ** 32n + BigInt(good.length)),
    code: 'ERR_LIMIT',
    says: 'headerBytes',
  },
  {
    name: 'a length right as a float64',
    bytes: fileOf(good, 8, 2n ** 53n + 1n),
    code: 'ERR_LIMIT',
    says: 'headerBytes',
  },
  {
    name: 'a header cut by one',
    bytes: fileOf(good, 8, BigInt(good.length - 1)),
    code: 'ERR_HEADER',
    says: 'the end of the text',
  },
  {
    name: 'a header with one byte of data',
    bytes: fileOf(good, 9, BigInt(good.length + 1)),
    code: 'ERR_HEADER',
    says: 'the end of the text',
  },
];

const texts: MalformedFile[] = [
  bad('a byte order mark', `\ufeff${good}`, 'ERR_HEADER', 'begin with "{", got byte 0xef'),
  bad('a space before the header', ` ${good}`, 'ERR_HEADER', 'begin with "{", got byte 0x20'),
  bad('a list for a header', '[]', 'ERR_HEADER', 'begin with "{"', 0),
  bad('zeros for a header', '\0\0\0\0', 'ERR_HEADER', 'begin with "{", got byte 0x00', 0),
  bad('padding with zeros', `${good}\0\0`, 'ERR_HEADER', 'expects the end of the text'),
  bad('padding with no-break spaces', `${good}\u00a0`, 'ERR_HEADER', 'expects the end of the text'),
  bad('a second object', `${good}{}`, 'ERR_HEADER', 'expects the end of the text, got an object'),
  bad(
    'bytes that are no UTF-8',
    Buffer.concat([Buffer.from('{"'), Buffer.from([0xff, 0xfe]), Buffer.from('":{}}')]),
    'ERR_HEADER',
    'expects UTF-8',
  ),
  bad(
    'an overlong slash',
    Buffer.concat([Buffer.from('{"'), Buffer.from([0xc0, 0xaf]), Buffer.from('":{}}')]),
    'ERR_HEADER',
    'expects UTF-8',
  ),
  bad(
    'a surrogate in UTF-8',
    Buffer.concat([Buffer.from('{"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('":{}}')]),
    'ERR_HEADER',
    'UTF-8',
  ),
  bad('a lone high surrogate', `{"\\ud800":${entry()}}`, 'ERR_HEADER', 'lone surrogate'),
  bad('a lone low surrogate', `{"x\\udc00y":${entry()}}`, 'ERR_HEADER', 'lone surrogate'),
  bad('an unknown escape', `{"\\x41":${entry()}}`, 'ERR_HEADER', 'invalid escape'),
  bad('a short escape', `{"\\u12":${entry()}}`, 'ERR_HEADER', 'invalid escape'),
  bad('a line feed in a name', `{"a\nb":${entry()}}`, 'ERR_HEADER', 'unescaped control character'),
  bad('a string without end', '{"a', 'ERR_HEADER', 'ends inside a string'),
  bad('a backslash at the end', '{"a\\', 'ERR_HEADER', 'ends inside a string'),
  bad('single quotes', "{'a':{}}", 'ERR_HEADER', 'expects a string'),
  bad('a key without quotes', '{a:{}}', 'ERR_HEADER', 'expects a string'),
  bad('a number for a key', '{1:{}}', 'ERR_HEADER', 'expects a string, got a number'),
  bad('a comment', `{/**/"a":${entry()}}`, 'ERR_HEADER', 'expects a string'),
  bad('a comma before the end', `{"a":${entry()},}`, 'ERR_HEADER', 'expects a string'),
  bad('a comma at the beginning', `{,"a":${entry()}}`, 'ERR_HEADER', 'expects a string'),
  bad('no comma between tensors', `{"a":${entry()} "b":${entry()}}`, 'ERR_HEADER', 'expects "}"'),
  bad('no colon', `{"a" ${entry()}}`, 'ERR_HEADER', 'expects ":"'),
  bad('no end of the object', `{"a":${entry()}`, 'ERR_HEADER', 'expects "}", got the end of the text'),
  bad('a number that no double holds, in an unknown field', '{"a":{"extra":1e999}}', 'ERR_HEADER', 'beyond the range'),
  bad('a broken number in an unknown field', '{"a":{"extra":1.}}', 'ERR_HEADER', 'expects a value'),
  bad('a broken word in an unknown field', '{"a":{"extra":nul}}', 'ERR_HEADER', 'expects a value'),
  bad('nothing in an unknown field', '{"a":{"extra":}}', 'ERR_HEADER', 'expects a value'),
];

const tensors: MalformedFile[] = [
  ...['null', 'true', '1', '"F32"', '["F32",[2],[0,8]]'].map((text) =>
    bad(`a tensor that is ${text}`, `{"a":${text}}`, 'ERR_HEADER', 'at "a": expects an object'),
  ),
  ...(['dtype', 'shape', 'data_offsets'] as const).map((field) =>
    bad(
      `no ${field}`,
      `{"a":${entry({ [field]: null })}}`,
      'ERR_HEADER',
      `tensor "a" expects dtype, shape and data_offsets, got no ${field}`,
    ),
  ),
  bad('a tensor without fields', '{"a":{}}', 'ERR_HEADER', 'got no dtype'),
  bad('fields of a wrong case', '{"a":{"DType":"F32","Shape":[2],"Data_Offsets":[0,8]}}', 'ERR_HEADER', 'got no dtype'),
  ...wrongTypes('dtype', 'a string', 'a string'),
  ...['', 'f32', 'F32 ', 'F33', 'float32', 'F128', '__proto__', 'constructor', 'toString'].map((dtype) =>
    bad(
      `dtype "${dtype}"`,
      `{"a":${entry({ dtype: `"${dtype}"` })}}`,
      'ERR_UNSUPPORTED',
      `tensor "a": dtype expects F64, F32`,
    ),
  ),
  ...wrongTypes('shape', 'a list', 'a list'),
  ...badNumbers('shape', (number) => `[${number}]`),
  ...wrongTypes('data_offsets', 'a list', 'a list'),
  ...badNumbers('data_offsets', (number) => `[0,${number}]`),
  ...['[]', '[8]', '[0,8,8]', '[0,8,16,24]'].map((offsets) =>
    bad(
      `data_offsets ${offsets}`,
      `{"a":${entry({ data_offsets: offsets })}}`,
      'ERR_HEADER',
      'data_offsets expects a beginning and an end',
    ),
  ),
  bad('an end before the beginning', `{"a":${entry({ data_offsets: '[8,0]' })}}`, 'ERR_HEADER', 'got 2 numbers: 8,0'),
  bad(
    'fewer bytes than the shape needs',
    `{"a":${entry({ shape: '[3]' })}}`,
    'ERR_HEADER',
    'float32 [3] expects 12 bytes, got data_offsets of 8',
  ),
  bad(
    'more bytes than the shape needs',
    `{"a":${entry({ shape: '[]' })}}`,
    'ERR_HEADER',
    'float32 [] expects 4 bytes, got data_offsets of 8',
  ),
  bad(
    'an empty shape with bytes',
    `{"a":${entry({ shape: '[0,2]' })}}`,
    'ERR_HEADER',
    'expects 0 bytes, got data_offsets of 8',
  ),
  bad(
    'a product that is right in 32 bits',
    `{"a":${entry({ shape: '[65536,65536,2]' })}}`,
    'ERR_HEADER',
    'expects 34359738368 bytes',
  ),
  bad(
    'a product that is right in 64 bits',
    `{"a":${entry({ shape: '[4294967296,4294967296,2]' })}}`,
    'ERR_LIMIT',
    'more than 2^53 elements',
  ),
  bad(
    'a product beyond 2^53 beside an extent of 0',
    `{"a":${entry({ shape: '[0,4294967296,4294967296]' })}}`,
    'ERR_LIMIT',
    '2^53',
  ),
  bad('bits beyond 2^53', `{"a":${entry({ shape: '[9007199254740991]' })}}`, 'ERR_LIMIT', 'more than 2^53 bits'),
  bad(
    'half a byte',
    `{"a":${entry({ dtype: '"F4"', shape: '[3]', data_offsets: '[0,2]' })}}`,
    'ERR_HEADER',
    'expects whole bytes, got 12 bits',
    2,
  ),
  bad(
    'three quarters of a byte',
    `{"a":${entry({ dtype: '"F6_E2M3"', shape: '[1]', data_offsets: '[0,1]' })}}`,
    'ERR_HEADER',
    'got 6 bits',
    1,
  ),
  bad('a name twice', `{"a":${entry()},"a":${entry()}}`, 'ERR_HEADER', 'key "a" twice'),
  bad('a name twice, once escaped', `{"a":${entry()},"\\u0061":${entry()}}`, 'ERR_HEADER', 'key "a" twice'),
  bad(
    'a name like a prototype member twice',
    `{"__proto__":${entry()},"__proto__":${entry()}}`,
    'ERR_HEADER',
    'key "__proto__" twice',
  ),
  ...(['dtype', 'shape', 'data_offsets'] as const).map((field) =>
    bad(
      `${field} twice`,
      `{"a":${entry().replace(/}$/, `,"${field}":[0,8]}`)}}`,
      'ERR_HEADER',
      `at "a": has the key "${field}" twice`,
    ),
  ),
];

const coverage: MalformedFile[] = [
  bad(
    'a hole at the beginning',
    `{"a":${entry({ data_offsets: '[8,16]' })}}`,
    'ERR_HEADER',
    'tensor "a" expects to begin at 0, got 8: a hole',
    16,
  ),
  bad(
    'a hole between tensors',
    two('[0,8]', '[12,20]'),
    'ERR_HEADER',
    'tensor "b" expects to begin at 8, got 12: a hole',
    20,
  ),
  bad('an overlap', two('[0,8]', '[4,12]'), 'ERR_HEADER', 'tensor "b" expects to begin at 8, got 4: an overlap', 12),
  bad('two tensors in one place', two('[0,8]', '[0,8]'), 'ERR_HEADER', 'expects to begin at 8, got 0: an overlap'),
  bad('bytes behind the last tensor', good, 'ERR_HEADER', 'data expects 8 bytes, got 9', 9),
  bad('bytes and no tensor', '{}', 'ERR_HEADER', 'data expects 0 bytes, got 8'),
  bad('no data', good, 'ERR_TRUNCATED', 'data expects 8 bytes, got 0', 0),
  bad('a tensor beyond the data', two('[0,8]', '[8,16]'), 'ERR_TRUNCATED', 'data expects 16 bytes, got 15', 15),
  bad(
    'a tensor of 4 GiB that is not there',
    `{"a":${entry({ shape: '[1073741824]', data_offsets: '[0,4294967296]' })}}`,
    'ERR_TRUNCATED',
    'data expects 4294967296',
  ),
  bad(
    'an empty tensor in the middle of another',
    `{"a":${entry()},"b":${entry({ shape: '[0]', data_offsets: '[4,4]' })}}`,
    'ERR_HEADER',
    'an overlap',
  ),
];

const metadata: MalformedFile[] = [
  ...['null', '[]', '"text"', '1'].map((text) =>
    bad(`metadata that is ${text}`, `{"__metadata__":${text}}`, 'ERR_HEADER', '"__metadata__": expects an object', 0),
  ),
  ...['null', 'true', '1', '1.5', '[]', '{}'].map((text) =>
    bad(
      `a metadata value that is ${text}`,
      `{"__metadata__":{"key":${text}}}`,
      'ERR_HEADER',
      '"__metadata__" "key": expects a string',
      0,
    ),
  ),
  bad(
    'a metadata key twice',
    '{"__metadata__":{"key":"1","key":"2"}}',
    'ERR_HEADER',
    'at "__metadata__": has the key "key" twice',
    0,
  ),
  bad('metadata twice', '{"__metadata__":{},"__metadata__":{}}', 'ERR_HEADER', 'has the key "__metadata__" twice', 0),
  bad(
    'a tensor under the name of the metadata',
    `{"__metadata__":${entry()}}`,
    'ERR_HEADER',
    '"__metadata__" "shape": expects a string, got a list',
  ),
  bad(
    'a checksum that is not announced',
    `{"__metadata__":{"repconv.sha256":"${'0'.repeat(64)}"}}`,
    'ERR_CORRUPT',
    'got no "repconv.checksum"',
    0,
  ),
  bad(
    'a checksum announced and not there',
    '{"__metadata__":{"repconv.checksum":"sha256"}}',
    'ERR_CORRUPT',
    'got no "repconv.sha256"',
    0,
  ),
  bad(
    'a wrong checksum',
    `{"__metadata__":{"repconv.checksum":"sha256","repconv.sha256":"${'0'.repeat(64)}"}}`,
    'ERR_CORRUPT',
    'checksum expects 0000',
    0,
  ),
  bad(
    'an empty checksum',
    '{"__metadata__":{"repconv.checksum":"sha256","repconv.sha256":""}}',
    'ERR_CORRUPT',
    'checksum expects',
    0,
  ),
  bad(
    'a checksum of an unknown kind',
    '{"__metadata__":{"repconv.checksum":"crc","repconv.sha256":"0"}}',
    'ERR_UNSUPPORTED',
    'got "crc"',
    0,
  ),
];

const beyondLimits: MalformedFile[] = [
  { ...bad('a file one byte too long', good, 'ERR_LIMIT', 'fileBytes'), limits: { fileBytes: 8 + good.length + 7 } },
  { ...bad('a header one byte too long', good, 'ERR_LIMIT', 'headerBytes'), limits: { headerBytes: good.length - 1 } },
  {
    ...bad(
      'one tensor too many',
      two('[0,8]', '[8,16]'),
      'ERR_LIMIT',
      'at most 1 tensors, got more (limit tensors)',
      16,
    ),
    limits: { tensors: 1 },
  },
  { ...bad('a tensor where none is allowed', good, 'ERR_LIMIT', 'at most 0 tensors'), limits: { tensors: 0 } },
  {
    ...bad(
      'one text too many',
      '{"__metadata__":{"a":"","b":""}}',
      'ERR_LIMIT',
      '"__metadata__": expects at most 1 entries, got more (limit metadataEntries)',
      0,
    ),
    limits: { metadataEntries: 1 },
  },
  {
    ...bad(
      'one axis too many',
      `{"a":${entry({ shape: '[1,2]' })}}`,
      'ERR_LIMIT',
      '"a" "shape": expects at most 1 items, got more (limit rank)',
    ),
    limits: { rank: 1 },
  },
  { ...bad('a tensor one byte too long', good, 'ERR_LIMIT', 'tensorBytes'), limits: { tensorBytes: 7 } },
  {
    ...bad('nesting one too deep', nested(2), 'ERR_LIMIT', 'nesting of at most 3, got deeper (limit depth)'),
    limits: { depth: 3 },
  },
  bad('33 axes', `{"a":${entry({ shape: `[${'1,'.repeat(32)}2]` })}}`, 'ERR_LIMIT', 'expects at most 32 items'),
  {
    ...bad(
      '33 axes where 100 are allowed',
      `{"a":${entry({ shape: `[${'1,'.repeat(32)}2]` })}}`,
      'ERR_LIMIT',
      'at most 32 items',
    ),
    limits: { rank: 100 },
  },
  bad('nesting of 101', nested(99), 'ERR_LIMIT', 'nesting of at most 100'),
  bad('nesting of a million', `{"a":{"extra":${'['.repeat(1_000_000)}`, 'ERR_LIMIT', 'nesting of at most 100'),
  {
    ...bad(
      'nesting of a million where it is allowed',
      `{"a":{"extra":${'{"x":'.repeat(200_000)}`,
      'ERR_LIMIT',
      'at most 1000',
    ),
    limits: { depth: 1e9 },
  },
  bad(
    'a tensor of 1001 fields',
    `{"a":{${Array.from({ length: 1001 }, (_, i) => `"${i}":0`).join()}}}`,
    'ERR_LIMIT',
    'at most 1000 entries',
  ),
  bad(
    'a million offsets',
    `{"a":${entry({ data_offsets: `[${'0,'.repeat(1_000_000)}0]` })}}`,
    'ERR_LIMIT',
    '"data_offsets": expects at most 1000 items',
  ),
];

export const malformedFiles: readonly MalformedFile[] = [
  ...lengths,
  ...texts,
  ...tensors,
  ...coverage,
  ...metadata,
  ...beyondLimits,
];

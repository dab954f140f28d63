/**
 * Writing: equal content gives equal bytes, what is written is read back bit by bit, and what cannot be written is
 * refused.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateBytes } from '../../lib/formats/regularFile.js';
import { parseSafetensors } from '../../lib/formats/safetensors.js';
import { serializeSafetensors } from '../../lib/formats/serializeSafetensors.js';
import { bytesOf, isIdentical } from '../../lib/tensor/compare.js';
import { type DType, dtypes, isDType, storageLength } from '../../lib/tensor/dtype.js';
import { sizeOf } from '../../lib/tensor/shape.js';
import { type AnyTensor, Tensor, tensor } from '../../lib/tensor/tensor.js';
import { expectRefusal, refusalOf } from './refusal.js';

const allDTypes = Object.keys(dtypes).filter(isDType);

/** Any text that UTF-8 can hold, with a liking for what trips programs. */
const anyText = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  fc.constantFrom('', '__proto__', 'constructor', 'toString', '0', '1', '\ufffd', '😀', '"', '\\', '\n', '\u2028'),
);

const anyTensor: fc.Arbitrary<AnyTensor> = fc
  .record({
    dtype: fc.constantFrom(...allDTypes),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
    bytes: fc.uint8Array({ minLength: 2048, maxLength: 2048 }),
  })
  .filter(({ dtype, shape }) => (sizeOf(shape) * dtypes[dtype].bits) % 8 === 0)
  .map(({ dtype, shape, bytes }) => {
    const { array } = dtypes[dtype];
    return new Tensor<DType>(dtype, shape, new array(bytes.slice().buffer, 0, storageLength(dtype, sizeOf(shape))));
  });

const anyDict = fc.uniqueArray(fc.tuple(anyText, anyTensor), { selector: ([name]) => name, maxLength: 8 });
const anyMetadata = fc.uniqueArray(fc.tuple(anyText, anyText), { selector: ([key]) => key, maxLength: 4 });

describe('any tensors and texts', () => {
  it('come back as they were, and are written with the same bytes again', () => {
    fc.assert(
      fc.property(anyDict, anyMetadata, fc.boolean(), (dict, metadata, checksum) => {
        const bytes = serializeSafetensors(dict, { metadata, checksum });
        const found = parseSafetensors(bytes);
        expect(found.tensors.size).toBe(dict.length);
        for (const [name, tensor] of dict) expect(isIdentical(found.tensors.get(name)!, tensor), name).toBe(true);
        for (const [key, value] of metadata) expect(found.metadata.get(key)).toBe(value);
        expect(found.metadata.size).toBe(metadata.length + (checksum ? 2 : 0));
        expect(Buffer.compare(serializeSafetensors(found.tensors, { metadata: found.metadata, checksum }), bytes)).toBe(
          0,
        );
      }),
    );
  });

  it('give the same bytes in every order', () => {
    fc.assert(
      fc.property(anyDict, anyMetadata, (dict, metadata) => {
        const bytes = serializeSafetensors(dict, { metadata });
        expect(
          Buffer.compare(serializeSafetensors([...dict].reverse(), { metadata: [...metadata].reverse() }), bytes),
        ).toBe(0);
      }),
    );
  });

  it('are aligned in the file, so that reading copies none', () => {
    fc.assert(
      fc.property(anyDict, (dict) => {
        const bytes = serializeSafetensors(dict);
        for (const [name, tensor] of parseSafetensors(bytes).tensors)
          expect(tensor.data.buffer, name).toBe(bytes.buffer);
      }),
    );
  });
});

describe('serializeSafetensors', () => {
  const a = tensor([1, 2]);

  it('copies: what happens to a tensor afterwards does not matter', () => {
    const changing = tensor([1, 2]);
    const bytes = serializeSafetensors([['a', changing]]);
    changing.data.fill(0);
    expect([...parseSafetensors(bytes).tensors.get('a')!.to('float64').data]).toEqual([1, 2]);
  });

  it('writes a view of a larger array as the elements it shows', () => {
    const view = new Tensor('float32', [2], new Float32Array([0, 1, 2, 3]).subarray(1, 3));
    expect(serializeSafetensors([['a', view]])).toEqual(serializeSafetensors([['a', a]]));
  });

  it('takes metadata as a record, a map or pairs', () => {
    const bytes = serializeSafetensors([['a', a]], { metadata: { x: '1', y: '2' } });
    expect(serializeSafetensors([['a', a]], { metadata: new Map(Object.entries({ y: '2', x: '1' })) })).toEqual(bytes);
    expect(
      serializeSafetensors([['a', a]], {
        metadata: [
          ['x', '1'],
          ['y', '2'],
        ],
      }),
    ).toEqual(bytes);
  });

  it('replaces a checksum that came with the metadata', () => {
    const { metadata } = parseSafetensors(serializeSafetensors([['a', tensor([5])]]));
    expect(serializeSafetensors([['a', a]], { metadata })).toEqual(serializeSafetensors([['a', a]]));
    expect(parseSafetensors(serializeSafetensors([['a', a]], { metadata, checksum: false })).metadata.size).toBe(0);
  });

  it('writes the same tensor under two names twice', () => {
    const { tensors } = parseSafetensors(
      serializeSafetensors([
        ['a', a],
        ['b', a],
      ]),
    );
    expect(tensors.get('b')!.data.byteOffset - tensors.get('a')!.data.byteOffset).toBe(bytesOf(a).length);
  });

  it.each<[string, unknown, string]>([
    ['no tensors', undefined, 'tensors expects a Map or another iterable of pairs, got undefined'],
    ['a record of tensors', { a }, 'tensors expects a Map or another iterable of pairs'],
    ['a string', 'text', 'tensors expects a Map or another iterable of pairs'],
    ['a list of tensors', [a], 'tensors expects pairs [name, value], got Tensor'],
    ['a number for a name', [[1, a]], 'a name expects text, got 1'],
    ['a lone surrogate in a name', [['x\ud800', a]], 'a name expects text, got a lone surrogate'],
    ['the name of the metadata', [['__metadata__', a]], 'tensor "__metadata__": the name is reserved'],
    [
      'a name twice',
      [
        ['a', a],
        ['a', a],
      ],
      'tensor "a" appears twice',
    ],
    ['a plain array', [['a', new Float32Array(2)]], 'tensor "a" expects a Tensor, got Float32Array'],
    ['no tensor', [['a', undefined]], 'tensor "a" expects a Tensor, got undefined'],
    ['a name with control characters', [['\x1b[2J', null]], 'tensor "\\u001b[2J" expects a Tensor, got null'],
  ])('refuses %s', (_, dict, says) => {
    expectRefusal(
      refusalOf(() => serializeSafetensors(dict as never)),
      'ERR_INPUT',
      'serializeSafetensors: ',
      says,
    );
  });

  it.each<[unknown, string]>([
    [null, 'options expects a plain object of metadata, checksum, got null'],
    [{ metadata: null }, 'metadata expects a Map'],
    [{ metadata: 'text' }, 'metadata expects a Map'],
    [{ metadata: { epoch: 3 } }, 'metadata "epoch" expects text, got 3'],
    [{ metadata: { key: '\udc00' } }, 'metadata "key" expects text, got a lone surrogate'],
    [
      {
        metadata: [
          ['a', ''],
          ['a', ''],
        ],
      },
      'metadata "a" appears twice',
    ],
  ])('refuses the options %o', (options, says) => {
    expectRefusal(
      refusalOf(() => serializeSafetensors([['a', a]], options as never)),
      'ERR_INPUT',
      says,
    );
  });

  it('refuses a tensor whose memory was transferred away', () => {
    const gone = tensor([1, 2]);
    structuredClone(gone.data, { transfer: [gone.data.buffer as ArrayBuffer] });
    expectRefusal(
      refusalOf(() => serializeSafetensors([['gone', gone]])),
      ...([
        'ERR_INPUT',
        'tensor "gone": float32 [2] expects 2 elements in memory, but its buffer was transferred',
      ] as const),
    );
  });

  it('refuses a tensor whose memory has shrunk', () => {
    const buffer = new (
      ArrayBuffer as never as new (
        length: number,
        options: object,
      ) => ArrayBuffer & { resize(length: number): void }
    )(8, {
      maxByteLength: 16,
    });
    const shrunk = new Tensor('float32', [2], new Float32Array(buffer));
    buffer.resize(4);
    expectRefusal(
      refusalOf(() => serializeSafetensors([['shrunk', shrunk]])),
      'ERR_INPUT',
      'tensor "shrunk"',
      'expects 2 elements in memory, but its buffer was transferred or resized',
    );
  });

  it('refuses packed elements that do not fill whole bytes', () => {
    const half = new Tensor('float4_e2m1fn', [3]);
    expectRefusal(
      refusalOf(() => serializeSafetensors([['half', half]])),
      'ERR_UNSUPPORTED',
      'tensor "half": float4_e2m1fn [3] does not fill',
    );
  });

  it('refuses more tensors than it would read back', () => {
    const million = function* (): Generator<[string, AnyTensor]> {
      for (let i = 0; i <= 1_000_000; i++) yield [`${i}`, a];
    };
    expectRefusal(
      refusalOf(() => serializeSafetensors(million())),
      'ERR_LIMIT',
      'at most 1000000 tensors',
    );
  });

  it('refuses a larger header than it would read back', () => {
    const act = (): unknown => serializeSafetensors([['x'.repeat(100_000_000), a]]);
    expectRefusal(refusalOf(act), 'ERR_LIMIT', 'header expects at most 100000000 bytes, got 100000184');
  });

  it('refuses a larger file than it would read back, before it asks for memory', () => {
    const gibibyte = new Tensor('uint8', [2 ** 30]);
    const dict = Array.from({ length: 9 }, (_, i): [string, AnyTensor] => [`${i}`, gibibyte]);
    expectRefusal(
      refusalOf(() => serializeSafetensors(dict)),
      'ERR_LIMIT',
      'at most 8589934592 bytes, got 9663677',
    );
  });

  it('says so when there is no memory', () => {
    expectRefusal(
      refusalOf(() => allocateBytes(Number.MAX_SAFE_INTEGER, 'test')),
      'ERR_OOM',
      'test: no memory for 9007199254740991 bytes',
    );
  });

  it('refuses more texts than it would read back', () => {
    const metadata = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [i, '']));
    expectRefusal(
      refusalOf(() => serializeSafetensors([], { metadata })),
      'ERR_LIMIT',
      'at most 100000 entries, got 100002',
    );
  });
});

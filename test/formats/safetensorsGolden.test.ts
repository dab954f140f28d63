/**
 * The reference implementation's files through our parser, and our writer's bytes against the reference
 * implementation's.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../lib/formats/safetensors.js';
import { serializeSafetensors } from '../../lib/formats/serializeSafetensors.js';
import { loadSafetensors } from '../../lib/formats/stateDict.js';
import { bytesOf } from '../../lib/tensor/compare.js';
import { dtypes } from '../../lib/tensor/dtype.js';

const folder = new URL('../golden/safetensors/', import.meta.url);

interface Expected {
  metadata: Record<string, string>;
  tensors: Record<string, { dtype: string; shape: number[]; bytes: string; numbers?: (number | string)[] }>;
}
const expected: Record<string, Expected> = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8'));
const files = Object.keys(expected).map((name) => ({
  name,
  bytes: new Uint8Array(readFileSync(new URL(name, folder))),
}));

describe.each(files)('$name', ({ name, bytes }) => {
  const { metadata, tensors } = expected[name];

  it('parses to the tensors and texts that were written', () => {
    const found = parseSafetensors(bytes, { name });
    expect(Object.fromEntries(found.metadata)).toEqual(metadata);
    expect([...found.tensors.keys()].sort()).toEqual(Object.keys(tensors).sort());
    for (const [key, { dtype, shape, bytes: hex, numbers }] of Object.entries(tensors)) {
      const tensor = found.tensors.get(key)!;
      expect({ key, dtype: dtypes[tensor.dtype].file, shape: tensor.shape }).toEqual({ key, dtype, shape });
      expect(Buffer.from(bytesOf(tensor)).toString('hex'), key).toBe(hex);
      if (numbers !== undefined) expect([...tensor.to('float64').data], key).toEqual(numbers.map(Number));
    }
  });

  it('parses to the same from unaligned memory', () => {
    const shifted = new Uint8Array(bytes.length + 1).subarray(1);
    shifted.set(bytes);
    expect(parseSafetensors(shifted)).toEqual(parseSafetensors(bytes));
  });

  it('loads to the same from disk', async () => {
    expect(await loadSafetensors(fileURLToPath(new URL(name, folder)))).toEqual(parseSafetensors(bytes));
  });

  it('is written by us with the same bytes, in whatever order the tensors come', () => {
    const { tensors, metadata } = parseSafetensors(bytes);
    const options = { metadata: [...metadata].reverse(), checksum: metadata.has('repconv.sha256') };
    expect(serializeSafetensors([...tensors].reverse(), options)).toEqual(bytes);
  });
});

it('covers every format of the table', () => {
  const covered = Object.values(expected).flatMap((file) => Object.values(file.tensors).map(({ dtype }) => dtype));
  expect(new Set(covered)).toEqual(new Set(Object.values(dtypes).map(({ file }) => file)));
});

/**
 * 100 000 damaged safetensors files, one to four changes each, with a checksum and without: each ends in one coded
 * error with a short, printable message, or is a file that means what it says; with a checksum that can only be the
 * original.
 */
import { describe, expect, it } from 'vitest';
import { errorCodes, RepconvError } from '../../lib/errors.js';
import { parseSafetensors, type SafetensorsContent } from '../../lib/formats/safetensors.js';
import { serializeSafetensors } from '../../lib/formats/serializeSafetensors.js';
import { Random } from '../../lib/tensor/random.js';
import { sizeOf } from '../../lib/tensor/shape.js';
import { mutated, sampleTensors } from '../formats/mutatedFile.js';

const perTest = 25_000;
const metadata = { architecture: '{"kind":"ConvBlock","eps":1e-05}', note: 'größer' };

describe('100 000 damaged files', () => {
  it.each([0, perTest])('with a checksum are refused or mean the same, seeds %i and on', (first) => {
    const original = serializeSafetensors(sampleTensors(new Random(0)), { metadata, checksum: true });
    const accepted = sweep(original, first, (content, label, changes) => {
      // Two keys say that there is a checksum: one change cannot destroy both, several can.
      if (changes > 1 && !content.metadata.has('repconv.checksum') && !content.metadata.has('repconv.sha256')) return;
      const written = serializeSafetensors(content.tensors, {
        metadata: content.metadata,
        checksum: content.metadata.has('repconv.sha256'),
      });
      if (Buffer.compare(written, original) !== 0) expect.fail(`${label} is accepted with another content`);
    });
    expect(accepted).toBeGreaterThan(0);
  });

  it.each([0, perTest])('without a checksum are refused or complete, seeds %i and on', (first) => {
    const original = serializeSafetensors(sampleTensors(new Random(0)), { metadata, checksum: false });
    const accepted = sweep(original, first + 2 * perTest, ({ tensors }, label) => {
      for (const [name, { shape, data }] of tensors) {
        if (data.length !== sizeOf(shape)) expect.fail(`${label}: ${name} has ${data.length} elements for [${shape}]`);
      }
    });
    // Damage of the numbers alone cannot be noticed.
    expect(accepted).toBeGreaterThan(perTest / 20);
  });
});

/** Parses each mutant; `check` sees what is accepted. Returns how many were. */
function sweep(
  original: Uint8Array,
  first: number,
  check: (content: SafetensorsContent, label: string, changes: number) => void,
): number {
  let accepted = 0;
  for (let seed = first; seed < first + perTest; seed++) {
    const random = new Random(seed);
    let bytes = original;
    // A file that has been cut to nothing cannot be changed further.
    const changes = random.integer(1, 4);
    for (let i = 0; i < changes && bytes.length > 0; i++) bytes = mutated(bytes, random);
    const label = `mutant of seed ${seed} (${bytes.length} bytes)`;
    const started = performance.now();
    const content = parse(bytes, label);
    if (performance.now() - started > 2000) expect.fail(`${label} takes ${performance.now() - started} ms`);
    if (content === null) continue;
    accepted++;
    check(content, label, changes);
  }
  return accepted;
}

/** The content, or null for a proper refusal. */
function parse(bytes: Uint8Array, label: string): SafetensorsContent | null {
  try {
    return parseSafetensors(bytes, { name: 'mutant.safetensors' });
  } catch (error) {
    const isProper =
      error instanceof RepconvError &&
      Object.hasOwn(errorCodes, error.code) &&
      error.message.length <= 2048 &&
      !/\p{Cc}/u.test(error.message);
    if (!isProper) throw new Error(`${label} is not refused properly`, { cause: error });
    return null;
  }
}

/**
 * Models against the golden list of `test/golden/onnx`: ONNX's checker, with shape inference, has accepted exactly the
 * bytes whose SHA-256 stands there.
 *
 * What is hashed lacks the version of this package, so that a release changes nothing. `make.py` there makes the list:
 * it has this file write the models into a folder (ONNX_GOLDEN_FOLDER) and checks them.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { version } from '../../package.json';
import { goldenModels } from './goldenModels.js';

const accepted: { files: Record<string, string> } = JSON.parse(
  readFileSync(new URL('../golden/onnx/accepted.json', import.meta.url), 'utf8'),
);
const folder = process.env.ONNX_GOLDEN_FOLDER;

it.each(goldenModels.map((model) => [model.name, model] as const))(
  '%s has the bytes that the checker accepted',
  (name, model) => {
    const bytes = withoutVersion(model.bytes());
    if (folder !== undefined) writeFileSync(join(folder, `${name}.onnx`), bytes);
    else
      expect(
        createHash('sha256').update(bytes).digest('hex'),
        'other bytes: let test/golden/onnx/make.py check them',
      ).toBe(accepted.files[name]);
  },
);

it('names every model of the list', () => {
  expect(Object.keys(accepted.files).sort()).toEqual(goldenModels.map(({ name }) => name).sort());
});

/** The bytes without the field `producer_version`: tag, length, text. */
function withoutVersion(bytes: Uint8Array): Uint8Array {
  const field = Buffer.concat([Buffer.from([(3 << 3) | 2, version.length]), Buffer.from(version)]);
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(field);
  expect(at).toBeGreaterThanOrEqual(0);
  expect(at).toBeLessThan(64);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + field.length)]);
}

/**
 * The README's code, run as a user would run it: each block a file of its own in an empty folder, with the package
 * installed beside it.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'repconv-readme-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, 'node_modules'));
symlinkSync(root, join(folder, 'node_modules', 'repconv'), 'junction');

const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);

function run(code: string): string {
  writeFileSync(join(folder, 'block.mjs'), code);
  return execFileSync(process.execPath, ['block.mjs'], { cwd: folder, encoding: 'utf8', timeout: 120_000 });
}

it('fuses a published network, saves, exports and runs it', () => {
  expect(run(blocks[0])).toMatch(/^3×3 \+ 1×1 \+ identity → 3×3 \d\.\d+e-8\n$/);
  expect(existsSync(join(folder, 'fused.safetensors'))).toBe(true);
  expect(existsSync(join(folder, 'fused.onnx'))).toBe(true);
});

it('fuses a module of its own', () => {
  const text = run(blocks[1]);
  expect(text).toContain('(rbr_reparam): Conv2d(3, 32, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))');
  expect(text).toContain('groups=4');
});

it('has no block that nobody runs', () => {
  expect(blocks.length).toBe(2);
});

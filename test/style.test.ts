/** How comments are written, as far as a machine can tell: they fit a window, and say what they are about. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const repository = fileURLToPath(new URL('..', import.meta.url));
const files = ['lib', 'native', 'test', 'bench', 'examples']
  .flatMap((folder) => sourcesBelow(path.join(repository, folder)))
  .map((file) => [path.relative(repository, file), fs.readFileSync(file, 'utf8').split('\n')] as const);

it('comments have lines of at most 120 columns, as the formatters see to for code', () => {
  const tooLong = files.flatMap(([file, lines]) =>
    lines.flatMap((line, i) => (isComment(line) && [...line].length > 120 ? [`${file}:${i + 1}`] : [])),
  );
  expect(files.length).toBeGreaterThan(300);
  expect(tooLong).toEqual([]);
});

it('no comment begins with "Of": it names its subject', () => {
  const fragments = files.flatMap(([file, lines]) =>
    lines.flatMap((line, i) => {
      const isFirst = line.includes('/**') || !isComment(lines[i - 1] ?? '') || /\/\*\*$/.test(lines[i - 1]);
      return isFirst && /^\s*(\/\/|\/\*\*|\*) Of /.test(line) ? [`${file}:${i + 1}`] : [];
    }),
  );
  expect(fragments).toEqual([]);
});

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/\*|\*)/.test(line);
}

function sourcesBelow(folder: string): string[] {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return ['node_modules', 'golden'].includes(entry.name) ? [] : sourcesBelow(file);
    return /\.(ts|mts|mjs|cjs|cc|h|inl)$/.test(entry.name) ? [file] : [];
  });
}

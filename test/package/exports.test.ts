/** The package's two doors, `require` and `import`, lead to the same names and the same objects. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);

describe('the ESM facade', () => {
  it('lists every public name, types included, and no other', () => {
    expect(exportedNames('lib/index.mts')).toEqual(exportedNames('lib/index.ts'));
  });

  it('gives the very objects that require gives', () => {
    const differing = JSON.parse(
      runModule(`
        import { createRequire } from 'node:module';
        const required = createRequire(import.meta.url)('repconv');
        const imported = await import('repconv');
        const names = new Set([...Object.keys(required), ...Object.keys(imported)]);
        console.log(JSON.stringify([...names].filter((name) => required[name] === undefined || required[name] !== imported[name])));
      `),
    );
    expect(differing).toEqual([]);
  });

  it('has one class identity: a tensor made through one door is an instance at the other', () => {
    const output = runModule(`
      import { createRequire } from 'node:module';
      import { Tensor } from 'repconv';
      console.log(createRequire(import.meta.url)('repconv').ones([2]) instanceof Tensor);
    `);
    expect(output.trim()).toBe('true');
  });
});

/** Names a file of re-exports exports, sorted; types with the word before them. */
function exportedNames(file: string): string[] {
  const text = readFileSync(new URL(file, root), 'utf8');
  const lists = [...text.matchAll(/^export (type )?\{([^}]*)\} from/gm)];
  expect(lists.length, `${file}: named re-exports`).toBeGreaterThan(0);
  expect(text, `${file}: nothing but named re-exports`).not.toMatch(/^export (?!(type )?\{)/m);
  return lists
    .flatMap(([, type = '', names]) => names.split(',').map((name) => name.trim() && `${type}${name.trim()}`))
    .filter((name) => name !== '')
    .sort();
}

/** Runs a module as a user of the built package (dist/); the package's own name resolves inside it. */
function runModule(source: string): string {
  return execFileSync(process.execPath, ['--input-type=module', '--eval', source], { cwd: root, encoding: 'utf8' });
}

/**
 * The package in bundles, made by esbuild as docs/troubleshooting.md says. They run in a folder of their own: where
 * they were made is gone by then. `test/package/check.mjs` does the same with the tarball, and with webpack.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const docs = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8');
const app = readFileSync(join(root, 'test/package/consumer/bundled.mjs'), 'utf8');
let home: string;
let project: string;
let elsewhere: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'repconv-bundle-'));
  [project, elsewhere] = [join(home, 'project'), join(home, 'elsewhere')];
  for (const part of ['package.json', 'dist', 'build/Release/repconv.node']) {
    const copy = join(project, 'node_modules/repconv', part);
    mkdirSync(dirname(copy), { recursive: true });
    cpSync(join(root, part), copy, { recursive: true });
  }
  for (const name of ['@bufbuild', 'esbuild', '@esbuild'])
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name), 'junction');
  writeFileSync(join(project, 'app.mjs'), app);
});
afterEach(() => rmSync(home, { recursive: true }));

it.each([
  ['CommonJS', 'build.mjs', 'app.cjs'],
  ['ES modules', 'build-esm.mjs', 'app.mjs'],
])('runs in %s, with the addon copied beside it', (_, script, bundle) => {
  make(blockOf(script));
  expect(readdirSync(elsewhere).map((name) => name.replace(/-\w+\.node$/, '.node'))).toEqual([bundle, 'repconv.node']);
  expect(run(bundle)).toBe('bundled: ok\n');
});

it.each([
  ['CommonJS', 'build.mjs', 'app.cjs'],
  ['ES modules', 'build-esm.mjs', 'app.mjs'],
])('runs in %s, left out of the bundle', (_, script, bundle) => {
  make(blockOf(script).replace(/loader: .*/, "external: ['repconv'],"));
  mkdirSync(join(elsewhere, 'node_modules'));
  symlinkSync(root, join(elsewhere, 'node_modules/repconv'), 'junction');
  expect(run(bundle)).toBe('bundled: ok\n');
});

it.each(['file', 'empty'])('says what to do where the loader `%s` leaves no addon to load', (loader) => {
  make(blockOf('build.mjs').replace("'.node': 'copy'", `'.node': '${loader}'`));
  expect(() => run('app.cjs')).toThrow(/ERR_NATIVE.*a bundler put .+ in its place.*let the bundler copy \.node files/s);
});

/** The file of this name in the docs. */
function blockOf(name: string): string {
  const [, code] = new RegExp(`\`\`\`js\\n// ${name}\\n(.*?)\`\`\``, 's').exec(docs) ?? [];
  expect(code, `${name} in docs/troubleshooting.md`).toBeDefined();
  return code as string;
}

/** Runs a build script of the project, takes what it made elsewhere, and removes the project. */
function make(script: string): void {
  writeFileSync(join(project, 'script.mjs'), script);
  execFileSync(process.execPath, ['script.mjs'], { cwd: project, stdio: 'pipe' });
  cpSync(join(project, 'out'), elsewhere, { recursive: true });
  rmSync(project, { recursive: true });
}

function run(bundle: string): string {
  return execFileSync(process.execPath, [join(elsewhere, bundle)], { cwd: home, encoding: 'utf8', stdio: 'pipe' });
}

// Tests in realms of their own, which have another Error, another Float32Array and, before Node 24, no Symbol.dispose:
// in the vm contexts of Vitest, and in the real Jest, there on the built library; on every version of Node that is
// supported.
//
//   node test/realms/run.mjs [version …]       default: 20.19 22 24 26
//
// Needs the npm registry: Jest, and the other versions of Node.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { installNodes } from '../package/nodes.mjs';

const here = import.meta.dirname;
const root = fileURLToPath(new URL('../..', import.meta.url));

/** But those that start processes, and the one that wants a process in which nothing ran before. */
const files = ['formats', 'session', 'tensor']
  .flatMap((folder) => readdirSync(join(root, 'test', folder)).map((name) => `test/${folder}/${name}`))
  .filter((file) => file.endsWith('.test.ts') && !/\/(atomicWrite|lifeCycle|pool|stateDict)\./.test(file));

const versions = process.argv.length > 2 ? process.argv.slice(2) : ['20.19', '22', '24', '26'];
execFileSync(process.execPath, ['setup.mjs'], { cwd: root, stdio: 'inherit' });
const home = mkdtempSync(join(tmpdir(), 'repconv-realms-'));
try {
  const nodes = installNodes(home, versions, { jest: '^30.5.2' });
  const compiled = compile(join(home, 'checkout'));
  const failed = nodes.flatMap((node) => [...inVmContexts(node), ...inJest(node, compiled)]);
  for (const what of failed) console.error(`FAILED  ${what}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
} finally {
  rmSync(home, { recursive: true, force: true });
}

/** Runs the tests in a vm context for each file; what failed. */
function inVmContexts(node) {
  return run(
    node,
    'vm contexts',
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--pool=vmForks', ...files],
    root,
  );
}

/** Runs the compiled tests in Jest; what failed. */
function inJest(node, folder) {
  return run(node, 'Jest', [join(home, 'node_modules/jest/bin/jest.js'), '--rootDir', folder], folder);
}

function run(node, where, args, cwd) {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  console.log(`\n━━━ ${where}, Node ${version}\n`);
  const { status } = spawnSync(node, args, { cwd, stdio: 'inherit' });
  return status === 0 ? [] : [`${where}, Node ${version}`];
}

/**
 * A checkout in CommonJS for Jest, without a transform of its own: the tests as esbuild makes them, whose `using` asks
 * for `Symbol.for('Symbol.dispose')` where there is no `Symbol.dispose`, and for `lib` what tsc made of it.
 */
function compile(folder) {
  const sources = readdirSync(join(root, 'test'), { recursive: true }).filter((name) => name.endsWith('.ts'));
  buildSync({
    entryPoints: sources.map((name) => join(root, 'test', name)),
    outdir: join(folder, 'test'),
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    define: { 'import.meta.url': 'moduleUrl' },
    banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    sourcemap: 'inline',
  });
  cpSync(join(root, 'dist'), join(folder, 'lib'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  for (const name of ['build', 'node_modules', 'tsconfig.json']) symlinkSync(join(root, name), join(folder, name));
  symlinkSync(join(root, 'test/golden'), join(folder, 'test/golden'));
  const config = {
    testEnvironment: 'node',
    testMatch: files.map((file) => `<rootDir>/${file.replace(/ts$/, 'js')}`),
    transform: {},
    moduleNameMapper: { '^vitest$': join(here, 'vitest.cjs') },
    testTimeout: 60_000,
    maxWorkers: 2,
    workerGracefulExitTimeout: 30_000,
  };
  writeFileSync(join(folder, 'jest.config.json'), JSON.stringify(config));
  return folder;
}

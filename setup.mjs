// Makes a checkout ready to run: dependencies, addon, TypeScript; each step only where its inputs changed. `npm start`
// and `npm test` begin with it.
//
//   --peers      also installs what the comparisons measure against (bench/)
//   --docs       also installs what makes the API reference (site/)
//   --prebuild   also copies the addon to where the package carries it (prebuilds/)
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const wanted = new Set(process.argv.slice(2));

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  stop(`Node ${process.versions.node} is too old: repconv needs 20.19 or newer.`);

await step('dependencies', ['package.json', 'package-lock.json'], 'node_modules/.setup', () => npmInstall(root));
await step('native addon', ['native', 'binding.gyp', 'package-lock.json'], 'build/Release/.setup', async () => {
  const { buildAddon } = await import('./native/build.mjs');
  buildAddon('pipe');
});
await step('TypeScript', ['lib', 'tsconfig.json', 'package-lock.json'], 'dist/.setup', () => {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], {
    cwd: root,
    stdio: 'pipe',
  });
});
if (wanted.has('--peers')) {
  await step(
    'peers to compare with',
    ['bench/package.json', 'bench/package-lock.json'],
    'bench/node_modules/.setup',
    () => npmInstall(join(root, 'bench')),
  );
}
if (wanted.has('--docs'))
  await step('documentation', ['site/package.json', 'site/package-lock.json'], 'site/node_modules/.setup', () =>
    npmInstall(join(root, 'site')),
  );
if (wanted.has('--prebuild')) {
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, 'build/Release/repconv.node'), join(folder, 'repconv.node'));
}

/** Runs `act` unless the stamp already holds the hash of the inputs. */
async function step(name, inputs, stamp, act) {
  const path = join(root, stamp);
  const hash = createHash('sha256');
  for (const file of inputs.flatMap(filesBelow))
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0');
  const now = hash.digest('hex');
  if (existsSync(path) && readFileSync(path, 'utf8') === now) return;
  const start = Date.now();
  process.stderr.write(`setup: ${name} … `);
  try {
    await act();
  } catch (error) {
    // The first lines say what is wrong; npm adds its whole manual.
    const output = `${error.stdout ?? ''}${error.stderr ?? ''}`.split('\n').slice(0, 40).join('\n');
    stop(`failed\n\n${output || error.message}\n${adviceOn(name) ?? ''}`);
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, now);
  process.stderr.write(`${((Date.now() - start) / 1000).toFixed(0)} s\n`);
}

function npmInstall(folder) {
  const npm = process.env.npm_execpath;
  const command = npm === undefined ? ['npm', []] : [process.execPath, [npm]];
  // Nothing the project needs has an install script of its own. Not `npm ci`: it refuses a lock file made where the
  // registry lacks packages for other platforms; `install --no-save` takes the locked versions and leaves the file
  // alone.
  execFileSync(
    command[0],
    [...command[1], 'install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: folder,
      stdio: 'pipe',
    },
  );
}

function filesBelow(path) {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path))
    .sort()
    .flatMap((name) => filesBelow(`${path}/${name}`));
}

function stop(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

// A function, so that it is there before the steps above run.
function adviceOn(name) {
  return {
    'native addon':
      'The addon is built with node-gyp: it needs a C++20 compiler (GCC 11 or newer, or clang 14 or newer), make and Python 3.\n',
    dependencies: 'npm could not install the dependencies; is the registry reachable?\n',
  }[name];
}

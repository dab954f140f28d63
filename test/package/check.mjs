// Checks the package as users get it: packs it, installs the tarball in an empty project, and uses it there in every
// way that is promised.
//
//   node test/package/check.mjs     needs the npm registry: the package's dependencies, and
//                                   node-gyp for the build from source
//     --nodes                       also on newer versions of Node
//     --no-build                    without the build from the tarball's sources
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { smokeOnNodes } from './nodes.mjs';
import { node, npm } from './npm.mjs';
import { typeCheck } from './typeScript.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'repconv-package-'));
/** An empty project, as a user begins with. */
const project = join(home, 'project');
const installed = join(project, 'node_modules/repconv');
const wanted = new Set(process.argv.slice(2));

/** Beyond these a prebuilt binary or something unwanted has come in: one binary is 1.7 MB, 0.65 packed. */
const limits = { packedBytes: 1.25 * 2 ** 20, unpackedBytes: 3.5 * 2 ** 20 };

/** What the tarball holds, and nothing else. */
const shipped = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  // What README links to.
  /^docs\/(images\/)?[a-z]+\.(md|svg)$/,
  /^(CONTRIBUTING|(lib|native|bench|examples\/digits)\/README|bench\/RESULTS)\.md$/,
  /^examples\/article\/article\.mjs$/,
  /^dist\/.+\.(js|mjs|d\.ts|d\.mts)$/,
  /^prebuilds\/[a-z0-9-]+\/repconv\.node$/,
  // What a build from source reads.
  /^binding\.gyp$/,
  /^native\/(addon|core|executor|kernels|ops)\/.+\.(cc|h|inl|map)$/,
  /^native\/(headers\/common\.gypi|build\.mjs|sources\.(json|mjs))$/,
];

/** Licences that a package of licence MIT may depend on without a further thought. */
const licences = /^\(?(MIT|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0)( AND (MIT|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0))*\)?$/;

try {
  const { tarball, files } = step('npm pack', pack);
  step('the tarball holds what users need and no more', () => checkContents(files));
  step('publint', () => lint('publint/src/cli.js', 'run', tarball, '--strict'));
  step('are the types wrong?', () =>
    lint('@arethetypeswrong/cli/dist/index.js', tarball, '--no-definitely-typed', '--format', 'ascii'),
  );
  step('npm install in an empty project', () => install(tarball));
  step('dependencies: no install script anywhere, free licences', listDependencies);
  step('require, import, Worker; no connection, no child process', smoke);
  step('TypeScript: from 5.2 on, every resolution, with and without @types/node', () =>
    typeCheck(project, home, join(root, 'node_modules/@types')),
  );
  step('npx repconv --help', commandLine);
  step('bundles by esbuild and webpack, run in another folder', bundle);
  if (wanted.has('--nodes')) step('newer versions of Node', () => smokeOnNodes(project).join('\n'));
  const commands = step('without a binary: says what to do', adviceWithoutBinary);
  if (!wanted.has('--no-build'))
    step('those commands build it from the tarball, and it works', () => buildFromTarball(commands));
} finally {
  rmSync(home, { recursive: true, force: true });
}

/** Does one check and prints it, with what it tells; an assertion that fails ends the program. */
function step(name, act) {
  const start = Date.now();
  try {
    const result = act();
    console.log(`ok      ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
    const said = typeof result === 'string' ? result : (result?.said ?? '');
    if (said !== '') console.log(said.replaceAll(/^/gm, '        '));
    return result;
  } catch (error) {
    console.error(`FAILED  ${name}\n${error.message}`);
    rmSync(home, { recursive: true, force: true });
    process.exit(1);
  }
}

function pack() {
  const [{ filename, files, size, unpackedSize }] = JSON.parse(
    npm(['pack', '--json', '--pack-destination', home], root),
  );
  assert.ok(
    size <= limits.packedBytes && unpackedSize <= limits.unpackedBytes,
    `${size} bytes packed, ${unpackedSize} unpacked`,
  );
  const said = `${filename}: ${kilobytes(size)} packed, ${kilobytes(unpackedSize)} unpacked, ${files.length} files`;
  return { tarball: join(home, filename), files, said };
}

function checkContents(files) {
  const paths = files.map(({ path }) => path);
  assert.deepEqual(
    paths.filter((path) => !shipped.some((pattern) => pattern.test(path))),
    [],
    'files that have no place in the package',
  );
  const { engine, addon } = JSON.parse(readFileSync(join(root, 'native/sources.json'), 'utf8'));
  const needed = [
    ...[
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'dist/index.js',
      'dist/index.mjs',
      'dist/index.d.ts',
      'dist/index.d.mts',
    ],
    ...[...engine, ...addon].map((path) => `native/${path}`),
  ];
  assert.deepEqual(
    needed.filter((path) => !paths.includes(path)),
    [],
    'files that are missing',
  );
  const pages = paths.filter((path) => path.endsWith('.md'));
  assert.deepEqual(
    pages.flatMap((page) => linksOf(page).filter((target) => !paths.includes(target))),
    [],
    'links to what is not in the package',
  );
  return files
    .filter(({ path }) => path.endsWith('.node'))
    .map(({ path, size }) => `${path}: ${kilobytes(size)}`)
    .join('\n');
}

/** What a page links to beside it, as paths in the package. */
function linksOf(page) {
  const targets = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(
    ([, target]) => target,
  );
  return targets.filter((target) => !/^[a-z]+:/.test(target)).map((target) => posix.join(posix.dirname(page), target));
}

/** Runs a checker of the development dependencies; it says nothing here unless something is wrong. */
function lint(program, ...args) {
  node([join(root, 'node_modules', program), ...args], root);
}

function install(tarball) {
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'user', private: true }));
  npm(['install', tarball, '--no-audit', '--no-fund', '--loglevel=error'], project);
  cpSync(join(root, 'test/package/consumer'), project, { recursive: true });
}

function listDependencies() {
  const { packages } = JSON.parse(readFileSync(join(project, 'node_modules/.package-lock.json'), 'utf8'));
  const all = Object.entries(packages).map(([path, about]) => ({
    ...about,
    path,
    name: path.replace(/.*node_modules\//, ''),
  }));
  assert.deepEqual(
    all.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name),
    [],
    'packages with install scripts',
  );
  assert.deepEqual(
    all.filter(({ license }) => !licences.test(license ?? '')).map(({ name, license }) => `${name}: ${license}`),
    [],
    'licences to look at',
  );
  const rows = all.map(
    ({ name, version, license, path }) =>
      `${`${name} ${version}`.padEnd(32)}${license.padEnd(34)}${kilobytes(folderBytes(join(project, path)))}`,
  );
  return rows.join('\n');
}

function smoke() {
  const offline = ['--require', './offline.cjs'];
  return ['smoke.cjs', 'smoke.mjs'].map((script) => node([...offline, script], project).trim()).join('\n');
}

function commandLine() {
  const help = npm(['exec', '--offline', '--', 'repconv', '--help'], project);
  for (const command of ['bench', 'fuse', 'inspect']) assert.match(help, new RegExp(`\\b${command}\\b`));
}

/** What docs/troubleshooting.md says of bundlers that copy the addon, done with the installed package. */
function bundle() {
  const docs = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8');
  const workshop = join(home, 'workshop');
  mkdirSync(workshop);
  writeFileSync(join(workshop, 'package.json'), JSON.stringify({ name: 'bundles', private: true }));
  const packages = ['webpack', 'node-loader', `esbuild@${versionOf('esbuild')}`];
  npm(['install', ...packages, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], workshop);
  cpSync(join(project, 'node_modules'), join(workshop, 'node_modules'), { recursive: true, force: false });
  cpSync(join(project, 'bundled.mjs'), join(workshop, 'app.mjs'));
  // Without its command line, which is another package.
  const runWebpack = `
    require('webpack')(require('./webpack.config.cjs'), (failure, stats) => {
      if (failure || stats.hasErrors() || stats.hasWarnings()) throw failure || new Error(stats.toString());
    });`;
  const scripts = { 'build.mjs': 'app.cjs', 'build-esm.mjs': 'app.mjs', 'webpack.config.cjs': 'app.cjs' };
  for (const [script, made] of Object.entries(scripts)) {
    const [, code] = new RegExp(`\`\`\`js\\n// ${script}\\n(.*?)\`\`\``, 's').exec(docs);
    writeFileSync(join(workshop, script), code);
    node(script === 'webpack.config.cjs' ? ['--eval', runWebpack] : [script], workshop);
    const elsewhere = join(home, script);
    renameSync(join(workshop, 'out'), elsewhere);
    assert.equal(node([join(elsewhere, made)], home), 'bundled: ok\n');
  }
}

function versionOf(name) {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
}

/** Removes the prebuilt binaries; returns the npm commands that the error then advises. */
function adviceWithoutBinary() {
  rmSync(join(installed, 'prebuilds'), { recursive: true });
  let message = '';
  try {
    smoke();
  } catch (error) {
    message = error.message;
  }
  assert.match(message, /ERR_NATIVE/);
  const commands = message.match(/^ *npm .+$/gm)?.map((line) => line.trim()) ?? [];
  assert.equal(commands.length, 2, `expected two commands in:\n${message}`);
  return { commands, said: commands.join('\n') };
}

function buildFromTarball({ commands }) {
  for (const command of commands) npm(command.split(' ').slice(1), project);
  assert.ok(statSync(join(installed, 'build/Release/repconv.node')).size > 0);
  return smoke();
}

function folderBytes(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

function kilobytes(bytes) {
  return `${Math.round(bytes / 1000)} kB`;
}

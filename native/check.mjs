// `npm run check:native`: the native code under what finds its mistakes. In order, each stopping everything at the
// first failure:
//
//   plain              the unit tests of test/native as the addon is compiled: guard pages, exactness, threads,
//                      failing allocations
//   address,undefined  the same under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer
//   thread             the same under ThreadSanitizer
//   allocations        every allocation of the addon that ships fails once in a Node: loading, compiling, running,
//                      folding, ending, in Workers too; what V8 is told of memory outside its heap is taken back
//   addon              tests of test/ against an addon built with AddressSanitizer and UndefinedBehaviorSanitizer
//   leaks              sessions made, run and dropped in a plain Node with that addon, under LeakSanitizer
//
// An argument picks some: `node native/check.mjs thread addon`. Builds stay in build/check and are continued.
//
// The library loads an addon from two places only, and no variable can name a third (lib/engine/addon.ts): so the
// instrumented one is put where it belongs in a copy of the checkout, which is removed afterwards.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));

// What the sanitizers are told. Allocations that are too large return null, as without a sanitizer: tests ask for them.
const environment = {
  ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1:strict_string_checks=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1',
};

// Tests that reach native code through the library; not the one that weighs the process, for a sanitizer keeps what was
// freed.
const addonTests = ['test/engine', 'test/session', 'test/repconv.test.ts'];
const withoutMemory = '^(?!.*memory comes back)';

const parts = {
  plain: () => runUnitTests(build('plain')),
  'address,undefined': () => runUnitTests(build('address,undefined', { withAddon: true })),
  thread: () => runUnitTests(build('thread')),
  allocations: () => {
    const preload = join(build('plain'), 'Release', 'refuse_allocations.node');
    run(process.execPath, [join(root, 'test/native/addon/allocations.cjs'), preload], root);
    run(process.execPath, ['--expose-gc', join(root, 'test/native/addon/external.cjs'), preload], root);
  },
  addon: () =>
    inCopyWithAddon((copy, env) => {
      const tests = addonTests.filter((path) => existsSync(join(copy, path)));
      // Node and the test runner free little at their end: leaks are the next part's business.
      const options = { ...env, ASAN_OPTIONS: env.ASAN_OPTIONS.replace('detect_leaks=1', 'detect_leaks=0') };
      run(
        process.execPath,
        [
          join(root, 'node_modules', 'vitest', 'vitest.mjs'),
          'run',
          '--testTimeout=300000',
          '--testNamePattern',
          withoutMemory,
          ...tests,
        ],
        copy,
        options,
      );
    }),
  leaks: () =>
    inCopyWithAddon((copy, env) =>
      run(process.execPath, ['--expose-gc', join(copy, 'test/native/leaks.cjs')], copy, env),
    ),
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) stop(`unknown part ${unknown.join(', ')}; there are: ${Object.keys(parts).join('  ')}`);
if (process.platform !== 'linux') {
  console.warn(`SKIPPED: the native checks run on Linux with GCC; this is ${process.platform}`);
  process.exit(0);
}
ensureCMake();
const skipped = [];
for (const [name, check] of Object.entries(parts)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const start = Date.now();
  console.log(`\ncheck:native ${name}`);
  check();
  console.log(`check:native ${name}: passed in ${((Date.now() - start) / 1000).toFixed(0)} s`);
}
for (const text of skipped) console.warn(`SKIPPED: ${text}`);

/** Configures and builds native/CMakeLists.txt; returns the build's folder. */
function build(sanitize, { withAddon = false } = {}) {
  const folder = join(root, 'build', 'check', sanitize.replace(',', '-'));
  const options = sanitize === 'plain' ? [] : [`--CDREPCONV_SANITIZE=${sanitize}`];
  if (withAddon) options.push('--CDREPCONV_ADDON=ON');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      require.resolve('cmake-js/bin/cmake-js'),
      'compile',
      '--directory',
      join(root, 'native'),
      '--out',
      folder,
      '--parallel',
      String(availableParallelism()),
      ...options,
    ],
    { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  const warnings = stdout.split('\n').filter((line) => line.includes(' warning: '));
  if (status !== 0)
    stop(`the build with sanitizers ${sanitize} failed:\n${stdout.split('\n').slice(-60).join('\n')}\n${stderr}`);
  if (warnings.length > 0) stop(`the compiler warns:\n${warnings.join('\n')}`);
  return folder;
}

function runUnitTests(folder) {
  run(join(folder, 'native_tests'), [], folder, environment);
}

/**
 * Calls `act` with a copy of the checkout whose addon is instrumented, and the environment in which Node can load it.
 */
function inCopyWithAddon(act) {
  const runtime = execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  if (!isAbsolute(runtime)) {
    skipped.push('the compiler has no shared AddressSanitizer (libasan.so): the addon was not tested in Node');
    return;
  }
  const folder = build('address,undefined', { withAddon: true });
  const copy = mkdtempSync(join(tmpdir(), 'repconv-check-'));
  try {
    for (const path of ['lib', 'dist', 'test', 'examples', 'package.json', 'tsconfig.json', 'vitest.config.mts']) {
      if (existsSync(join(root, path))) cpSync(join(root, path), join(copy, path), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    mkdirSync(join(copy, 'build', 'Release'), { recursive: true });
    cpSync(join(folder, 'Release', 'repconv.node'), join(copy, 'build', 'Release', 'repconv.node'));
    act(copy, { ...environment, LD_PRELOAD: runtime });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function run(program, args, cwd, env) {
  const { status, signal } = spawnSync(program, args, { cwd, env: { ...process.env, ...env }, stdio: 'inherit' });
  if (status !== 0) stop(`${program} ${args.join(' ')} ended with ${signal ?? status}`);
}

/** CMake 3.19 or newer; installed where that can be done without asking. */
function ensureCMake() {
  if (hasCMake()) return;
  if (process.getuid() === 0 && spawnSync('apt-get', ['--version']).status === 0) {
    console.log('check:native: CMake is missing; installing it with apt-get');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env });
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'cmake'], { stdio: 'inherit', env });
  }
  if (!hasCMake())
    stop(
      'The native checks are built with CMake 3.19 or newer, and there is none. Debian: apt-get install cmake; others: https://cmake.org/download',
    );
}

function hasCMake() {
  const { status, stdout } = spawnSync('cmake', ['--version'], { encoding: 'utf8' });
  const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  return status === 0 && (Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 19));
}

function stop(message) {
  process.stderr.write(`check:native: ${message}\n`);
  process.exit(1);
}

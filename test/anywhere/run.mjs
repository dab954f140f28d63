// The tests as other machines run them: on another processor, with other work beside, in another country, with another
// terminal. No test may depend on any of these.
//
//   node test/anywhere/run.mjs [--in <surroundings>] [folder or file …]      default: in each, the folders most at risk
//
// Each surroundings differs from this machine in many ways at once. What a test that fails depends on is found by
// taking the variables away one after the other. On Linux the processor is told to have other caches too.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = import.meta.dirname;
const root = fileURLToPath(new URL('../..', import.meta.url));
const atRisk = ['cli', 'doors', 'engine', 'examples', 'formats', 'fusing', 'package', 'session', 'snapshots'];
const isLinux = process.platform === 'linux';

/**
 * @type {Record<string, { processor: string, caches: string, command?: string[], busyLoops?: number, environment:
 * object }>}
 */
const surroundings = {
  'one old core': {
    processor: 'Another(R) Processor of a very long name '.repeat(3).slice(0, 120),
    caches: '32768 262144',
    command: isLinux ? ['taskset', '-c', '0'] : [],
    environment: {
      ...{ REPCONV_ISA: 'scalar', TZ: 'Pacific/Chatham', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' },
      ...{ FORCE_COLOR: '1', CI: '1' },
    },
  },
  'a busy machine': {
    processor: '処理装置'.repeat(30),
    caches: '49152 4194304',
    busyLoops: 2,
    environment: {
      ...{ REPCONV_ISA: 'avx2', REPCONV_THREADS: '3', REPCONV_DEBUG: '3' },
      ...{ TZ: 'America/St_Johns', LANG: 'C', NO_COLOR: '1', TERM: 'dumb' },
    },
  },
  'a script of npm': {
    processor: '',
    caches: '0 0',
    command: ['npm', 'exec', '--offline', '--'],
    environment: { REPCONV_ISA: 'avx512', TZ: 'UTC', LANG: 'de_DE.UTF-8', TERM: 'xterm-256color' },
  },
};

const { values: options, positionals } = parseArgs({ allowPositionals: true, options: { in: { type: 'string' } } });
if (options.in !== undefined && !Object.hasOwn(surroundings, options.in))
  throw new Error(`--in expects one of ${Object.keys(surroundings).join(', ')}, got ${options.in}`);
const names = options.in === undefined ? Object.keys(surroundings) : [options.in];
const folders = positionals.length > 0 ? positionals : atRisk.map((name) => join('test', name));

execFileSync(process.execPath, ['setup.mjs', '--peers'], { cwd: root, stdio: 'inherit' });
const scratch = mkdtempSync(join(tmpdir(), 'repconv-anywhere-'));
try {
  const failed = names.filter((name) => !passes(name, surroundings[name], otherCaches(scratch)));
  for (const name of names) console.log(`${failed.includes(name) ? 'FAILED' : 'passed'}  in ${name}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true });
}

function passes(name, { processor, caches, command = [], busyLoops = 0, environment }, preload) {
  console.log(`\n━━━ in ${name}: ${JSON.stringify(environment)}\n`);
  const busy = Array.from({ length: busyLoops }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  const { PATH, HOME, USER, TMPDIR, npm_execpath } = process.env;
  const inherited = Object.entries({ PATH, HOME, USER, TMPDIR, npm_execpath }).filter(
    ([, value]) => value !== undefined,
  );
  const [file, ...args] = [...command, 'node', 'node_modules/vitest/vitest.mjs', 'run', ...folders];
  try {
    const { status } = spawnSync(file, args, {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...Object.fromEntries(inherited),
        NODE_OPTIONS: `--require ${JSON.stringify(join(here, 'otherProcessor.cjs'))}`,
        ...{ REPCONV_TEST_PROCESSOR: processor, REPCONV_TEST_CACHES: caches, LD_PRELOAD: preload },
        ...environment,
      },
    });
    return status === 0;
  } finally {
    for (const child of busy) child.kill();
  }
}

/** otherCaches.cc, built; empty where there is nothing to preload it. */
function otherCaches(folder) {
  if (!isLinux) return '';
  const library = join(folder, 'otherCaches.so');
  execFileSync('g++', ['-shared', '-fPIC', '-o', library, join(here, 'otherCaches.cc')], { stdio: 'inherit' });
  return library;
}

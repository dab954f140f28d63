/**
 * The ends of processes and threads while native code computes: exit codes as asked for, no crash, no hang, nothing
 * left behind.
 *
 * Everything here happens in processes of its own, which run the library as JavaScript, as users do.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { compiledLibrary } from '../formats/childProcess.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Long after every program here has ended, on a busy machine too. */
const hangMs = 60_000;

/** Runs a program to its end; one that hangs is killed, and its signal then tells. */
function run(
  source: string,
  { flags = [] as string[], env = {}, whenReady = (_child: ReturnType<typeof spawn>): unknown => undefined } = {},
): Promise<Ending> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...flags, '-e', source], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      timeout: hangMs,
      killSignal: 'SIGKILL',
    });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        texts[name] += text;
        if (texts[name].includes('ready')) whenReady(child);
      });
    }
    child.on('close', (code, signal) => resolve({ code, signal, ...texts }));
  });
}

describe('while a session computes', () => {
  const library = compiledLibrary('index.ts');
  /** What all programs begin with: a network of layers of some 10 ms each, many of them. */
  let prelude = '';

  beforeAll(() => {
    // The addon and the dependencies are found from where the compiled library lies.
    for (const folder of ['build', 'node_modules'])
      fs.symlinkSync(path.join(repository, folder), path.join(path.dirname(library), folder));
    prelude = `
      const { Worker, isMainThread, parentPort } = require('node:worker_threads');
      const crypto = require('node:crypto');
      const libraryFile = ${JSON.stringify(path.join(library, 'index.js'))};
      function make(layers, size) {
        const { Conv2d, Sequential, compileSync, manualSeed, randn } = require(libraryFile);
        manualSeed(7);
        const model = new Sequential(...Array.from({ length: layers }, () => new Conv2d(32, 32, 3, { padding: 1 })));
        return { session: compileSync(model, { inputs: { x: [1, 32, size, size] }, threads: 2, isa: 'scalar' }), x: randn([1, 32, size, size]) };
      }
      const hash = ({ output }) => crypto.createHash('sha256').update(output.data).digest('hex');
      const source = (body) => make + ';const { parentPort } = require("node:worker_threads"); const crypto = require("node:crypto");'
        + 'const libraryFile = ' + JSON.stringify(libraryFile) + '; const hash = ' + hash + ';' + body;
      const endOf = (worker) => new Promise((resolve) => worker.once('exit', resolve));
      const messageOf = (worker) => new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
    `;
  });

  const program = (body: string): string => `${prelude}(async () => {${body}})();`;

  it('a program that has nothing else to do waits for the result', async () => {
    const ending = await run(
      program(
        `const { session, x } = make(20, 40); session.run(x).then((y) => console.log('done', y.output.shape.join()));`,
      ),
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'done 1,32,40,40\n', stderr: '' });
  });

  it('process.exit ends the process with its code, at once', async () => {
    for (const body of [
      'session.run(x); process.exit(3);',
      'for (let i = 0; i < 6; i++) session.run(x); setTimeout(() => process.exit(3), 30);',
      'session.run(x); process.on("exit", () => { session.run(x); process.exitCode = 3; }); setTimeout(() => process.exit(), 20);',
      'process.on("exit", () => session[Symbol.dispose]()); session.run(x); setTimeout(() => process.exit(3), 20);',
    ]) {
      const ending = await run(program(`const { session, x } = make(400, 40); ${body}`));
      expect(ending, body).toMatchObject({ code: 3, signal: null, stderr: '' });
    }
  });

  it('an exception that nobody catches ends the process as it always does', async () => {
    const thrown = await run(
      program(
        `const { session, x } = make(400, 40); session.run(x); setTimeout(() => { throw new Error('mine'); }, 20);`,
      ),
    );
    expect(thrown).toMatchObject({ code: 1, signal: null });
    expect(thrown.stderr).toContain('Error: mine');
    const rejected = await run(
      program(`const { session, x } = make(400, 40); session.run(x); await Promise.reject(new Error('mine too'));`),
    );
    expect(rejected).toMatchObject({ code: 1, signal: null });
    expect(rejected.stderr).toContain('Error: mine too');
    expect(`${thrown.stderr}${rejected.stderr}`).not.toContain('FATAL');
  });

  it('an abort that nobody waits for is an unhandled rejection like any other, and a handled one is none', async () => {
    const ending = await run(
      program(`const { session, x } = make(400, 40); const controller = new AbortController();
        session.run(x, { signal: controller.signal }).catch((error) => console.log(error.name)); setTimeout(() => controller.abort(), 20);`),
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'AbortError\n', stderr: '' });
  });

  it('SIGTERM ends the process by that signal', async () => {
    const ending = await run(
      program(`const { session, x } = make(400, 40); session.run(x); setTimeout(() => console.log('ready'), 20);`),
      {
        whenReady: (child) => child.kill('SIGTERM'),
      },
    );
    expect(ending).toMatchObject({ code: null, signal: 'SIGTERM', stderr: '' });
  });

  it('a Worker may be terminated, again and again, and the main thread computes on', async () => {
    const ending = await run(
      program(`
        const { session, x } = make(3, 40);
        const expected = hash(session.runSync(x));
        for (let round = 0; round < 12; round++) {
          const worker = new Worker(source('const { session, x } = make(100, 40); for (let i = 0; i < 3; i++) session.run(x).catch(() => {}); parentPort.postMessage("running");'), { eval: true });
          await messageOf(worker);
          await new Promise((resolve) => setTimeout(resolve, 3 * round));
          const run = session.run(x);
          await worker.terminate();
          if (hash(await run) !== expected || hash(session.runSync(x)) !== expected) throw new Error('wrong numbers');
        }
        console.log('alive');`),
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'alive\n', stderr: '' });
  });

  it('termination of a Worker waits for the layer its run is in, not for the run', async () => {
    const ending = await run(
      program(`
        const { session, x } = make(4, 448);
        session.runSync(x);
        const started = performance.now();
        session.runSync(x);
        const layer = (performance.now() - started) / 4;
        // Whoever waited for the run would hang.
        const layers = Math.ceil(${4 * hangMs} / layer);
        const body = 'const { session, x } = make(' + layers + ', 448); session.run(x).catch(() => {}); parentPort.postMessage("running");';
        for (let round = 0; round < 3; round++) {
          const worker = new Worker(source(body), { eval: true });
          await messageOf(worker);
          await new Promise((resolve) => setTimeout(resolve, (1 + round / 2) * layer));
          await worker.terminate();
        }
        console.log('alive');`),
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'alive\n', stderr: '' });
  });

  it('runs never occupy the threads of libuv: files and names are found at once while runs use all processors', async () => {
    const ending = await run(
      program(`
        const fs = require('node:fs/promises'), dns = require('node:dns/promises');
        const { session, x } = make(1600, 64);
        let settled = 0;
        const controller = new AbortController();
        const runs = Array.from({ length: 16 }, () => session.run(x, { signal: controller.signal }).finally(() => settled++).catch(() => {}));
        for (let i = 0; i < 40; i++) {
          await Promise.all([fs.stat(libraryFile), dns.lookup('127.0.0.1'), new Promise((resolve, reject) => crypto.pbkdf2('a', 'b', 1, 16, 'sha256', (e) => e ? reject(e) : resolve()))]);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        // Behind a run on libuv's one thread they would be found when it has settled.
        console.log(settled === 0 ? 'all were computing' : 'not before ' + settled + ' runs had settled');
        controller.abort();
        await Promise.all(runs);`),
      { env: { UV_THREADPOOL_SIZE: '1' } },
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'all were computing\n', stderr: '' });
  });

  it('a Worker may be terminated in runSync', async () => {
    const ending = await run(
      program(`
        for (let round = 0; round < 5; round++) {
          const worker = new Worker(source('const { session, x } = make(6, 40); parentPort.postMessage("running"); for (;;) session.runSync(x);'), { eval: true });
          await messageOf(worker);
          await new Promise((resolve) => setTimeout(resolve, 7 * round));
          await worker.terminate();
        }
        console.log('alive');`),
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'alive\n', stderr: '' });
  });

  it('a Worker may exit or throw', async () => {
    const ending = await run(
      program(`
        for (let round = 0; round < 3; round++) {
          const exits = new Worker(source('const { session, x } = make(100, 40); session.run(x); setTimeout(() => process.exit(5), 10);'), { eval: true });
          console.log('exit', await endOf(exits));
          const throws = new Worker(source('const { session, x } = make(100, 40); session.run(x); setTimeout(() => { throw new Error("mine"); }, 10);'), { eval: true });
          throws.on('error', (error) => console.log(error.message));
          console.log('exit', await endOf(throws));
        }`),
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'exit 5\nmine\nexit 1\n'.repeat(3), stderr: '' });
  });

  it('an end in the middle of planning is an end like any other', async () => {
    // Weights of 64 → 1024 → 64 channels: packing them takes some milliseconds for each layer.
    const open = `
      const { Conv2d, Sequential, compileSync, randn } = require(libraryFile);
      const wide = () => compileSync(new Sequential(...Array.from({ length: 8 }, (_, i) => new Conv2d(i % 2 ? 1024 : 64, i % 2 ? 64 : 1024, 3, { padding: 1 }))),
        { inputs: { x: ['N', 64, 'H', 'W'] } });`;
    const exits = await run(
      program(
        `${open} const session = wide(); session.run(randn([1, 64, 9, 9])); setTimeout(() => process.exit(3), 2);`,
      ),
    );
    expect(exits).toMatchObject({ code: 3, signal: null, stderr: '' });
    const ending = await run(
      program(`${open}
        for (let round = 0; round < 6; round++) {
          const body = ${JSON.stringify(open)} + 'const session = wide(); session.run(randn([1, 64, 9, 9])).catch(() => {}); parentPort.postMessage("planning");';
          const worker = new Worker(source(body), { eval: true });
          await messageOf(worker);
          await new Promise((resolve) => setTimeout(resolve, 4 * round));
          await worker.terminate();
        }
        const session = wide();
        const run = session.run(randn([1, 64, 5, 5]));
        await session.dispose();
        console.log((await run).output.shape.join());`),
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: '1,64,5,5\n', stderr: '' });
  });

  it('many Workers compute at once, each with the same bits as the main thread', async () => {
    const ending = await run(
      program(`
        const { session, x } = make(4, 24);
        const expected = hash(session.runSync(x));
        const workers = Array.from({ length: 6 }, () => new Worker(source(
          'const { session, x } = make(4, 24); session.run(x).then((y) => parentPort.postMessage([hash(y), hash(session.runSync(x))]));'), { eval: true }));
        const ends = workers.map(endOf);
        const found = await Promise.all(workers.map(messageOf));
        await Promise.all(ends);
        console.log(found.flat().every((bits) => bits === expected));`),
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'true\n', stderr: '' });
  });

  it('the addon may be loaded, unloaded and loaded again: by Workers alone, with garbage left behind', async () => {
    const ending = await run(
      program(`
        for (let round = 0; round < 6; round++) {
          const worker = new Worker(source('const { session, x } = make(60, 24); globalThis.left = session; session.run(x).catch(() => {}); parentPort.postMessage("running");'), { eval: true });
          const end = endOf(worker);
          await messageOf(worker);
          if (round % 2 === 0) worker.terminate();
          await end;
        }
        const { session, x } = make(2, 24);
        console.log((await session.run(x)).output.shape.join());`),
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: '1,32,24,24\n', stderr: '' });
  });

  it('sessions that nobody disposed of are collected, runs under way and all', async () => {
    const ending = await run(
      program(`
        for (let round = 0; round < 10; round++) {
          const { session, x } = make(3, 40);
          const run = session.run(x);
          gc();
          await run;
        }
        gc();
        console.log('done');`),
      { flags: ['--expose-gc'] },
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'done\n', stderr: '' });
  });

  it('constants that only the program holds are there until the session has its own, whatever is collected meanwhile', async () => {
    const ending = await run(
      program(`
        const { Conv2d, compile, compileSync, randn } = require(libraryFile);
        const addon = require(require('node:path').join(require('node:path').dirname(libraryFile), 'engine/addon.js')).nativeAddon();
        const garbage = [];
        const collect = () => {
          for (let i = 0; i < 3; i++) gc();
          for (let i = 0; i < 30; i++) garbage.push(new Float32Array(32 * 64 * 25).fill(NaN));
        };
        addon.Session = class extends addon.Session {
          prepare(...given) { collect(); return super.prepare(...given); }
          keepConstants(...given) { collect(); return super.keepConstants(...given); }
        };
        // Weights in half precision are converted for the program.
        const half = new Conv2d(32, 64, 5).to('float16'), x = randn([1, 32, 12, 12]), inputs = { x: [1, 32, 12, 12] };
        const sessions = [compileSync(half, { inputs }), compileSync(half, { inputs: { x: [1, 32, 'H', 'W'] } }), await compile(half, { inputs })];
        const expected = hash({ output: half.to('float32').forward(x) });
        for (const session of sessions) console.log(hash(await session.run(x)) === expected);`),
      { flags: ['--expose-gc'] },
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stdout: 'true\ntrue\ntrue\n', stderr: '' });
  });

  it('memory comes back: compile, run and dispose, hundreds of times', async () => {
    const ending = await run(
      program(`
        const round = async () => {
          const { session, x } = make(4, 24);
          session.runSync(x);
          await session.run(x);
          await session.dispose();
        };
        const settle = async () => { for (let i = 0; i < 5; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 5)); } };
        for (let i = 0; i < 100; i++) await round();
        await settle();
        const [rss, external] = [process.memoryUsage.rss(), process.memoryUsage().external];
        for (let i = 0; i < 300; i++) await round();
        await settle();
        console.log(JSON.stringify({ rss: process.memoryUsage.rss() - rss, external: process.memoryUsage().external - external }));`),
      // Young objects of JavaScript keep their megabyte: it grows to 32 when it pleases, and is not what is looked for.
      { flags: ['--expose-gc', '--max-semi-space-size=1'] },
    );
    expect(ending).toMatchObject({ code: 0, signal: null, stderr: '' });
    const { rss, external } = JSON.parse(ending.stdout) as { rss: number; external: number };
    // One round holds more than 0.5 MB outside the heap: were it kept, 150 MB. (Of that, `external` shows JavaScript's
    // buffers only; what V8 is told of the rest is in test/native/addon/external.cjs.)
    expect(rss).toBeLessThan(24e6);
    expect(Math.abs(external)).toBeLessThan(0.5e6);
  });
});

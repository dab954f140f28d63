// What does compiling cost, and how long does it keep the event loop waiting? Networks at 224×224 as they are trained
// (branches and batch norms, which are folded) and as they are deployed: the first compile of a process, which meets
// cold code and untouched memory, and the median of those that follow. Beside it the first run of a session and the
// median of the next.
//
//   node bench/compile.mjs [network ...] [--compiles 15]      default: repvgg-a0 repvgg-b1g4 mobileone-s0
//
// Delays are the longest of monitorEventLoopDelay({ resolution: 1 }): the timer's own millisecond is in them. Each row
// has a process of its own.
import { execFileSync } from 'node:child_process';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as rest } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { environment, environmentLine } from '../dist/cli/environment.js';
import { numberColumns, paragraph, print, rounded, table } from '../dist/cli/output.js';
import { quantile } from '../dist/cli/turns.js';
import {
  compile,
  createMobileOne,
  createRepVGG,
  difference,
  manualSeed,
  Random,
  randn,
  repconv,
} from '../dist/index.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { compiles: { type: 'string', default: '15' }, row: { type: 'string' } },
});
const names = positionals.length > 0 ? positionals : ['repvgg-a0', 'repvgg-b1g4', 'mobileone-s0'];
const shape = [1, 3, 224, 224];
const runs = 15;
/** How far float32 rounding may set outputs of these networks apart, relative to the largest. */
const limit = 2e-5;

if (options.row === undefined) showRows();
else process.stdout.write(JSON.stringify(await measure(names[0], options.row)));

function showRows() {
  const place = environment();
  print(paragraph(`${environmentLine(place)}; load before ${place.load}`));
  const titles = ['compile', 'then', 'loop waits', 'then', 'first run', 'then'];
  const rows = names.flatMap((name) =>
    ['trained', 'deployed'].map((form) => {
      const arguments_ = [fileURLToPath(import.meta.url), name, '--row', form, '--compiles', options.compiles];
      const row = JSON.parse(execFileSync(process.execPath, arguments_, { encoding: 'utf8' }));
      const milliseconds = [row.compile, row.loop, row.run].flatMap(([first, ...others]) => [
        first,
        quantile(others, 0.5),
      ]);
      return [name, form, ...milliseconds.map((value) => `${rounded(value)} ms`)];
    }),
  );
  print(table([{ title: 'network' }, { title: 'form' }, ...numberColumns(...titles)], rows));
}

/** Milliseconds of each compile, the longest wait of the loop in each, and of each run of one session. */
async function measure(name, form) {
  manualSeed(1);
  const model = modelOf(name, form);
  const x = randn(shape, { generator: new Random(2) });
  const found = { compile: [], loop: [], run: [] };
  const timed = async (action, times) => {
    const start = performance.now();
    const result = await action();
    times.push(performance.now() - start);
    return result;
  };
  for (let i = 0; i <= Number(options.compiles); i++) {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await rest(10);
    const session = await timed(() => compile(model, { inputs: { images: ['N', ...shape.slice(1)] } }), found.compile);
    await rest(10);
    delay.disable();
    found.loop.push(delay.max / 1e6);
    if (i === 0) {
      const { output } = await timed(() => session.run(x), found.run);
      const { relative } = difference(output, model.forward(x));
      if (!(relative <= limit))
        throw new Error(`${name}, ${form}: differs from eager layers by ${relative}, more than ${limit}`);
      for (let run = 0; run < runs; run++) await timed(() => session.run(x), found.run);
    }
    await session.dispose();
  }
  return found;
}

function modelOf(name, form) {
  const create = name.startsWith('mobileone') ? createMobileOne : createRepVGG;
  const model = create(name).eval();
  return form === 'trained' ? model : repconv(model, { certificateBudget: 1 }).model;
}

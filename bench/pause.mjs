// What does a request take after a pause? Runs of `session.run`, one image of 224×224, all threads, with so many ms
// between them in which nothing happens: threads sleep then, and have to be woken, together and on processors of their
// own.
//
//   node bench/pause.mjs [network ...] [--runs 200]      default: repvgg-a0 mobileone-s0
//
// Whether `run` gives the bits of `runSync` is looked at before anything is timed.
import { performance } from 'node:perf_hooks';
import { setTimeout as rest } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { environment, environmentLine } from '../dist/cli/environment.js';
import { numberColumns, paragraph, print, rounded, table } from '../dist/cli/output.js';
import { seededNetwork } from '../dist/cli/seededNetwork.js';
import { quantile } from '../dist/cli/turns.js';
import { compile, isIdentical, Random, randn, repconv } from '../dist/index.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '200' } },
});
const shape = [1, 3, 224, 224];
const shares = [0.5, 0.75, 0.95];

const place = environment();
print(paragraph(`${environmentLine(place)}; load before ${place.load}`));
const rows = [];
for (const name of positionals.length > 0 ? positionals : ['repvgg-a0', 'mobileone-s0']) {
  const session = await compile(repconv(seededNetwork(name, 224, 1)).model, { inputs: { images: shape } });
  const x = randn(shape, { generator: new Random(2) });
  if (!isIdentical((await session.run(x)).output, session.runSync(x).output))
    throw new Error(`${name}: run and runSync differ`);
  for (const pause of [0, 1, 3, 10]) {
    const times = [];
    for (let i = 0; i < Number(options.runs); i++) {
      if (pause > 0) await rest(pause);
      const start = performance.now();
      await session.run(x);
      times.push(performance.now() - start);
    }
    rows.push([name, `${pause} ms`, ...shares.map((share) => `${rounded(quantile(times, share))} ms`)]);
  }
  await session.dispose();
}
print(table([{ title: 'network' }, { title: 'pause' }, ...numberColumns('p50', 'p75', 'p95')], rows));

// Does inference leave the JavaScript thread alone? Event-loop delay, and the latency of fs and dns, while 8 callers
// saturate the pool: beside the same figures of an idle process, and of one whose processors are kept busy by as many
// Workers that only count.
//
//     node bench/eventLoop.mjs [seconds per row: 10]
//
// Delays are those of monitorEventLoopDelay({ resolution: 1 }): the timer's own millisecond is in them. Target: p99 ≤ 5
// ms.
import dns from 'node:dns/promises';
import fs from 'node:fs/promises';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { environment, environmentLine } from '../dist/cli/environment.js';
import { numberColumns, paragraph, print, table } from '../dist/cli/output.js';
import { quantile } from '../dist/cli/turns.js';
import { compile, createRepVGG, randn, repconv } from '../dist/index.mjs';

const callers = 8;

/** What was measured, for people. */
export const eventLoopSubject = `RepVGG-A0, one image of 224×224, ${callers} callers of run; ms`;

/** Titles of the cells of {@link eventLoopCells}. */
export const eventLoopTitles = ['loop p50', 'p99', 'max', 'fs p50', 'p99', 'dns p50', 'p99', 'runs/s'];

/** @param {number} seconds for each row */
export async function measureEventLoop(seconds) {
  const { model } = repconv(createRepVGG('repvgg-a0').eval(), { certificateBudget: 1e5 });
  const x = randn([1, 3, 224, 224]);
  const session = await compile(model, { inputs: { images: x.shape } });
  const { threads } = session.settings;
  const out = Array.from({ length: callers }, () => session.runSync(x).output.clone());
  const rows = [];
  for (const [name, work] of [
    ['nothing else', async () => undefined],
    [`${threads} Workers that count`, (isOver) => spin(threads, isOver)],
    [`${callers} callers of run`, (isOver) => compute(() => session.run({ images: x }), isOver)],
    ['the same, with out', (isOver) => compute((i) => session.run({ images: x }, { out: out[i] }), isOver)],
  ])
    rows.push({ name, ...(await measured(work, seconds)) });
  await session.dispose();
  return rows;
}

/** One row as text. */
export function eventLoopCells({ loop, files, names, runsPerSecond }) {
  return [
    ...[loop.p50, loop.p99, loop.max, files.p50, files.p99, names.p50, names.p99].map((ms) => ms.toFixed(2)),
    runsPerSecond === null ? '' : runsPerSecond.toFixed(0),
  ];
}

/** `work` keeps the processors busy until `isOver()`, and may return how often it did something. */
async function measured(work, seconds) {
  const end = performance.now() + 1000 * (seconds + 0.5);
  const isOver = () => performance.now() > end;
  const working = work(isOver);
  await pause(500);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const [files, names] = await Promise.all([
    latencies(() => fs.stat('.'), isOver),
    latencies(() => dns.lookup('localhost'), isOver),
  ]);
  delay.disable();
  const done = await working;
  return {
    loop: { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
    ...{ files, names, runsPerSecond: done === undefined ? null : done / (seconds + 0.5) },
  };
}

/** How long each call takes, one every 10 ms. */
async function latencies(call, isOver) {
  const found = [];
  while (!isOver()) {
    const start = performance.now();
    await call();
    found.push(performance.now() - start);
    await pause(10);
  }
  return { p50: quantile(found, 0.5), p99: quantile(found, 0.99) };
}

async function spin(threads, isOver) {
  const workers = Array.from({ length: threads }, () => new Worker('for (;;);', { eval: true }));
  while (!isOver()) await pause(100);
  await Promise.all(workers.map((worker) => worker.terminate()));
}

async function compute(run, isOver) {
  let done = 0;
  const caller = async (i) => {
    while (!isOver()) {
      await run(i);
      done++;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, i) => caller(i)));
  return done;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const place = environment();
  print(paragraph(environmentLine(place)));
  print(paragraph(`${eventLoopSubject}; load ${place.load} before`));
  const rows = await measureEventLoop(Number(process.argv[2] ?? 10));
  print();
  const columns = [{ title: 'beside' }, ...numberColumns(...eventLoopTitles)];
  print(
    table(
      columns,
      rows.map((row) => [row.name, ...eventLoopCells(row)]),
    ),
  );
}

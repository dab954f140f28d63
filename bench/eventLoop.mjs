// Does inference leave the JavaScript thread alone? Event-loop delay, and the latency of fs and dns, while 8 callers saturate the pool: beside the same
// figures of an idle process, and of one whose processors are kept busy by as many Workers that only count.
//
//     node bench/eventLoop.mjs [seconds per row]
//
// Delays are those of monitorEventLoopDelay({ resolution: 1 }): the timer's own millisecond is in them. Target: p99 ≤ 5 ms.
import dns from 'node:dns/promises';
import fs from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { compile, createRepVGG, randn, repconv } from '../dist/index.mjs';

const seconds = Number(process.argv[2] ?? 10);
const callers = 8;

const { model } = repconv(createRepVGG('repvgg-a0').eval(), { certificateBudget: 1e5 });
const x = randn([1, 3, 224, 224]);
const session = await compile(model, { inputs: { images: [1, 3, 224, 224] } });
const { threads, isa } = session.settings;
console.log(
  `${cpus()[0].model}, ${threads} threads, ${isa}; load before ${loadavg()[0].toFixed(1)}; RepVGG-A0 at 224×224, ${callers} callers`,
);

const rows = [
  ['nothing else', await measure(async () => {})],
  [`${threads} spinning Workers`, await measure(spin)],
  [`${callers} callers of run`, await measure(compute)],
  ['the same, with out', await measure(computeInto)],
];
console.table(Object.fromEntries(rows));
await session.dispose();

/** `work` keeps the processors busy until `isOver()`, and may return what it did. */
async function measure(work) {
  const end = performance.now() + 1000 * (seconds + 0.5);
  const isOver = () => performance.now() > end;
  const working = work(isOver);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const [files, names] = await Promise.all([latencies(() => fs.stat('.'), isOver), latencies(() => dns.lookup('localhost'), isOver)]);
  delay.disable();
  const done = await working;
  return {
    'loop p50 ms': milliseconds(delay.percentile(50)),
    'loop p99 ms': milliseconds(delay.percentile(99)),
    'loop max ms': milliseconds(delay.max),
    'fs p50 ms': at(files, 0.5),
    'fs p99 ms': at(files, 0.99),
    'dns p50 ms': at(names, 0.5),
    'dns p99 ms': at(names, 0.99),
    'runs/s': done === undefined ? '' : Math.round(done / (seconds + 0.5)),
  };
}

/** How long each call takes, one every 10 ms. */
async function latencies(call, isOver) {
  const found = [];
  while (!isOver()) {
    const start = performance.now();
    await call();
    found.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return found.sort((a, b) => a - b);
}

async function spin(isOver) {
  const workers = Array.from({ length: threads }, () => new Worker('for (;;);', { eval: true }));
  while (!isOver()) await new Promise((resolve) => setTimeout(resolve, 100));
  await Promise.all(workers.map((worker) => worker.terminate()));
}

async function compute(isOver, options = () => ({})) {
  let done = 0;
  const caller = async (i) => {
    while (!isOver()) {
      await session.run({ images: x }, options(i));
      done++;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, i) => caller(i)));
  return done;
}

async function computeInto(isOver) {
  const { output } = session.runSync(x);
  const memory = Array.from({ length: callers }, () => output.clone());
  return compute(isOver, (i) => ({ out: memory[i] }));
}

function milliseconds(nanoseconds) {
  return Number((nanoseconds / 1e6).toFixed(2));
}

function at(sorted, share) {
  return Number(sorted[Math.floor(share * (sorted.length - 1))].toFixed(2));
}

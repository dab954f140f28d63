// How does the cost grow? Latency, images per second and share of the peak of deployed RepVGGs, against batch, resolution, threads and the size of the
// network; drawn into one HTML page.
//
//   node bench/scaling.mjs scaling.html [--seconds 1] [--sweep batch,resolution,threads,networks]
//
// Every session's output is first compared with that of the same network run layer by layer (other algorithms, nothing folded into anything).
import { freemem } from 'node:os';
import { parseArgs } from 'node:util';
import { environment, environmentLine } from '../dist/cli/environment.js';
import { percent } from '../dist/cli/layers.js';
import { print, rounded, table } from '../dist/cli/output.js';
import { pageFile } from '../dist/cli/page.js';
import { takeTurns, timesOf } from '../dist/cli/turns.js';
import { measuredPeak } from '../dist/engine/peak.js';
import { compile, createRepVGG, difference, manualSeed, Random, randn } from '../dist/index.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '1' }, sweep: { type: 'string', default: 'batch,resolution,threads,networks' } },
});
if (positionals.length !== 1)
  throw new Error('usage: node bench/scaling.mjs page.html [--seconds 1] [--sweep batch,resolution,threads,networks]');
const page = pageFile(positionals[0]);
/** For each point. */
const seconds = Number(options.seconds);
const place = environment(0);
const peakPerThread = Math.max(...Array.from({ length: 5 }, () => measuredPeak(place.isa)));
const allThreads = place.threads;
const oneAndAll = allThreads === 1 ? [1] : [1, allThreads];
/** Of float32 rounding over these networks, relative to the largest output. */
const limit = 2e-5;
/** Packed for Winograd, weights take four times their size; with the module, eager calls and a second session this is enough. */
const bytesPerParameter = 64;

print(environmentLine(place));
print(`peak ${rounded(peakPerThread)} GFLOP/s for each thread (float32 multiply-adds)`);

const threadName = (threads) => `${threads} thread${threads === 1 ? '' : 's'}`;
const sweeps = {
  batch: () =>
    onA0({
      ...{ heading: 'Batch', x: 'images in a run', xs: [1, 2, 4, 8, 16, 32], logarithmic: ['x'], lines: oneAndAll, nameOf: threadName },
      caseOf: (batch, threads) => ({ batch, resolution: 224, threads }),
    }),
  resolution: () =>
    onA0({
      ...{ heading: 'Resolution', x: 'height and width in pixels', xs: [96, 128, 160, 192, 224, 288, 320, 384, 448] },
      ...{ lines: oneAndAll, nameOf: threadName },
      caseOf: (resolution, threads) => ({ batch: 1, resolution, threads }),
    }),
  threads: () =>
    onA0({
      ...{
        heading: 'Threads',
        x: 'threads',
        xs: powersUpTo(allThreads),
        logarithmic: ['x'],
        lines: [1, 8],
        nameOf: (batch) => `batch ${batch}`,
      },
      caseOf: (threads, batch) => ({ batch, resolution: 224, threads }),
    }),
  networks,
};
const sections = [];
for (const name of options.sweep.split(',')) {
  if (!Object.hasOwn(sweeps, name)) throw new Error(`--sweep: expects some of ${Object.keys(sweeps).join(', ')}, got ${name}`);
  sections.push(await sweeps[name]());
}
const data = sections.map(({ heading, points }) => ({ sweep: heading, points }));
await page.write({
  title: 'How the cost of a fused RepVGG grows',
  lines: [
    environmentLine(place),
    `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC · load ${place.load} at the start · node bench/scaling.mjs`,
    `Deployed networks with seeded weights, float32. Medians; ${seconds} s for each point; outputs found equal first. The share is that of the peak of ` +
      `float32 multiply-adds in registers, ${rounded(peakPerThread)} GFLOP/s for each thread, measured on the spot; work is counted as a direct ` +
      'convolution’s, so Winograd’s algorithms can exceed it.',
  ],
  sections: sections.map(({ points, ...section }) => section),
  data: { environment: place, peakGigaflopsPerThread: peakPerThread, sweeps: data },
});
print(`\nWritten to ${positionals[0]}`);

/** One quantity against another on RepVGG-A0, a line for each value of `lines`. */
async function onA0({ heading, x, xs, logarithmic = [], lines, nameOf, caseOf }) {
  const model = deployed('repvgg-a0');
  const points = [];
  for (const at of xs)
    points.push(
      ...(await measured(
        model,
        lines.map((line) => ({ at, line, name: nameOf(line), ...caseOf(at, line) })),
      )),
    );
  const chart = (title, values, of) => ({
    ...{ kind: 'lines', title, values, x, logarithmic },
    series: lines.map((line) => ({
      name: nameOf(line),
      points: points.filter((point) => point.line === line).map((point) => [point.at, of(point)]),
    })),
  });
  return section(`${heading}: RepVGG-A0`, chart, x, points);
}

/** The plain networks of the family, one image. */
async function networks() {
  const names = ['a0', 'a1', 'a2', 'b0', 'b1', 'b2', 'b3'];
  const points = [];
  const left = [];
  for (const short of names) {
    const model = parametersOf(short) * bytesPerParameter > freemem() ? null : deployed(`repvgg-${short}`);
    if (model === null) left.push(short.toUpperCase());
    else
      points.push(
        ...(await measured(
          model,
          oneAndAll.map((threads) => ({
            ...{
              at: short.toUpperCase(),
              line: threads,
              name: threadName(threads),
              batch: 1,
              resolution: 224,
              threads,
            },
          })),
        )),
      );
  }
  const places = [...new Set(points.map(({ at }) => at))];
  const chart = (title, values, of) => ({
    ...{ kind: 'bars', title, values, categories: places },
    series: oneAndAll.map((threads) => ({
      name: threadName(threads),
      values: places.map((at) => of(points.find((point) => point.at === at && point.line === threads))),
    })),
  });
  const made = section('Networks: RepVGG-A0 to B3, one image', chart, 'network', points);
  return left.length === 0 ? made : { ...made, text: `Left out, as this machine has too little memory free: ${left.join(', ')}.` };
}

function section(heading, chart, x, points) {
  const right = (title) => ({ title, align: 'right' });
  const columns = [right(x), { title: 'case' }, ...['median, ms', 'spread', 'images/s', 'of peak', 'GMAC'].map(right)];
  const rows = points.map(({ at, name, medianMs, spread, imagesPerSecond, shareOfPeak, macs }) => [
    ...[String(at), name, rounded(medianMs), percent(spread), rounded(imagesPerSecond), percent(shareOfPeak), (macs / 1e9).toFixed(2)],
  ]);
  print(`\n${heading}`);
  print(table(columns, rows));
  const charts = [
    chart('Latency', 'ms', ({ medianMs }) => medianMs),
    chart('Throughput', 'images/s', ({ imagesPerSecond }) => imagesPerSecond),
    chart('Share of peak', '%', ({ shareOfPeak }) => 100 * shareOfPeak),
  ];
  return { heading, charts, table: { columns, rows }, points };
}

/** Sessions of one model for several cases take turns; each case with what was found. */
async function measured(model, cases) {
  const contenders = [];
  for (const { batch, resolution, threads } of cases) {
    const shape = [batch, 3, resolution, resolution];
    const session = await compile(model, { inputs: { images: shape }, maxBatch: batch, threads });
    const images = randn(shape, { generator: new Random(2) });
    const { relative } = difference(session.runSync(images).output, model.forward(images));
    if (!(relative <= limit)) throw new Error(`${shape.join('×')}: outputs differ by ${relative}, more than ${limit}; not measured`);
    const macs = session.describe().reduce((sum, step) => sum + step.macs, 0);
    contenders.push({ session, run: () => session.runSync(images), macs });
  }
  const turns = await takeTurns(
    contenders.map(({ run }) => run),
    { seconds: seconds * cases.length, rounds: 0, runsPerTurn: 2, restMs: 5 },
    { stage() {}, measured() {} },
  );
  const points = cases.map((one, i) => {
    const { medianMs, spread } = timesOf(turns[i]);
    const shareOfPeak = (2 * contenders[i].macs) / (1e6 * medianMs) / (peakPerThread * one.threads);
    return { ...one, medianMs, spread, imagesPerSecond: (1000 * one.batch) / medianMs, shareOfPeak, macs: contenders[i].macs / one.batch };
  });
  for (const { session } of contenders) await session.dispose();
  return points;
}

/** A deployed network whose weights keep the size of what passes through (He et al. 2015, arXiv:1502.01852), so that outputs are no matter of biases alone. */
function deployed(name) {
  manualSeed(1);
  const model = createRepVGG(name, { deploy: true }).eval();
  // Fresh weights have a variance of 1 / (3 n); ReLU asks for 2 / n.
  for (const [, { shape, data }] of model.namedParameters())
    if (shape.length === 4) for (let i = 0; i < data.length; i++) data[i] *= Math.sqrt(6);
  return model;
}

/** Published, in millions, rounded up. */
function parametersOf(short) {
  return 1e6 * { a0: 9, a1: 13, a2: 26, b0: 15, b1: 52, b2: 81, b3: 111 }[short];
}

function powersUpTo(most) {
  const powers = [];
  for (let power = 1; power < most; power *= 2) powers.push(power);
  return [...powers, most];
}

// How does the cost grow? Latency, images per second and share of the peak of deployed RepVGGs, against batch,
// resolution, threads and the size of the network; drawn into one HTML page.
//
//   node bench/scaling.mjs scaling.html [--force] [--seconds 1] [--sweep batch,resolution,threads,networks]
//
// Every session's output is first compared with that of the same network run layer by layer (other algorithms, nothing
// folded into anything).
import { freemem } from 'node:os';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { counted, environment, environmentLine } from '../dist/cli/environment.js';
import { percent } from '../dist/cli/layers.js';
import { noisySpread } from '../dist/cli/noise.js';
import { numberColumns, paragraph, print, rounded, table } from '../dist/cli/output.js';
import { pageFile } from '../dist/cli/page.js';
import { takeTurns, timesOf } from '../dist/cli/turns.js';
import { measuredPeak } from '../dist/engine/peak.js';
import { compile, createRepVGG, difference, manualSeed, Random, randn } from '../dist/index.mjs';

/** How far float32 rounding may set outputs of these networks apart, relative to the largest. */
const limit = 2e-5;
/**
 * The module's weights, copies while they are packed, two sessions and eager calls: less than eight times their four
 * bytes.
 */
const bytesPerParameter = 32;
/** Published, in millions, rounded up. */
const parameters = { a0: 9, a1: 13, a2: 26, b0: 15, b1: 52, b2: 81, b3: 111 };

const batchName = (batch) => `batch ${batch}`;
const threadName = (threads) => counted(threads, 'thread');

/**
 * What is varied, and what stays: every sweep has a point for each of `xs` with each of `lines`.
 * @param {number} all threads of this machine
 */
function sweepsOf(all) {
  const oneAndAll = all === 1 ? [1] : [1, all];
  const byThreads = { lines: oneAndAll, nameOf: threadName };
  return {
    batch: {
      ...{
        heading: 'Batch: RepVGG-A0, 224×224',
        x: 'images in a run',
        isLogarithmic: true,
        xs: [1, 2, 4, 8, 16, 32],
        ...byThreads,
      },
      caseOf: (batch, threads) => ({ network: 'a0', batch, resolution: 224, threads }),
    },
    resolution: {
      ...{ heading: 'Resolution: RepVGG-A0, one image', x: 'height and width, pixels', ...byThreads },
      xs: [96, 128, 160, 192, 224, 288, 320, 384, 448],
      caseOf: (resolution, threads) => ({ network: 'a0', batch: 1, resolution, threads }),
    },
    threads: {
      ...{
        heading: 'Threads: RepVGG-A0, 224×224',
        x: 'threads',
        isLogarithmic: true,
        xs: powersUpTo(all),
        lines: [1, 8],
        nameOf: batchName,
      },
      caseOf: (threads, batch) => ({ network: 'a0', batch, resolution: 224, threads }),
    },
    networks: {
      ...{
        heading: 'Networks: RepVGG-A0 to B3, one image, 224×224',
        x: 'network',
        xs: Object.keys(parameters),
        ...byThreads,
      },
      caseOf: (network, threads) => ({ network, batch: 1, resolution: 224, threads }),
    },
  };
}

/**
 * @param {object} options
 * @param {number} options.seconds for each point
 * @param {readonly string[]} [options.names] of sweeps; default: all
 * @param {(text: string) => void} [options.tell] what is being measured
 */
export async function measureScaling({
  seconds,
  names = ['batch', 'resolution', 'threads', 'networks'],
  tell = () => {},
}) {
  const place = environment();
  const sweeps = sweepsOf(place.threads);
  for (const name of names)
    if (!Object.hasOwn(sweeps, name))
      throw new Error(`--sweep: expects some of ${Object.keys(sweeps).join(', ')}, got ${name}`);
  const peak = Math.max(...Array.from({ length: 5 }, () => measuredPeak(place.isa)));
  const measured = [];
  for (const name of names)
    measured.push(await measuredSweep(sweeps[name], peak, seconds, (at) => tell(`${name} ${at}`)));
  return { place, peakGigaflopsPerThread: peak, seconds, sweeps: measured };
}

async function measuredSweep({ heading, x, isLogarithmic = false, xs, lines, nameOf, caseOf }, peak, seconds, tell) {
  const points = [];
  const leftOut = [];
  let made = { network: '' };
  for (const at of xs) {
    const cases = lines.map((line) => ({
      at: typeof at === 'string' ? at.toUpperCase() : at,
      line,
      ...caseOf(at, line),
    }));
    const [{ network }] = cases;
    if (1e6 * parameters[network] * bytesPerParameter > freemem()) {
      leftOut.push(network.toUpperCase());
      continue;
    }
    tell(at);
    if (made.network !== network) made = { network, model: deployed(`repvgg-${network}`) };
    points.push(...(await measuredPoints(made.model, cases, peak, seconds)));
  }
  return { heading, x, isLogarithmic, lines: lines.map((line) => ({ line, name: nameOf(line) })), points, leftOut };
}

/** Sessions of one model for several cases take turns; each case with what was found. */
async function measuredPoints(model, cases, peak, seconds) {
  const contenders = [];
  for (const { batch, resolution, threads } of cases) {
    const shape = [batch, 3, resolution, resolution];
    const session = await compile(model, { inputs: { images: shape }, maxBatch: batch, threads });
    const images = randn(shape, { generator: new Random(2) });
    const { relative } = difference(session.runSync(images).output, model.forward(images));
    if (!(relative <= limit))
      throw new Error(`${shape.join('×')}: outputs differ by ${relative}, more than ${limit}; not measured`);
    const macs = session.describe().reduce((sum, step) => sum + step.macs, 0);
    contenders.push({ session, run: () => session.runSync(images), macs });
  }
  const turns = await takeTurns(
    contenders.map(({ run }) => run),
    { seconds: seconds * cases.length, rounds: 0, runsPerTurn: 2, restMs: 5 },
    { stage() {}, measured() {} },
  );
  const points = cases.map((one, i) => {
    const { medianMs, p95Ms, spread } = timesOf(turns[i]);
    const shareOfPeak = (2 * contenders[i].macs) / (1e6 * medianMs) / (peak * one.threads);
    const imagesPerSecond = (1000 * one.batch) / medianMs;
    return { ...one, medianMs, p95Ms, spread, imagesPerSecond, shareOfPeak, macs: contenders[i].macs / one.batch };
  });
  for (const { session } of contenders) await session.dispose();
  return points;
}

/**
 * A deployed network whose weights keep the size of what passes through (He et al. 2015, arXiv:1502.01852), so that
 * outputs are no matter of biases alone.
 */
function deployed(name) {
  manualSeed(1);
  const model = createRepVGG(name, { deploy: true }).eval();
  // Fresh weights have a variance of 1 / (3 n); ReLU asks for 2 / n.
  for (const [, { shape, data }] of model.namedParameters())
    if (shape.length === 4) for (let i = 0; i < data.length; i++) data[i] *= Math.sqrt(6);
  return model;
}

function powersUpTo(most) {
  const powers = [];
  for (let power = 1; power < most; power *= 2) powers.push(power);
  return [...powers, most];
}

/** A sweep as charts and a table, for a page and for the terminal. */
function sectionOf({ heading, x, isLogarithmic, lines, points, leftOut }) {
  const places = [...new Set(points.map(({ at }) => at))];
  const of = (line) => points.filter((point) => point.line === line);
  const chart = (title, values, value) =>
    typeof places[0] === 'string'
      ? {
          ...{ kind: 'bars', title, values, categories: places },
          series: lines.map(({ line, name }) => ({ name, values: of(line).map(value) })),
        }
      : {
          ...{ kind: 'lines', title, values, x, ...(isLogarithmic ? { logarithmic: ['x'] } : {}) },
          series: lines.map(({ line, name }) => ({ name, points: of(line).map((point) => [point.at, value(point)]) })),
        };
  return {
    heading,
    ...(leftOut.length === 0
      ? {}
      : { text: `Left out, as this machine has too little memory free: ${leftOut.join(', ')}.` }),
    charts: [
      chart('Latency', 'ms', ({ medianMs }) => medianMs),
      chart('Throughput', 'images/s', ({ imagesPerSecond }) => imagesPerSecond),
      chart('Share of peak', '%', ({ shareOfPeak }) => 100 * shareOfPeak),
    ],
    table: {
      columns: [
        ...numberColumns(x),
        { title: 'case' },
        ...numberColumns('median, ms', 'p95', 'spread', 'images/s', 'of peak', 'GMAC'),
      ],
      rows: points.map(({ at, line, medianMs, p95Ms, spread, imagesPerSecond, shareOfPeak, macs }) => [
        ...[
          String(at),
          lines.find((one) => one.line === line).name,
          rounded(medianMs),
          rounded(p95Ms),
          percent(spread),
        ],
        ...[rounded(imagesPerSecond), percent(shareOfPeak), (macs / 1e9).toFixed(2)],
      ]),
    },
  };
}

async function main() {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '1' },
      sweep: { type: 'string' },
      force: { type: 'boolean', default: false },
    },
  });
  if (positionals.length !== 1)
    throw new Error(
      'usage: node bench/scaling.mjs page.html [--force] [--seconds 1] [--sweep batch,resolution,threads,networks]',
    );
  const page = pageFile(positionals[0], options.force);
  const tell = (text) => process.stderr.write(`${text}\n`);
  const scaling = await measureScaling({ seconds: Number(options.seconds), names: options.sweep?.split(','), tell });
  const { place, peakGigaflopsPerThread: peak, seconds, sweeps } = scaling;
  const sections = sweeps.map(sectionOf);
  print(paragraph(environmentLine(place)));
  print(`peak ${rounded(peak)} GFLOP/s for each thread (float32 multiply-adds)`);
  for (const { heading, table: shown } of sections) {
    print(`\n${heading}`);
    print(table(shown.columns, shown.rows));
  }
  const spreads = sweeps.flatMap(({ points }) => points.map(({ spread }) => spread));
  const noisy = spreads.filter((spread) => spread > noisySpread).length;
  const warning = `quartiles more than ${100 * noisySpread} % of the median apart in ${noisy} of ${spreads.length} points: not a quiet machine`;
  if (noisy > 0) print(`\n${paragraph(`warning: ${warning}`)}`);
  await page.write({
    title: 'How the cost of a fused RepVGG grows',
    lines: [
      environmentLine(place),
      `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC · load ${place.load} at the start · node bench/scaling.mjs`,
      `Deployed networks with seeded weights, float32. Medians; ${seconds} s for each point; outputs found equal first. The share is that of the peak of ` +
        `float32 multiply-adds in registers, ${rounded(peak)} GFLOP/s for each thread, measured on the spot; work is counted as a direct ` +
        'convolution’s, so Winograd’s algorithms, which multiply less, can exceed it.',
    ],
    ...(noisy > 0 ? { warnings: [warning] } : {}),
    sections,
    data: scaling,
  });
  print(`\nWritten to ${positionals[0]}`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();

// All comparisons of RESULTS.md, as Markdown on stdout; what it is doing, on stderr.
//
//   node bench/results.mjs > bench/RESULTS.md
//     [--seconds 6]          for each case: about eleven minutes in all, more where there are more precisions
//     [--wait 300]           the most it waits until other processes leave the machine alone
//     [--networks a,b] [--resolution 224]
//     [--scaling 1]          seconds for each point of the sweeps; 0: none
//     [--event-loop 8]       seconds for each row of the event loop's delays; 0: none
//
// On a quiet machine: nothing else should run. The page says how noisy it was.
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { compareEngines } from '../dist/cli/compare.js';
import { counted, environment } from '../dist/cli/environment.js';
import { percent } from '../dist/cli/layers.js';
import { measureNetwork } from '../dist/cli/measure.js';
import { networkForms } from '../dist/cli/networkForms.js';
import { noisySpread } from '../dist/cli/noise.js';
import { onnxRuntime } from '../dist/cli/onnxRuntime.js';
import { rounded } from '../dist/cli/output.js';
import { eventLoopCells, eventLoopSubject, eventLoopTitles, measureEventLoop } from './eventLoop.mjs';
import { measureLayer } from './layer.mjs';
import { quietShare, waitUntilQuiet, watchOthers } from './quiet.mjs';
import { measureScaling } from './scaling.mjs';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '6' },
    networks: { type: 'string', default: 'repvgg-a0,repvgg-b1g4,mobileone-s0' },
    resolution: { type: 'string', default: '224' },
    wait: { type: 'string', default: '300' },
    scaling: { type: 'string', default: '1' },
    'event-loop': { type: 'string', default: '8' },
  },
});
const seconds = Number(options.seconds);
const resolution = Number(options.resolution);
const networks = options.networks.split(',');
const engine = onnxRuntime();
const place = environment();
const threadCounts = place.threads === 1 ? [1] : [1, 2];
const common = { seconds, rounds: 0, layers: false };
const silent = { stage() {}, measured() {} };
const started = new Date();
const quiet = await waitUntilQuiet(Number(options.wait), tell);
const loadBefore = loadavg()[0];
const others = watchOthers();

const comparisons = [];
const withoutWideVectors = [];
const formRows = [];
/** Precisions that this processor, or this version, does not have, and what it said. */
const unavailable = new Map();
for (const network of networks) {
  tell(`${network}: weights and fusing`);
  const forms = await networkForms(network, { resolution, seed: 1 }, silent);
  for (const precision of ['float32', 'bfloat16x3', 'bfloat16']) {
    if (!unavailable.has(precision)) comparisons.push(...(await compared(forms, precision)));
  }
  if (place.isa === 'avx512' && network === 'repvgg-a0')
    withoutWideVectors.push(...(await withIsa('avx2', () => compared(forms, 'float32'))));
  tell(`${network}: three forms`);
  formRows.push(await measureNetwork(forms, { ...common, batch: 1, threads: 1, precision: 'float32' }, silent));
}
tell('one layer');
const layerRows = await measureLayer(['direct', 'winograd4']);

const scaling =
  Number(options.scaling) > 0
    ? await measureScaling({ seconds: Number(options.scaling), tell: (at) => tell(`scaling: ${at}`) })
    : null;
const othersShare = others();
if (Number(options['event-loop']) > 0) tell('event loop');
const loopRows = Number(options['event-loop']) > 0 ? await measureEventLoop(Number(options['event-loop'])) : [];

const spreads = [
  ...[...comparisons, ...withoutWideVectors].flatMap(({ ours, theirs }) => [ours.spread, theirs.spread]),
  ...(scaling?.sweeps ?? []).flatMap(({ points }) => points.map(({ spread }) => spread)),
];
const noisy = spreads.filter((spread) => spread > noisySpread).length;
const write = (...lines) => process.stdout.write(`${lines.join('\n')}\n`);

write(
  '# Results',
  '',
  'Written by `node bench/results.mjs > bench/RESULTS.md`; not edited by hand. What is measured, and how: [README.md](README.md).',
  '',
  table(
    ['', ''],
    [
      ['date', `${started.toISOString().slice(0, 16).replace('T', ' ')} UTC`],
      ['processor', `${place.processor}, ${cpus().length} processors, kernels ${place.isa}`],
      ['memory', `${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
      ['system', `${place.platform}, ${release()}`],
      ['versions', `repconv ${place.version}, Node ${place.node}, ${engine.name} ${engine.version}`],
      ['commit', commit()],
      [
        'other processes',
        `used ${percent(quiet.share)} of the processors in the 5 s before (after ${quiet.waitedSeconds.toFixed(0)} s of waiting), ${percent(othersShare)} while this was ` +
          `measured; load average ${loadBefore.toFixed(2)} before, which remembers minutes`,
      ],
      [
        'spread',
        `quartiles more than ${100 * noisySpread} % of the median apart in ${noisy} of ${spreads.length} series of times`,
      ],
    ],
  ),
  ...(Math.max(quiet.share, othersShare) > quietShare
    ? [
        '',
        '**Not a quiet machine.** Other processes took part of the processors: ratios tell the order of things, times are too long.',
      ]
    : []),
  '',
  `## Against ${engine.name} ${engine.version}`,
  '',
  `Branches merged, 3×${resolution}×${resolution}, whole network; the other engine in float32 on the same threads, one thread between operators, all graph ` +
    'optimizations, sequential. Outputs were found equal before anything was timed. Times in ms; *spread* is the distance between the quartiles over the ' +
    'median; *ratio* is the median over the rounds of its time divided by ours, with its quartiles. Above 1, repconv is faster.',
);
for (const network of networks) {
  for (const precision of new Set(comparisons.map((one) => one.precision))) {
    const rows = comparisons.filter((one) => one.network === network && one.precision === precision);
    if (rows.length > 0) comparisonTable(`${network}, ${precision}`, rows, '');
  }
}
for (const [precision, message] of unavailable) write('', `${precision}: not available here (${message}).`);
if (withoutWideVectors.length > 0) {
  comparisonTable(
    'repvgg-a0, float32, AVX2 kernels against the other engine with all this processor has',
    withoutWideVectors,
    'REPCONV_ISA=avx2 ',
  );
}

write('', '## Where we lose', '', ...losses());

write(
  '',
  '## Compile, first run, memory',
  '',
  'One thread, batch 1. *First* is the first run over the median of later ones; memory is what the session holds outside JavaScript.',
  '',
  table(
    ['network', 'precision', 'compile, ms', 'its, ms', 'first run', 'its', 'memory, MB'],
    comparisons
      .filter(({ threads, input: [batch] }) => threads === 1 && batch === 1)
      .map(({ network, precision, ours, theirs }) => [
        ...[network, precision, ours.compileMs.toFixed(0), theirs.compileMs.toFixed(0)],
        ...[ours, theirs].map(({ firstRunMs, medianMs }) => `${(firstRunMs / medianMs).toFixed(1)}×`),
        (ours.memoryBytes / 1e6).toFixed(0),
      ]),
  ),
);
if (threadCounts.length > 1) {
  write(
    '',
    '## Two threads over one',
    '',
    table(
      ['network', 'precision', 'batch', 'repconv', engine.name],
      comparisons
        .filter(({ threads }) => threads === 2)
        .map((two) => {
          const one = comparisons.find(
            ({ network, precision, input, threads }) =>
              network === two.network && precision === two.precision && input[0] === two.input[0] && threads === 1,
          );
          const gain = (whose) => `${(one[whose].medianMs / two[whose].medianMs).toFixed(2)}×`;
          return [two.network, two.precision, String(two.input[0]), gain('ours'), gain('theirs')];
        }),
    ),
  );
}

write(
  '',
  '## What merging branches saves',
  '',
  `Float32, batch 1, one thread, all three forms on our engine. \`node dist/cli/main.js bench ${networks.join(' ')} --threads 1\``,
  '',
  table(
    ['network', 'as written, ms', 'batch norms folded, ms', 'branches merged, ms', 'speed-up', 'GMAC', 'parameters, M'],
    formRows.map(({ network, forms }) => [
      network,
      ...forms.map(({ medianMs }) => rounded(medianMs)),
      `${forms[2].speedup.toFixed(2)}×`,
      `${(forms[0].macs / 1e9).toFixed(2)} → ${(forms[2].macs / 1e9).toFixed(2)}`,
      `${(forms[0].parameters / 1e6).toFixed(1)} → ${(forms[2].parameters / 1e6).toFixed(1)}`,
    ]),
  ),
  '',
  '## One layer',
  '',
  '3×3, 192 → 192 channels, 14×14 pixels, one thread. `node bench/layer.mjs direct winograd4`',
  '',
  table(
    ['algorithm', 'ISA', 'median, ms', 'spread', 'GFLOP/s', 'peak', 'share of peak'],
    layerRows.map(({ algorithm, isa, medianMs, spread, gigaflopsPerSecond, peak, shareOfPeak }) => [
      ...[
        algorithm,
        isa,
        medianMs.toFixed(3),
        percent(spread),
        rounded(gigaflopsPerSecond),
        rounded(peak),
        percent(shareOfPeak),
      ],
    ]),
  ),
  '',
  '## Layers by algorithm',
  '',
  'Batch 1, one thread. GFLOP/s count work as a direct convolution’s, so that Winograd’s algorithms, which multiply less, can exceed the peak of float32 ' +
    'multiply-adds. Layer by layer: `node dist/cli/main.js bench ' +
    `${networks.join(' ')} --compare onnxruntime --threads 1 --layers\``,
  '',
  table(
    ['network', 'precision', 'algorithm', 'layers', 'ms', 'of time', 'GFLOP/s', 'of peak'],
    comparisons.filter(({ layers }) => layers !== undefined).flatMap(algorithmRows),
  ),
);

if (scaling !== null) writeScaling(scaling);
if (loopRows.length > 0)
  write(
    '',
    '## The event loop meanwhile',
    '',
    `${eventLoopSubject}. Delays are those of \`monitorEventLoopDelay({ resolution: 1 })\`, whose timer's own millisecond is in them; *fs* is \`fs.stat\`, ` +
      '*dns* a look-up of localhost, one every 10 ms. `node bench/eventLoop.mjs`',
    '',
    table(
      ['beside', ...eventLoopTitles],
      loopRows.map((row) => [row.name, ...eventLoopCells(row)]),
    ),
  );

/** One table for each sweep: a row for each value, columns for each line. */
function writeScaling({ peakGigaflopsPerThread, seconds: perPoint, sweeps }) {
  write(
    '',
    '## How the cost grows',
    '',
    `Deployed networks, float32, ${perPoint} s for each point; medians in ms. The peak is ${rounded(peakGigaflopsPerThread)} GFLOP/s for each thread. With charts: ` +
      '`node bench/scaling.mjs scaling.html`',
  );
  for (const { heading, x, lines, points, leftOut } of sweeps)
    write(
      '',
      `### ${heading}`,
      '',
      table(
        [x, ...lines.flatMap(({ name }) => [`${name}, ms`, 'spread', 'images/s', 'of peak'])],
        [...new Set(points.map(({ at }) => at))].map((at) => [
          String(at),
          ...points
            .filter((point) => point.at === at)
            .flatMap(({ medianMs, spread, imagesPerSecond, shareOfPeak }) => [
              ...[rounded(medianMs), percent(spread), rounded(imagesPerSecond), percent(shareOfPeak)],
            ]),
        ]),
      ),
      ...(leftOut.length === 0 ? [] : ['', `Left out, as there was too little memory: ${leftOut.join(', ')}.`]),
    );
}

/** All batches and numbers of threads of one network and precision. Without the precision: nothing, and a note. */
async function compared(forms, precision) {
  const rows = [];
  for (const batch of [1, 8]) {
    for (const threads of threadCounts) {
      tell(`${forms.network}, ${precision}, batch ${batch}, threads ${threads}`);
      try {
        rows.push(
          await compareEngines(
            forms,
            engine,
            { ...common, batch, threads, precision, layers: batch === 1 && threads === 1 },
            silent,
          ),
        );
      } catch (error) {
        if (error.code !== 'ERR_UNSUPPORTED') throw error;
        unavailable.set(precision, error.message);
        return rows;
      }
    }
  }
  return rows;
}

async function withIsa(isa, act) {
  const before = process.env.REPCONV_ISA;
  process.env.REPCONV_ISA = isa;
  try {
    return await act();
  } finally {
    if (before === undefined) delete process.env.REPCONV_ISA;
    else process.env.REPCONV_ISA = before;
  }
}

function comparisonTable(title, rows, variables) {
  const [{ network, precision }] = rows;
  write(
    '',
    `### ${title}`,
    '',
    table(
      [
        'batch',
        'threads',
        'repconv',
        'p95',
        'spread',
        engine.name,
        'p95',
        'spread',
        'ratio',
        'quartiles',
        'difference',
      ],
      rows.map(({ input: [batch], threads, ours, theirs, ratio, ratioQuartiles, equality }) => [
        ...[batch, threads].map(String),
        ...[ours, theirs].flatMap(({ medianMs, p95Ms, spread }) => [
          rounded(medianMs),
          rounded(p95Ms),
          percent(spread),
        ]),
        `**${ratio.toFixed(2)}**`,
        ratioQuartiles.map((quartile) => quartile.toFixed(2)).join('–'),
        `${equality.difference.toExponential(1)} (${equality.kind})`,
      ]),
    ),
    '',
    `\`${variables}node dist/cli/main.js bench ${network} --compare onnxruntime --batch 1,8 --threads ${threadCounts.join(',')} --precision ${precision}\``,
  );
}

/** Cases in which the other engine is faster; layers that take time and stay far from the peak. */
function losses() {
  const name = ({ network, precision, input: [batch], threads }) =>
    `${network}, ${precision}, batch ${batch}, ${counted(threads, 'thread')}`;
  const slower = [
    ...comparisons.map((one) => [one, name(one)]),
    ...withoutWideVectors.map((one) => [one, `${name(one)}, AVX2 kernels only`]),
  ].filter(([{ ratio }]) => ratio < 1);
  const lines =
    slower.length === 0
      ? ['In none of the cases above is the other engine faster.']
      : [
          'The other engine is faster here:',
          '',
          ...slower.map(([{ ratio }, what]) => `- ${what}: ${ratio.toFixed(2)}`),
        ];
  const far = comparisons.flatMap(({ network, precision, layers }) =>
    (layers?.layers ?? [])
      .filter(({ shareOfPeak, shareOfTime }) => shareOfPeak < 0.5 && shareOfTime > 0.02)
      .map(({ label, operation, algorithm, shareOfTime, shareOfPeak }) => [
        ...[network, precision, label || `(${operation})`, algorithm, percent(shareOfTime)],
        shareOfPeak === 0 ? '' : percent(shareOfPeak),
      ]),
  );
  if (far.length === 0) return lines;
  return [
    ...[
      ...lines,
      '',
      'Steps that take more than 2 % of the time at less than half of the peak (batch 1, one thread):',
      '',
    ],
    table(['network', 'precision', 'layer', 'algorithm', 'of time', 'of peak'], far),
  ];
}

function algorithmRows({ network, precision, layers: { layers, peakGigaflopsPerSecond } }) {
  const names = [...new Set(layers.map(({ algorithm, operation }) => algorithm || operation))];
  return names
    .map((name) => {
      const own = layers.filter(({ algorithm, operation }) => (algorithm || operation) === name);
      const sum = (of) => own.reduce((total, layer) => total + of(layer), 0);
      const ms = sum(({ medianMs }) => medianMs);
      const gigaflopsPerSecond = (2 * sum(({ macs }) => macs)) / (1e6 * ms);
      const shareOfTime = sum((layer) => layer.shareOfTime);
      return {
        name,
        count: own.length,
        ms,
        shareOfTime,
        gigaflopsPerSecond,
        shareOfPeak: gigaflopsPerSecond / peakGigaflopsPerSecond,
      };
    })
    .filter(({ shareOfTime }) => shareOfTime >= 0.005)
    .map(({ name, count, ms, shareOfTime, gigaflopsPerSecond, shareOfPeak }) => [
      ...[network, precision, name, String(count), ms.toFixed(2), percent(shareOfTime)],
      ...(gigaflopsPerSecond === 0 ? ['', ''] : [rounded(gigaflopsPerSecond), percent(shareOfPeak)]),
    ]);
}

/** A table in Markdown. */
function table(titles, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}

function commit() {
  const git = (...args) => execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', '../lib', '../native') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? ', with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}

function tell(text) {
  process.stderr.write(`${((Date.now() - started.getTime()) / 1000).toFixed(0)} s  ${text}\n`);
}

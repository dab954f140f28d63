// How near does a kernel come to what the processor can do? The 3×3 layer with 192 → 192 channels on 14×14 pixels, of
// which RepVGG-A0 has thirteen, on one thread: its time on each instruction set, beside the peak of float32
// multiply-adds in registers, measured in the same rounds.
//
//   node bench/layer.mjs [algorithm ...]      default: direct; also im2col, winograd2, winograd4
//
// Equality with the float64 reference comes first.
import { pathToFileURL } from 'node:url';
import { environment, environmentLine } from '../dist/cli/environment.js';
import { percent } from '../dist/cli/layers.js';
import { numberColumns, paragraph, print, rounded, table } from '../dist/cli/output.js';
import { quantile } from '../dist/cli/turns.js';
import { measuredPeak } from '../dist/engine/peak.js';
import { Conv2d, compile, difference, manualSeed, Random, randn, referenceForward } from '../dist/index.mjs';

const channels = 192;
const pixels = 14;
const rounds = 200;
/** How far float32 rounding may set outputs apart, relative to the largest. */
const limit = 2e-5;

/**
 * One row for each instruction set of this processor that has the algorithm.
 * @param {readonly string[]} algorithms
 * @param {readonly string[]} isas
 */
export async function measureLayer(algorithms, isas = ['avx512', 'avx2']) {
  manualSeed(1);
  const layer = new Conv2d(channels, channels, 3, { padding: 1 }).eval();
  const images = randn([1, channels, pixels, pixels], { generator: new Random(2) });
  const expected = referenceForward(layer, images);
  const rows = [];
  for (const algorithm of algorithms) {
    for (const isa of isas) {
      const session = await compile(layer, {
        inputs: { images: images.shape },
        threads: 1,
        maxBatch: 1,
        isa,
        conv: algorithm,
      });
      const step = session.profileSync(images).findIndex(({ operation }) => operation === 'conv2d');
      const chosen = session.describe()[step];
      if (session.settings.isa !== isa || chosen.algorithm !== algorithm) {
        await session.dispose();
        continue;
      }
      const { relative } = difference(session.runSync(images).output, expected);
      if (!(relative <= limit))
        throw new Error(
          `${algorithm}, ${isa}: differs from the reference by ${relative}, more than ${limit}; not measured`,
        );
      rows.push({
        ...{ algorithm, isa, session, step, difference: relative, macs: chosen.macs },
        times: [],
        peaks: [],
      });
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const { isa, session, step, times, peaks } of rows) {
      session.runSync(images);
      times.push(session.profileSync(images)[step].milliseconds);
      // A peak takes as long as many layers.
      if (round % 20 === 0) peaks.push(measuredPeak(isa));
    }
  }
  return Promise.all(
    rows.map(async ({ algorithm, isa, session, difference: found, macs, times, peaks }) => {
      await session.dispose();
      const medianMs = quantile(times, 0.5);
      const gigaflopsPerSecond = (2 * macs) / (1e6 * medianMs);
      const peak = quantile(peaks, 0.5);
      const spread = (quantile(times, 0.75) - quantile(times, 0.25)) / medianMs;
      return {
        algorithm,
        isa,
        difference: found,
        medianMs,
        spread,
        gigaflopsPerSecond,
        peak,
        shareOfPeak: gigaflopsPerSecond / peak,
      };
    }),
  );
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const algorithms = process.argv.slice(2);
  const rows = await measureLayer(algorithms.length > 0 ? algorithms : ['direct']);
  print(paragraph(environmentLine(environment(1))));
  print(
    paragraph(
      `3×3 convolution, ${channels} → ${channels} channels, ${pixels}×${pixels} pixels; work counted as a direct convolution's`,
    ),
  );
  print();
  print(
    table(
      [
        { title: 'algorithm' },
        { title: 'ISA' },
        ...numberColumns('median', 'spread', 'GFLOP/s', 'peak', 'share', 'difference'),
      ],
      rows.map((row) => [
        ...[
          row.algorithm,
          row.isa,
          `${row.medianMs.toFixed(3)} ms`,
          percent(row.spread),
          rounded(row.gigaflopsPerSecond),
          rounded(row.peak),
        ],
        ...[percent(row.shareOfPeak), row.difference.toExponential(1)],
      ]),
    ),
  );
}

// A network that PyTorch trained on real images: it computes here what PyTorch computes, and after fusing still does.
//
//   node examples/digits/run.mjs [weights.safetensors]
//
// Ends with an error, and exit code 1, when anything is not equal.
import { pathToFileURL } from 'node:url';
import { difference, repconv } from 'repconv';
import { loadDigits, loadTestSet, predictions } from './model.mjs';

/** How far float32 may be off over a whole network, relative to the largest output. */
const limit = 2e-5;

/** @param {string} [weights] another state dict of the same network */
export async function runDigits(weights) {
  console.log(
    '1  Load a network that PyTorch trained on handwritten digits, and classify 500 images set aside before training',
  );
  const model = await loadDigits(weights);
  const { images, labels, logits } = await loadTestSet();
  const before = model.forward(images);
  const fromPyTorch = difference(before, logits).relative;
  check(
    fromPyTorch <= limit,
    `the logits differ from PyTorch's by ${fromPyTorch.toExponential(1)} of the largest; expected at most ${limit}`,
  );
  const found = predictions(before);
  const correct = found.filter((digit, i) => digit === labels[i]).length;
  console.log(`   ${correct} of ${labels.length} right (${((100 * correct) / labels.length).toFixed(1)} %)`);
  console.log(`   logits against PyTorch's: largest difference ${fromPyTorch.toExponential(1)} of the largest logit`);

  console.log('\n2  Fuse it: one convolution in place of the branches of every block, each with a certificate');
  const { model: fused, report } = repconv(model, { inputs: { images: [1, ...images.shape.slice(1)] } });
  check(
    report.left === 0,
    `${report.left} blocks were not fused: ${report.blocks.find(({ reason }) => reason)?.reason}`,
  );
  printBlocks(report.blocks);

  console.log('\n3  Classify the same images with the fused network');
  const after = fused.forward(images);
  const fromUnfused = difference(after, before).relative;
  const changed = predictions(after).filter((digit, i) => digit !== found[i]).length;
  check(changed === 0, `${changed} predictions changed`);
  check(
    fromUnfused <= limit,
    `the logits changed by ${fromUnfused.toExponential(1)} of the largest; expected at most ${limit}`,
  );
  console.log(
    `   the same ${found.length} predictions; logits against the unfused network's: largest difference ${fromUnfused.toExponential(1)}`,
  );
}

function printBlocks(blocks) {
  const lines = blocks.map(({ path, branches, into, parameters, macs, certificate }) => [
    path.replace('features.', ''),
    `${branches} → ${into}`.replace(
      /^(.*) in (\d+) groups$/,
      (_, rest, groups) => `${rest.replaceAll(` in ${groups} groups`, '')}, ${groups} groups`,
    ),
    `${parameters.before} → ${parameters.after}`,
    `${thousands(macs.before)} → ${thousands(macs.after)}`,
    certificate.relative.toExponential(1),
  ]);
  const titles = ['block', 'branches → one convolution', 'parameters', 'multiply-adds', 'difference'];
  const widths = titles.map((_, column) => Math.max(...[titles, ...lines].map((line) => line[column].length)));
  for (const line of [titles, ...lines])
    console.log(
      `   ${line.map((cell, column) => (column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ')}`,
    );
}

function thousands(count) {
  return `${Math.round(count / 1000)}k`;
}

function check(isRight, message) {
  if (!isRight) throw new Error(message);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await runDigits(process.argv[2]).catch((error) => {
    console.error(`digits: ${error.message}`);
    process.exitCode = 1;
  });
}

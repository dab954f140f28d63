// 1 000 sessions, one after the other: made, run both ways, half of them disposed and half left to the garbage
// collector. Prints how much larger the process is afterwards. Started by lifecycle.test.ts.
'use strict';
const { RepVGGBlock, Sequential, Tensor, compile, compileSync, randn } = require('../../dist/index.js');

const sessions = 1000;
// V8 enlarges its young generation during the first 500 (from 10 to 39 MB of heap, 5 of them used) and then never
// again: that is not the sessions'.
const warmUp = 500;
const model = new Sequential(
  new RepVGGBlock(3, 32, { stride: 2 }),
  new RepVGGBlock(32, 32),
  new RepVGGBlock(32, 48),
).eval();
const x = randn([2, 3, 56, 48]);
const bytes = new Tensor('uint8', [2, 56, 48, 3]);

main();

async function main() {
  for (let i = 0; i < warmUp; i++) await once(i);
  const before = await settled();
  for (let i = 0; i < sessions; i++) await once(i);
  const after = await settled();
  const megabytes = (key) => (after[key] - before[key]) / 2 ** 20;
  console.log(JSON.stringify({ sessions, grownMB: megabytes('rss'), externalMB: megabytes('external') }));
}

async function once(i) {
  const options = { inputs: { images: ['N', 3, 'H', 'W'] }, threads: 1 + (i % 3) };
  // One in four takes bytes, and plans on the pool; one in four is aborted, or disposed of while it plans.
  if (i % 4 === 3) options.preprocess = { images: { from: 'uint8-nhwc', mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] } };
  const session = i % 2 === 0 ? compileSync(model, options) : await compile(model, options);
  const input = i % 4 === 3 ? bytes : x;
  if (i % 4 !== 3) session.runSync(input);
  const controller = new AbortController();
  const run = session.run(input, i % 4 === 1 ? { signal: controller.signal } : {});
  if (i % 4 === 1) controller.abort();
  if (i % 8 === 3) await session.dispose();
  await run.catch((error) => {
    if (error.name !== 'AbortError') throw error;
  });
  if (i % 2 === 0) await session.dispose();
}

async function settled() {
  for (let i = 0; i < 5; i++) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage();
}

// Run under LeakSanitizer by native/check.mjs: every way in which native memory is taken and given back, in a Node
// without a test runner.
'use strict';
const { RepVGGBlock, ConvBlock, Tensor, compile, repconv, randn } = require('../../dist/index.js');

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});

async function main() {
  const x = randn([2, 16, 9, 7]);
  for (let i = 0; i < 5; i++) {
    const block = new RepVGGBlock(16, 16).eval();
    block.forward(x);
    const { model } = repconv(block);
    const session = await compile(model, { inputs: { x: ['N', 16, 'H', 'W'] } });
    await Promise.all([session.run(x), session.run(randn([1, 16, 5, 5]))]);
    session.runSync(x);
    session.profileSync(x);
    await session.profile(x);
    await aborted(session, x);
    // Some are disposed, the others are left to the garbage collector.
    if (i % 2 === 0) await session.dispose();
  }
  await withBytes();
  await refused();
  global.gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  console.log('sessions made, run, aborted, refused and dropped');
}

async function aborted(session, x) {
  const controller = new AbortController();
  const run = session.run(x, { signal: controller.signal });
  controller.abort();
  await run.catch((error) => {
    if (error.name !== 'AbortError') throw error;
  });
}

/** Bytes, memory of the caller's, more shapes than plans are kept for, and the end in the middle of planning. */
async function withBytes() {
  const preprocess = { x: { from: 'uint8-nhwc', mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2] } };
  const session = await compile(new ConvBlock(3, 4).eval(), { inputs: { x: ['N', 3, 'H', 'W'] }, preprocess });
  for (let i = 0; i < 40; i++)
    await session.run(new Tensor('uint8', [1, 8, 8 + i, 3]), { out: new Tensor('float32', [1, 4, 8, 8 + i]) });
  const runs = Array.from({ length: 6 }, (_, i) => session.run(new Tensor('uint8', [1, 20 + (i % 2), 20, 3])));
  await session.dispose();
  await Promise.all(runs);
}

async function refused() {
  const session = await compile(new ConvBlock(3, 4).eval(), { inputs: { x: ['N', 3, 8, 8] } });
  await session.run(randn([1, 4, 8, 8])).then(
    () => {
      throw new Error('a wrong shape was accepted');
    },
    () => {},
  );
  await session.dispose();
}

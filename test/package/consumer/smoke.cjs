// A user of the installed package, through `require`: fold a block, compile, run, in the main thread and in a Worker,
// and end by itself. Prints one line; anything wrong throws.
const assert = require('node:assert/strict');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { ConvBlock, RepconvError, compile, difference, manualSeed, randn, repconv } = require('repconv');

async function main() {
  manualSeed(7);
  const block = new ConvBlock(16, 16).eval();
  const x = randn([2, 16, 12, 10]);
  const before = block.forward(x);

  const { model, report } = repconv(block);
  assert.deepEqual([report.fused, report.left], [1, 0]);
  assertClose(model.forward(x), before);
  assert.deepEqual([...model.stateDict().keys()], ['rbr_reparam.weight', 'rbr_reparam.bias']);

  const session = await compile(model, { inputs: { x: ['N', 16, 12, 10] } });
  const [first, second] = await Promise.all([session.run(x), session.run({ x })]);
  assertClose(first.output, before);
  assert.deepEqual(second.output.data, first.output.data);
  assert.deepEqual(session.runSync(x).output.data, first.output.data);
  await session.dispose();
  await assert.rejects(session.run(x), (error) => error instanceof RepconvError && error.code === 'ERR_DISPOSED');
}

/** A Worker that computes as the main thread does, and one that is stopped while it computes. */
async function workers() {
  const done = new Worker(__filename);
  assert.equal(await new Promise((resolve, reject) => done.on('message', resolve).on('error', reject)), 'computed');
  const stopped = new Worker(__filename, { env: { ...process.env, SMOKE_ENDLESS: '1' } });
  await new Promise((resolve, reject) => stopped.once('message', resolve).on('error', reject));
  await stopped.terminate();
}

function assertClose(actual, expected) {
  const { relative } = difference(actual, expected);
  assert.ok(relative < 2e-5, `differs by ${relative}, relative`);
}

if (!isMainThread) {
  const isEndless = process.env.SMOKE_ENDLESS === '1';
  (async () => {
    do {
      await main();
      parentPort.postMessage('computed');
    } while (isEndless);
  })();
} else {
  // No process.exit: the addon must let the process end.
  main()
    .then(workers)
    .then(() => console.log(`smoke: Node ${process.versions.node}, fold, compile, run, Worker: ok`));
}

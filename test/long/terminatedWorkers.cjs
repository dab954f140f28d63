// 200 Workers that load the addon, compile and run without end, each terminated after another delay, four at a time;
// the main thread computes all the while. Prints how many were in a run when they were terminated, and how many results
// of the main thread were wrong. Started by lifecycle.test.ts.
'use strict';
const { Worker, isMainThread, workerData } = require('node:worker_threads');
const { RepVGGBlock, Sequential, compileSync, isIdentical, manualSeed, randn } = require('../../dist/index.js');

const workers = 200;
const atOnce = 4;

function make() {
  manualSeed(1);
  const model = new Sequential(new RepVGGBlock(16, 64), new RepVGGBlock(64, 64), new RepVGGBlock(64, 64)).eval();
  return { session: compileSync(model, { inputs: { x: [1, 16, 40, 40] } }), x: randn([1, 16, 40, 40]) };
}

if (isMainThread) main();
else computeForever(new Int32Array(workerData));

/** state: 0 not yet, 1 in a run. */
async function computeForever(state) {
  const { session, x } = make();
  for (let i = 0; ; i++) {
    state[0] = 1;
    if (i % 3 === 0) session.runSync(x);
    else await Promise.all([session.run(x), session.run(x)]);
  }
}

async function main() {
  const { session, x } = make();
  const expected = (await session.run(x)).output;
  let [terminated, whileRunning, wrong, isDone] = [0, 0, 0, false];
  const computing = (async () => {
    while (!isDone) if (!isIdentical((await session.run(x)).output, expected)) wrong++;
  })();
  const lane = async (first) => {
    for (let i = first; i < workers; i += atOnce) {
      const state = new SharedArrayBuffer(4);
      const worker = new Worker(__filename, { workerData: state });
      worker.on('error', (error) => {
        throw error;
      });
      // One in eight before it has begun; the others some milliseconds into their runs.
      const running = new Int32Array(state);
      if (i % 8 !== 0) while (running[0] === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setTimeout(resolve, i % 17));
      whileRunning += running[0];
      await worker.terminate();
      terminated++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, i) => lane(i)));
  isDone = true;
  await computing;
  console.log(JSON.stringify({ terminated, whileRunning, wrong }));
}

// A Worker of scenarios.cjs: loads everything anew, runs a session of one step, and tells its bits or what went wrong.
'use strict';
const { parentPort } = require('node:worker_threads');
const { bitsOf, library } = require('./scenarios.cjs');

main();

async function main() {
  try {
    const { ReLU, compile, manualSeed, randn } = library();
    manualSeed(7);
    const session = await compile(new ReLU(), { inputs: { x: ['N', 4] }, threads: 2 });
    const { output } = await session.run(randn([2, 4]));
    parentPort.postMessage({ bits: bitsOf([output]) });
  } catch ({ name, code, message }) {
    parentPort.postMessage({ name, code, message });
  }
}

// What V8 is told of memory outside its heap: what sessions hold, as soon as they hold it, and nothing once they are
// gone. Started by native/check.mjs:
//
//   node --expose-gc test/native/addon/external.cjs <refuse_allocations.node>
//
// process.memoryUsage().external and v8.getHeapStatistics() do not show it (Node 20 to 26): V8 counts array buffers
// there. Only napi_adjust_external_memory tells the sum, so it is asked here. Buffers are part of the sum, too: the
// sessions below hold much more than what is not collected at once.
'use strict';
const assert = require('node:assert');
const { Conv2d, Sequential, compile, compileSync, randn } = require('../../../dist/index.js');

const loaded = { exports: {} };
process.dlopen(loaded, process.argv[2]);
const { externalBytes } = loaded.exports;

const tolerance = 65536;
const model = new Sequential(new Conv2d(64, 64, 3), new Conv2d(64, 64, 3));
const inputs = { x: ['N', 64, 'H', 'W'] };
const images = [40, 30].map((size) => randn([1, 64, size, size]));
/** V8's account before the session that is looked at. */
let current = 0;

main();

async function main() {
  // Weights are drawn when they are first read.
  compileSync(model, { inputs })[Symbol.dispose]();
  await ends('a session that is disposed of', async () => {
    const session = await compile(model, { inputs });
    for (const x of images) {
      await session.run(x);
      session.runSync(x);
    }
    await isTold(session);
    await session.dispose();
  });
  await ends('a session that is told of after its first run', async () => {
    const session = compileSync(model, { inputs });
    await session.run(images[0]);
    await isTold(session);
    session[Symbol.dispose]();
  });
  await ends('a session that is disposed of during runs and planning', async () => {
    const session = compileSync(model, { inputs });
    session.runSync(images[0]);
    const runs = [session.run(images[0]), session.run(images[1])];
    await session.dispose();
    await Promise.all(runs);
  });
  await ends('sessions that are left to the garbage collector', async () => {
    for (let i = 0; i < 5; i++) await compileSync(model, { inputs }).run(images[i % 2]);
  });
  await ends('a session whose old plans go', async () => {
    const session = compileSync(model, { inputs });
    for (let size = 40; size > 10; size--) await session.run(randn([1, 64, size, size]));
    await isTold(session);
    await session.dispose();
  });
  console.log('memory outside the heap: told of, and taken back');
}

/** Nothing of what `act` makes is left in V8's account. */
async function ends(what, act) {
  const before = await settled();
  current = before;
  await act();
  const kept = (await settled()) - before;
  assert(Math.abs(kept) < tolerance, `${what}: V8 is still told of ${kept} bytes`);
}

/** The session's memory, all of it, is in V8's account. */
async function isTold(session) {
  const { totalBytes } = session.memory();
  const told = (await settled()) - current;
  assert(totalBytes > 20 * tolerance, `a session of ${totalBytes} bytes is too small for this test`);
  assert(Math.abs(told - totalBytes) < tolerance, `the session holds ${totalBytes} bytes, V8 is told of ${told}`);
}

async function settled() {
  for (let i = 0; i < 5; i++) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return externalBytes();
}

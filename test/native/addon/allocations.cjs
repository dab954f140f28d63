// Every allocation of the addon fails once, in a real Node with the addon that ships: each time an ERR_OOM (or nothing,
// where the memory was dispensable), and the next call in the same process gives the same bits as ever. Started by
// native/check.mjs, which builds refuse_allocations.cc:
//
//   node test/native/addon/allocations.cjs <refuse_allocations.node> [scenario …]
//
// Each scenario (scenarios.cjs) has a process of its own. It is tried with its first, second, … allocation failing,
// until none fails any more: once with that allocation alone, once with all that follow, too. In the end the memory of
// its sessions must have been given back, and V8 told so.
'use strict';
const { spawnSync } = require('node:child_process');
const { bitsOf, checkError, library, scenarios } = require('./scenarios.cjs');

/** How many allocations fail, from the first one on. */
const spans = [1, 2 ** 40];
const hangMs = 30_000;

const [preload, ...chosen] = process.argv.slice(2);
const { REPCONV_TEST_SCENARIO: scenario, REPCONV_TEST_TRY: single } = process.env;
if (scenario === undefined) startAll();
else inProcess(scenario);

function startAll() {
  for (const [name, { isSingle }] of Object.entries(scenarios)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    if (isSingle) console.log(`${name}: ${eachInProcess(name)}`);
    else process.stdout.write(start(name, {}));
  }
}

/** Every try in a process of its own. */
function eachInProcess(name) {
  return spans
    .map((span) => {
      let rejected = 0;
      for (let n = 1; ; n++) {
        const { refused, isRejected } = JSON.parse(start(name, { REPCONV_TEST_TRY: `${n},${span}` }));
        if (refused === 0) return summary(n, rejected);
        if (isRejected) rejected++;
      }
    })
    .join(', ');
}

function start(name, env) {
  const { status, signal, stdout } = spawnSync(process.execPath, ['--expose-gc', __filename, preload], {
    env: {
      ...process.env,
      LD_PRELOAD: [preload, process.env.LD_PRELOAD].filter(Boolean).join(' '),
      REPCONV_TEST_SCENARIO: name,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status === 0) return stdout;
  console.error(`${name} ${JSON.stringify(env)}: ended with ${signal ?? status}\n${stdout}`);
  return process.exit(1);
}

async function inProcess(name) {
  const { arm, disarm, externalBytes } = loadPreload();
  const { make, act } = scenarios[name];
  const state = { where: 'without failures', isDone: false };
  watch(name, state);

  const made = () => {
    library().manualSeed(7);
    return make();
  };
  const bits = async (subject) => bitsOf(await act(subject));
  // One in four is left to the garbage collector.
  const drop = ({ sessions = [] }, n) => {
    if (n % 4 !== 0) for (const session of sessions) session[Symbol.dispose]();
  };

  async function attempt(n, span, expected) {
    const subject = made();
    state.where = `allocation ${n}${span > 1 ? ' and all that follow' : ''}`;
    arm(n, span);
    const [end] = await Promise.allSettled([bits(subject)]);
    const { refused, at } = disarm();
    state.where += `, called at ${at.toString(16)}`;
    const isRejected = end.status === 'rejected';
    if (isRejected && refused === 0) throw end.reason;
    if (isRejected) checkError(end.reason);
    const found = isRejected ? await bits(subject) : end.value;
    if (found !== (expected ?? (await bits(subject))))
      throw new Error(isRejected ? 'the next call gives something else' : 'not the bits of other calls');
    drop(subject, n);
    return { refused, isRejected };
  }

  async function each(span, expected) {
    let rejected = 0;
    for (let n = 1; ; n++) {
      const { refused, isRejected } = await attempt(n, span, expected);
      if (refused === 0) return summary(n, rejected);
      if (isRejected) rejected++;
    }
  }

  try {
    if (single !== undefined) {
      const [n, span] = single.split(',').map(Number);
      console.log(JSON.stringify(await attempt(n, span)));
    } else {
      const first = made();
      const expected = await bits(first);
      drop(first, 1);
      await settle();
      const before = externalBytes();
      const told = [];
      for (const span of spans) told.push(await each(span, expected));
      await settle();
      const kept = externalBytes() - before;
      if (Math.abs(kept) > 65536) throw new Error(`V8 is still told of ${kept} bytes outside its heap`);
      console.log(`${name}: ${told.join(', ')}`);
    }
  } catch (error) {
    console.error(`${name}, ${state.where}:`, error);
    process.exitCode = 1;
  }
  state.isDone = true;
}

/** A promise that is never settled ends the process, or leaves it waiting. */
function watch(name, state) {
  let last;
  setInterval(() => {
    if (state.where === last) {
      console.error(`${name}, ${state.where}: hangs`);
      process.exit(1);
    }
    last = state.where;
  }, hangMs).unref();
  process.on('exit', () => {
    if (state.isDone) return;
    console.error(`${name}, ${state.where}: the process ends while something is waited for`);
    process.exitCode = 1;
  });
}

function summary(n, rejected) {
  return `${n - 1} allocations (${n - 1 - rejected} dispensable)`;
}

async function settle() {
  for (let i = 0; i < 5; i++) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function loadPreload() {
  const loaded = { exports: {} };
  process.dlopen(loaded, preload);
  return loaded.exports;
}

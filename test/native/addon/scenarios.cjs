// What is done while allocations of the addon fail (allocations.cjs).
'use strict';
const { createHash } = require('node:crypto');
const path = require('node:path');
const { Worker } = require('node:worker_threads');

const distFolder = path.join(__dirname, '../../../dist');
const library = () => require(path.join(distFolder, 'index.js'));

/**
 * `make` (anew for each try) gives what `act` works on, with `sessions` that are to be disposed of. `act` returns what
 * must be the same each time: tensors and texts. When it failed, it is called again with the same.
 */
exports.scenarios = {
  // The addon of a process is loaded once: each try is a process of its own.
  'loading the addon': {
    isSingle: true,
    make: () => ({ relu: new (library().ReLU)(), x: library().randn([1, 4, 5, 6]) }),
    act: ({ relu, x }) => [relu.forward(x)],
  },
  'a Worker that loads and runs': {
    make: () => ({}),
    act: () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(path.join(__dirname, 'worker.cjs'));
        let told;
        worker.once('message', (message) => {
          told = message;
        });
        worker.once('error', reject);
        worker.once('exit', (code) => {
          if (told?.bits !== undefined && code === 0) resolve([told.bits]);
          else reject(Object.assign(new Error(`the Worker ended with ${code}: ${told?.message}`), told));
        });
      }),
  },
  'eager calls': {
    make: () => ({
      conv: new (library().Conv2d)(4, 4, 3, { padding: 1, paddingMode: 'reflect' }),
      x: library().randn([1, 4, 5, 6]),
    }),
    act: ({ conv, x }) => [conv.forward(x)],
  },
  'an eager call that changes statistics': {
    make: () => ({ norm: new (library().BatchNorm2d)(4), x: library().randn([2, 4, 5, 6]) }),
    // Those of a call that failed are as they were.
    act: ({ norm, x }) => [norm.forward(x), ...Object.values(norm.stateDict())],
  },
  folding: {
    make: () => ({ block: new (library().RepVGGBlock)(4, 4).eval() }),
    act: ({ block }) => Object.values(library().repconv(block).model.stateDict()),
  },
  compileSync: {
    make: network,
    act: ({ model, sessions, x }) => {
      const session = library().compileSync(model, { inputs: { x: ['N', 4, 7, 6] }, threads: 2 });
      sessions.push(session);
      return [session.runSync(x).output];
    },
  },
  compile: {
    make: network,
    act: async ({ model, sessions, x }) => {
      const session = await library().compile(model, { inputs: { x: ['N', 4, 7, 6] }, threads: 2 });
      sessions.push(session);
      return [(await session.run(x)).output];
    },
  },
  run: {
    make: () => compiled(),
    act: async ({ session, x }) => [(await session.run(x)).output, memoryOf(session)],
  },
  'eight runs at once': {
    make: () => compiled(),
    act: async ({ session, x }) => outputs(await Promise.allSettled(Array.from({ length: 8 }, () => session.run(x)))),
  },
  'runs that are aborted': {
    make: () => compiled(),
    act: async ({ session, x }) => {
      const { signal, abort } = abortable();
      const aborted = Promise.allSettled(Array.from({ length: 4 }, () => session.run(x, { signal })));
      const kept = Promise.allSettled([session.run(x)]);
      abort();
      for (const { reason } of await aborted)
        if (reason !== undefined && reason.name !== 'AbortError') checkError(reason);
      return outputs(await kept);
    },
  },
  runSync: {
    make: () => compiled(),
    act: ({ session, x }) => [session.runSync(x).output, memoryOf(session)],
  },
  'run with out': {
    make: () => ({ ...compiled(), out: new (library().Tensor)('float32', [2, 6, 7, 6]) }),
    act: async ({ session, x, out }) => {
      out.data.fill(-1);
      await session.run(x, { out }).catch((error) => {
        if (!out.data.every((number) => number === -1)) throw new Error('a run that failed has written its outputs');
        throw error;
      });
      return [out];
    },
  },
  'preprocess of bytes': {
    make: () => {
      const { ConvBlock, Tensor, compileSync } = library();
      const preprocess = { x: { from: 'uint8-nhwc', mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2] } };
      const session = compileSync(new ConvBlock(3, 4).eval(), {
        inputs: { x: ['N', 3, 8, 9] },
        preprocess,
        threads: 2,
      });
      const x = new Tensor(
        'uint8',
        [2, 8, 9, 3],
        Uint8Array.from({ length: 2 * 8 * 9 * 3 }, (_, i) => (i * 37) % 256),
      );
      return { session, sessions: [session], x };
    },
    act: async ({ session, x }) => [session.runSync(x).output, (await session.run(x)).output],
  },
  'profile, describe, memory, settings': {
    make: () => compiled(),
    act: async ({ session, x }) => {
      const profiles = [session.profileSync(x), await session.profile(x)].map((steps) =>
        steps.map(({ label, algorithm, macs }) => ({ label, algorithm, macs })),
      );
      return [JSON.stringify([profiles, session.describe(x), session.settings]), memoryOf(session)];
    },
  },
  'facts about the machine': {
    make: () => ({}),
    // How many threads there may be is read from files; where they cannot be read, other limits hold.
    act: async () => {
      const { nativeAddon } = require(path.join(distFolder, 'engine/addon.js'));
      return [
        JSON.stringify({ ...nativeAddon().info(), quota: 0, threads: 0 }),
        String(nativeAddon().peak('scalar') > 0 && (await nativeAddon().peakAsync('scalar')) > 0),
      ];
    },
  },
  'new shapes, planned on the pool': {
    make: () => compiled(['N', 4, 'H', 'W']),
    act: async ({ session, x, y }) => outputs(await Promise.allSettled([x, y, x].map((input) => session.run(input)))),
  },
  'new shapes, planned at once': {
    make: () => compiled(['N', 4, 'H', 'W']),
    act: ({ session, x, y }) => [session.runSync(x).output, session.runSync(y).output, memoryOf(session)],
  },
  'more shapes than plans are kept for': {
    make: () => {
      const made = compiled(['N', 4, 'H', 'W']);
      for (let i = 0; i < 16; i++) made.session.runSync(library().randn([1, 4, 20 - i, 9]));
      return made;
    },
    act: async ({ session, x, y }) => [(await session.run(x)).output, session.runSync(y).output],
  },
  'dispose during runs and planning': {
    make: network,
    act: async ({ model, sessions, x, y }) => {
      const session = library().compileSync(model, { inputs: { x: ['N', 4, 'H', 'W'] }, threads: 2 });
      sessions.push(session);
      session.runSync(x);
      const runs = Promise.allSettled([session.run(x), session.run(y)]);
      await session.dispose();
      return outputs(await runs);
    },
  },
};

function network() {
  const { ConvBlock, Conv2d, Sequential, randn } = library();
  const model = new Sequential(new ConvBlock(4, 4), new Conv2d(4, 6, 1)).eval();
  return { model, sessions: [], x: randn([2, 4, 7, 6]), y: randn([1, 4, 9, 5]) };
}

function compiled(shape = ['N', 4, 7, 6]) {
  const made = network();
  const session = library().compileSync(made.model, { inputs: { x: shape }, threads: 2 });
  made.sessions.push(session);
  return { ...made, session };
}

/** A block that is lost would show here. */
function memoryOf(session) {
  return JSON.stringify(session.memory());
}

/** All of them ended; the first that failed tells. */
function outputs(ends) {
  for (const { reason } of ends) if (reason !== undefined) throw reason;
  return ends.map(({ value }) => value.output);
}

function abortable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

function bitsOf(results) {
  const hash = createHash('sha256');
  for (const result of results) hash.update(typeof result === 'string' ? result : result.data);
  return hash.digest('hex');
}

function checkError(error) {
  if (error?.code !== 'ERR_OOM' || error.name !== 'RepconvError') throw error;
}

exports.bitsOf = bitsOf;
exports.checkError = checkError;
exports.library = library;

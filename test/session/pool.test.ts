/** The pool that all sessions share, seen from a process that has just begun. */
import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { chosenThreads } from '../../lib/engine/threads.js';
import { ReLU } from '../../lib/nn/layers/activations.js';
import { compileSync } from '../../lib/session/compile.js';

it.skipIf(process.platform !== 'linux')('has a thread for every processor, though a session runs on one', async () => {
  const processThreads = (): number => readdirSync('/proc/self/task').length;
  const { threads } = chosenThreads();
  const before = processThreads();
  using session = compileSync(new ReLU().eval(), { inputs: { x: [1, 2] }, threads: 1 });
  expect(session.settings.threads).toBe(1);
  expect(processThreads()).toBe(before + threads);
});

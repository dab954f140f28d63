/**
 * The sweeps: `npm run test:long`. One file after the other: some measure memory, and each uses all processors itself.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/long/**/*.test.ts'],
    setupFiles: ['test/environment.ts'],
    pool: 'forks',
    fileParallelism: false,
    reporters: ['verbose'],
    testTimeout: 20 * 60_000,
  },
});

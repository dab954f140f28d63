import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**'],
    // Native code and worker threads: every test file in a process of its own.
    pool: 'forks',
    testTimeout: 60_000,
  },
});

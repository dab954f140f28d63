import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**'],
    // Native code and worker threads: every test file in a process of its own.
    pool: 'forks',
    setupFiles: ['test/environment.ts'],
    // Long enough for a machine that has other work, too: what hangs is still found.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});

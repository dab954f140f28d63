import { afterEach, describe, expect, it } from 'vitest';
import { chosenThreads } from '../../lib/engine/threads.js';

describe('the number of threads', () => {
  const saved = process.env.REPCONV_THREADS;
  afterEach(() => {
    if (saved === undefined) delete process.env.REPCONV_THREADS;
    else process.env.REPCONV_THREADS = saved;
  });

  it.each([
    [{ affinity: 8, quota: 0, threads: 8 }, 8, 'the affinity of this process: 8 processors'],
    [{ affinity: 1, quota: 0, threads: 1 }, 1, 'the affinity of this process: 1 processor'],
    [{ affinity: 2, quota: 4, threads: 2 }, 2, 'the affinity of this process: 2 processors'],
    [{ affinity: 8, quota: 3, threads: 3 }, 3, 'the cgroup quota, rounded up to 3 of 8 processors'],
    [{ affinity: 128, quota: 0, threads: 128 }, 64, 'the limit of 64 threads; this process may use 128'],
    [{ affinity: 128, quota: 2, threads: 2 }, 2, 'the cgroup quota, rounded up to 2 of 128 processors'],
  ])('follows from %o, and says from what', (budget, threads, because) => {
    delete process.env.REPCONV_THREADS;
    expect(chosenThreads(undefined, () => budget)).toEqual({ threads, because });
    process.env.REPCONV_THREADS = '5';
    expect(chosenThreads(undefined, () => budget)).toEqual({ threads: 5, because: 'REPCONV_THREADS' });
    expect(chosenThreads(7, () => budget)).toEqual({ threads: 7, because: 'the option threads' });
  });
});

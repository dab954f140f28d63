/** `repconv bench` with as little measuring as it does: that its rows are there and agree with each other, not how fast anything is. */
import { describe, expect, it } from 'vitest';
import type { NetworkResult } from '../../lib/cli/measure.js';
import { quantile, ratiosOf, takeTurns, timesOf } from '../../lib/cli/turns.js';
import { repconv, repconvUntilOutput } from './command.js';

const little = ['--resolution', '32', '--rounds', '2', '--threads', '1'];

describe('repconv bench', () => {
  it('measures three forms of both networks after finding them equal', () => {
    const { code, stdout } = repconv(['bench', '--json', '--batch', '2', ...little]);
    expect(code).toBe(0);
    const { environment, networks } = JSON.parse(stdout) as { environment: { threads: number; isa: string }; networks: NetworkResult[] };
    expect(environment).toMatchObject({ threads: 1, isa: expect.stringMatching(/^(scalar|avx2|avx512)$/) });
    expect(networks.map(({ network, input, blocksFused }) => [network, input, blocksFused])).toEqual([
      ['mobileone-s0', [2, 3, 32, 32], 43],
      ['repvgg-a0', [2, 3, 32, 32], 22],
    ]);
    for (const { forms, differences, rounds } of networks) {
      expect(forms.map(({ form }) => form)).toEqual(['as written', 'batch norms folded', 'branches merged']);
      expect(rounds).toBe(2);
      // Three different computations: rounding shows, and no more than rounding.
      for (const relative of Object.values(differences)) {
        expect(relative).toBeGreaterThan(0);
        expect(relative).toBeLessThanOrEqual(2e-5);
      }
      expect(forms[0].speedup).toBe(1);
      for (const { samplesMs, medianMs, p95Ms, imagesPerSecond, memoryBytes } of forms) {
        expect(samplesMs).toHaveLength(4);
        expect(medianMs).toBeCloseTo(quantile(samplesMs, 0.5), 12);
        expect(p95Ms).toBeGreaterThanOrEqual(medianMs);
        expect(imagesPerSecond).toBeCloseTo(2000 / medianMs, 9);
        expect(memoryBytes).toBeGreaterThan(1e6);
      }
      const [written, folded, merged] = forms;
      expect(folded.macs).toBe(written.macs);
      expect(merged.macs).toBeLessThan(written.macs);
      expect(merged.parameters).toBeLessThan(written.parameters);
    }
    // The published sizes of the fused networks.
    expect(networks.map(({ forms }) => (forms[2].parameters / 1e6).toFixed(2))).toEqual(['2.08', '8.31']);
  }, 120_000);

  it('says where it measured, and prints three rows that fit into 80 columns', () => {
    const { code, stdout } = repconv(['bench', 'mobileone-s0', ...little], { REPCONV_ISA: 'avx2' });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^repconv \d+\.\d+\.\d+ · Node \d+\.\d+\.\d+ · \S+ · .* · (avx2|scalar) · 1 thread\n/);
    expect(stdout).toMatch(
      /form +median +p95 +images\/s +speed-up +memory\n {2}as written .* 1\.00× .* MB\n {2}batch norms folded .*\n {2}branches merged /,
    );
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(stdout).not.toContain('\u001b');
  }, 120_000);

  it('ends with 130 when it is interrupted', async () => {
    const { code } = await repconvUntilOutput(['bench', 'mobileone-s0', '--resolution', '32', '--seconds', '100'], (child) =>
      child.kill('SIGINT'),
    );
    expect(code).toBe(130);
  }, 120_000);

  it('has a row for each of several cases', () => {
    const { code, stdout } = repconv([
      'bench',
      'mobileone-s0',
      '--resolution',
      '32',
      '--rounds',
      '1',
      '--threads',
      '1,2',
      '--batch',
      '1,3',
    ]);
    expect(code).toBe(0);
    const rows = stdout.slice(stdout.indexOf('  batch')).split('\n').slice(0, 5);
    expect(rows[0]).toMatch(/^ {2}batch +threads +as written +folded +merged +images\/s +speed-up +memory$/);
    const cases = rows.slice(1).map((row) => row.trim().split(/ +/).slice(0, 2).join('×'));
    expect(cases).toEqual(['1×1', '1×2', '3×1', '3×2']);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  }, 120_000);

  it('lets contenders take turns, each round beginning with another, and does not count the first run of a turn', async () => {
    const calls: string[] = [];
    const contender = (name: string, promise?: Promise<void>) => () => {
      calls.push(name);
      return promise;
    };
    const options = { rounds: 3, seconds: 100, runsPerTurn: 2, restMs: 0 };
    const done: number[] = [];
    const progress = { stage: () => {}, measured: (share: number) => done.push(share) };
    const turns = await takeTurns([contender('a'), contender('b', Promise.resolve())], options, progress);
    expect(calls.join('')).toBe('aaabbb bbbaaa aaabbb'.replaceAll(' ', ''));
    expect(turns.map((rounds) => rounds.map((runs) => runs.length))).toEqual([
      [2, 2, 2],
      [2, 2, 2],
    ]);
    expect(done).toEqual([0, 1 / 3, 2 / 3, 1]);
  });

  it('sums times up by median, p95 and quartiles, and ratios round by round', () => {
    // A machine that was ten times slower in the second round: the ratio does not notice.
    const [ours, theirs] = [
      [
        [1, 3],
        [10, 30],
      ],
      [
        [4, 4],
        [40, 40],
      ],
    ];
    expect(ratiosOf(theirs, ours)).toEqual([2, 2]);
    expect(timesOf(ours)).toMatchObject({ medianMs: 6.5, samplesMs: [1, 3, 10, 30], spread: (15 - 2.5) / 6.5 });
  });

  it('takes quantiles between samples as NumPy does', () => {
    // numpy.quantile([4, 1, 3, 2], [0, 0.25, 0.5, 0.95, 1])
    expect([0, 0.25, 0.5, 0.95, 1].map((q) => quantile([4, 1, 3, 2], q))).toEqual([1, 1.75, 2.5, 3.8499999999999996, 4]);
    expect(quantile([5], 0.95)).toBe(5);
  });
});

/**
 * `repconv bench` with as little measuring as it does: that its rows are there and agree with each other, not how fast
 * anything is.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { casesOf, checkCases, measureCases } from '../../lib/cli/cases.js';
import { CommandFailure } from '../../lib/cli/failure.js';
import type { CaseResult, NetworkResult } from '../../lib/cli/measure.js';
import { noiseWarnings } from '../../lib/cli/noise.js';
import { ProgressDisplay } from '../../lib/cli/progress.js';
import { quantile, ratiosOf, takeTurns, timesOf } from '../../lib/cli/turns.js';
import { maxThreads } from '../../lib/debug.js';
import { nativeOps } from '../../lib/engine/eager.js';
import { chosenThreads } from '../../lib/engine/threads.js';
import { randn } from '../../lib/tensor/random.js';
import { bfloat16Kernel } from '../engine/isas.js';
import { repconv, repconvUntilOutput, temporaryFolder } from './command.js';

const path = temporaryFolder();

const little = ['--resolution', '32', '--rounds', '2', '--threads', '1'];

describe('repconv bench', () => {
  it('measures three forms of both networks after finding them equal', () => {
    const { code, stdout } = repconv(['bench', '--json', '--batch', '2', ...little]);
    expect(code).toBe(0);
    const { environment, networks } = JSON.parse(stdout) as {
      environment: { threads: number; isa: string };
      networks: NetworkResult[];
    };
    expect(environment).toMatchObject({ threads: 1, isa: expect.stringMatching(/^(scalar|avx2|avx512)$/) });
    expect(networks.map(({ network, input, blocksFused }) => [network, input, blocksFused])).toEqual([
      ['mobileone-s0', [2, 3, 32, 32], 43],
      ['repvgg-a0', [2, 3, 32, 32], 22],
    ]);
    for (const { forms, equality, rounds } of networks) {
      expect(forms.map(({ form }) => form)).toEqual(['as written', 'batch norms folded', 'branches merged']);
      expect(rounds).toBe(2);
      // Three different computations: rounding shows, and no more than rounding.
      for (const { difference, ...bound } of Object.values(equality)) {
        expect(bound).toEqual({ limit: 2e-5, kind: 'largest' });
        expect(difference).toBeGreaterThan(0);
        expect(difference).toBeLessThanOrEqual(2e-5);
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
  });

  it('says where it measured, and prints three rows that fit into 80 columns', () => {
    const { code, stdout } = repconv(['bench', 'mobileone-s0', ...little], { REPCONV_ISA: 'avx2' });
    expect(code).toBe(0);
    expect(stdout.replaceAll('\n', ' ')).toMatch(
      /^repconv \d+\.\d+\.\d+ · Node \d+\.\d+\.\d+ · \S+ · .* · (avx2|scalar) · 1 thread /,
    );
    expect(stdout).toMatch(
      /form +median +p95 +images\/s +speed-up +memory\n {2}as written .* 1\.00× .* MB\n {2}batch norms folded .*\n {2}branches merged /,
    );
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(stdout).not.toContain('\u001b');
  });

  it('prints no line of more than 80 columns, whatever the processor is called', () => {
    const options = ['bench', 'mobileone-s0', ...little, '--layers', '--batch', '1,2'];
    for (const name of ['Xeon(R) '.repeat(15), 'x'.repeat(120), '処理装置'.repeat(30)]) {
      const { code, stdout } = repconv(options, {
        NODE_OPTIONS: `--require ${JSON.stringify(join(import.meta.dirname, '../anywhere/otherProcessor.cjs'))}`,
        REPCONV_TEST_PROCESSOR: name,
      });
      expect(code).toBe(0);
      expect(stdout).toContain(name.slice(0, 8));
      expect(stdout.split('\n').filter((line) => stringWidth(line) > 80)).toEqual([]);
    }
  });

  it('ends with 130 when it is interrupted', async () => {
    const { code } = await repconvUntilOutput(
      ['bench', 'mobileone-s0', '--resolution', '32', '--seconds', '100'],
      (child) => child.kill('SIGINT'),
    );
    expect(code).toBe(130);
  });

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
    expect(stdout).not.toContain('in 1 rounds');
    expect(stdout.match(/Medians in ms/g)).toHaveLength(1);
  });

  it('counts rounds in the singular where there is one, and says in JSON what it used, not what stands for it', () => {
    const one = ['bench', 'mobileone-s0', '--resolution', '32', '--rounds', '1'];
    expect(repconv(one).stdout).toContain('which took turns in 1 round\n');
    const { environment, options } = JSON.parse(repconv([...one, '--json']).stdout) as Record<string, object>;
    expect(environment).toMatchObject({ threads: chosenThreads().threads });
    expect(options).toEqual({
      ...{
        batch: [1],
        threads: [chosenThreads().threads],
        precision: ['float32'],
        resolution: 32,
        seed: 1,
        rounds: 1,
        layers: false,
      },
    });
  });

  it('lists all layers of one case, and of several the slowest ten with a line for the rest', () => {
    const layers = ['bench', 'mobileone-s0', ...little, '--layers'];
    const tableOf = (text: string): string[] => text.slice(text.indexOf('  layer ')).split('\n').slice(1);
    const all = tableOf(repconv(layers).stdout);
    const rows = all.slice(0, all.indexOf(''));
    expect(rows.length).toBeGreaterThan(43);
    // Below it, why their algorithms.
    const rest = all.slice(rows.length + 1);
    const reasons = rest.slice(0, rest.indexOf(''));
    const counts = reasons.map((line) =>
      Number(/^ {2}\w+, (?:estimated .*as fast as \w+|the only one that fits): (\d+) layers?$/.exec(line)?.[1]),
    );
    expect(counts).toEqual(counts.toSorted((a, b) => b - a));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(43);
    const { stdout } = repconv([...layers, '--batch', '1,2']);
    expect(stdout.match(/the 10 slowest layers, float32, batch [12], 1 thread\n/g)).toHaveLength(2);
    const some = tableOf(stdout);
    const times = some.slice(0, 10).map((line) => Number(/ (\d+\.\d{3}) /.exec(line)?.[1]));
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect(stdout.match(/Winograd/g)).toHaveLength(1);
    expect(stdout.match(/All layers, in order: --json/g)).toHaveLength(1);
    expect(some[10]).toMatch(new RegExp(`^  \\(the other ${rows.length - 10}\\) +\\d+\\.\\d{3} +[\\d.]+ %$`));
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('says in which unit the estimates are that algorithms were chosen by', () => {
    const { networks } = JSON.parse(repconv(['bench', 'mobileone-s0', ...little, '--layers', '--json']).stdout) as {
      networks: NetworkResult[];
    };
    expect(networks[0].layers).toMatchObject({ costsUnit: 'estimated vector multiply-adds' });
    const { stderr } = repconv(['bench', 'mobileone-s0', ...little], { REPCONV_DEBUG: '1' });
    expect(stderr).toMatch(/conv: \w+, [\w ,.]+ \(estimated vector multiply-adds: \w+ [\d.e+]+(, \w+ [\d.e+]+)*\)\n/);
  });

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
    expect([0, 0.25, 0.5, 0.95, 1].map((q) => quantile([4, 1, 3, 2], q))).toEqual([
      1, 1.75, 2.5, 3.8499999999999996, 4,
    ]);
    expect(quantile([5], 0.95)).toBe(5);
  });
});

describe('what cannot be measured', () => {
  it.each([
    [
      'more threads than a run may use',
      ['--threads', `1,${maxThreads + 1}`],
      {},
      2,
      `whole number from 1 to ${maxThreads}.`,
    ],
    [
      'more threads in the environment',
      [],
      { REPCONV_THREADS: String(maxThreads + 1) },
      1,
      `ERR_INPUT REPCONV_THREADS: expected a whole number from 0 to ${maxThreads}, got "65"`,
    ],
    [
      'an instruction set that is none',
      [],
      { REPCONV_ISA: 'bad' },
      1,
      'ERR_INPUT REPCONV_ISA: expected one of scalar, avx2, avx512, got "bad"',
    ],
    [
      'a later precision without kernels',
      ['--precision', 'float32,bfloat16'],
      { REPCONV_ISA: 'scalar' },
      1,
      'ERR_UNSUPPORTED session: precision bfloat16',
    ],
    ['an algorithm that is none', [], { REPCONV_CONV: 'magic' }, 1, 'ERR_INPUT session: conv expects one of'],
    ['a page in a folder that is not there', ['--html', path('nowhere/report.html')], {}, 1, 'ERR_IO bench: '],
  ])('%s is refused before anything is printed', (_, args, environment, exitCode, message) => {
    const { code, stdout, stderr } = repconv(['bench', ...args], environment);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toContain(message);
  });

  it('has one limit of threads: that of help, of native code, and of the command line', () => {
    expect(repconv(['bench', '--help']).stdout).toContain(`at most ${maxThreads} `);
    const relu = (threads: number) => nativeOps({ threads }).relu(randn([2]));
    expect(() => relu(maxThreads + 1)).toThrow(`at most ${maxThreads}, got ${maxThreads + 1}`);
    expect(relu(maxThreads).shape).toEqual([2]);
  });

  it('is a page that is there already, in the words of fuse, until --force', () => {
    const file = path('there.html');
    writeFileSync(file, 'mine');
    const { code, stdout, stderr } = repconv(['bench', ...little, '--html', file]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(`error: ${file} is there already; --force replaces it (at once and whole, or not at all)\n`);
    expect(readFileSync(file, 'utf8')).toBe('mine');
    expect(repconv(['bench', 'mobileone-s0', ...little, '--html', file, '--force']).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toMatch(/^<!doctype html>/);
  });

  it('is a page that is written to its end, whoever stops to read the table', async () => {
    const file = path('unread.html');
    const { code, stderr } = await repconvUntilOutput(['bench', 'mobileone-s0', ...little, '--html', file], (child) =>
      child.stdout?.destroy(),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('error') });
    expect(readFileSync(file, 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\s*$/);
  });

  it('leaves what was measured before it: returned with the failure, and shown', async () => {
    const cases = casesOf({
      precision: ['float32'],
      batch: [1, 2, 3],
      threads: [1],
      seconds: 1,
      rounds: 1,
      layers: false,
    });
    const shown: number[][] = [];
    const measure = async (_: unknown, { batch }: { batch: number }): Promise<CaseResult> => {
      if (batch === 3) throw new CommandFailure('no');
      return { network: 'mobileone-s0', input: [batch, 3, 32, 32], threads: 1, precision: 'float32', rounds: 1 };
    };
    const show = (results: readonly CaseResult[]) => shown.push(results.map(({ input: [batch] }) => batch));
    const of = { resolution: 32, seed: 1 };
    const { results, failure } = await measureCases(
      ['mobileone-s0', 'repvgg-a0'],
      cases,
      of,
      measure,
      new ProgressDisplay(),
      show,
    );
    expect(results).toHaveLength(2);
    expect(failure?.error).toEqual(new CommandFailure('no'));
    expect(shown).toEqual([[1, 2]]);
  });

  // At 32×32 pixels MobileOne-s0 in bfloat16 is further from float32 than its bound (lib/cli/equality.ts).
  it.skipIf(bfloat16Kernel() === '')('does not take with it what was measured', () => {
    const file = path('partial.html');
    const late = ['bench', 'mobileone-s0', ...little, '--precision', 'float32,bfloat16'];
    const text = repconv([...late, '--html', file]);
    expect(text.code).toBe(1);
    expect(text.stdout).toMatch(/\n {2}branches merged /);
    expect(text.stderr).toMatch(/error: mobileone-s0, .*, bfloat16: outputs differ by [^\n]*; not measured\n$/);
    expect(readFileSync(file, 'utf8')).toContain('<li>warning: not all cases were measured: mobileone-s0, ');
    const json = repconv([...late, '--json']);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      warnings: expect.arrayContaining([expect.stringContaining('not all cases were measured: ')]),
      networks: [{ precision: 'float32' }],
    });
  });

  it('is found by the settings alone, whatever the size of the case', () => {
    const options = {
      precision: ['float32'],
      batch: [1024],
      threads: [1, maxThreads],
      seconds: 1,
      rounds: 1,
      layers: false,
    } as const;
    expect(() => checkCases(casesOf(options))).not.toThrow();
    expect(() => checkCases(casesOf({ ...options, threads: [1, maxThreads + 1] }))).toThrow(
      expect.objectContaining({ code: 'ERR_INPUT' }),
    );
  });
});

describe('a machine that is not quiet', () => {
  const times = (spread: number) => ({ medianMs: 10, p95Ms: 15, spread, samplesMs: [] });
  const place = { version: '', node: '', platform: '', processor: '', isa: '', threads: 2, load: 0.5 };
  const result = (batch: number, spread: number) => {
    const facts = { network: 'repvgg-a0', threads: 2, precision: 'float32', rounds: 5 } as const;
    return { ...facts, input: [batch, 3, 224, 224], times: [times(0.01), times(spread)] };
  };
  const warnings = (results: ReturnType<typeof result>[], load = 0.5) =>
    noiseWarnings(results, (one) => one.times, { ...place, load });

  it('is told of for each case, with spread and p95', () => {
    expect(warnings([result(1, 0.1), result(8, 0.09)])).toEqual([]);
    expect(warnings([result(1, 0.173)])).toEqual([
      'repvgg-a0: quartiles 17 % of the median apart, p95 1.5 times it: not a quiet machine',
    ]);
    expect(warnings([result(1, 0.02), result(8, 0.4)], 4)).toEqual([
      expect.stringMatching(
        /^repvgg-a0, batch 8, 2 threads: quartiles 40 % .*: not a quiet machine \(load 4 at the start\)$/,
      ),
    ]);
  });
});

/**
 * `repconv bench --compare`: that the other engine is found, that outputs are compared first, that the numbers agree
 * with each other.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Comparison } from '../../lib/cli/compare.js';
import { checkEqual } from '../../lib/cli/equality.js';
import type { NetworkResult } from '../../lib/cli/measure.js';
import { findPeer } from '../../lib/cli/peer.js';
import { quantile } from '../../lib/cli/turns.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { Tensor } from '../../lib/tensor/tensor.js';
import { hasOnnxRuntime } from '../onnx/onnxRuntime.js';
import { repconv, temporaryFolder } from './command.js';

const path = temporaryFolder();
const peers = new URL('../../bench/node_modules/', import.meta.url);
const little = ['mobileone-s0', '--resolution', '32', '--rounds', '2', '--threads', '1'];

describe.skipIf(!hasOnnxRuntime)('repconv bench --compare onnxruntime', () => {
  it('has a row for each case, with equal outputs and ratios that follow from the times', () => {
    const { code, stdout } = repconv([
      'bench',
      ...little,
      '--batch',
      '1,2',
      '--compare',
      'onnxruntime',
      '--layers',
      '--json',
    ]);
    expect(code).toBe(0);
    const { comparisons } = JSON.parse(stdout) as { comparisons: Comparison[] };
    expect(
      comparisons.map(({ network, input, threads, precision }) => [network, input[0], threads, precision]),
    ).toEqual([
      ['mobileone-s0', 1, 1, 'float32'],
      ['mobileone-s0', 2, 1, 'float32'],
    ]);
    const { version } = JSON.parse(readFileSync(new URL('onnxruntime-node/package.json', peers), 'utf8')) as {
      version: string;
    };
    for (const { peer, equality, rounds, ratio, ratios, ours, theirs, layers } of comparisons) {
      expect(peer).toEqual({ name: 'onnxruntime-node', version });
      expect(equality).toMatchObject({ limit: 2e-5, kind: 'largest' });
      // Two engines: rounding shows, and no more than rounding.
      expect(equality.difference).toBeGreaterThan(0);
      expect(equality.difference).toBeLessThanOrEqual(2e-5);
      expect(rounds).toBe(2);
      expect(ratio).toBe(quantile(ratios, 0.5));
      expect(ours.samplesMs).toHaveLength(theirs.samplesMs.length);
      const runs = ours.samplesMs.length / 2;
      const firstRound = [theirs, ours].map(({ samplesMs }) => quantile(samplesMs.slice(0, runs), 0.5));
      expect(ratios[0]).toBeCloseTo(firstRound[0] / firstRound[1], 9);
      expect(layers?.layers.reduce((sum, { shareOfTime }) => sum + shareOfTime, 0)).toBeCloseTo(1, 9);
      expect(layers?.layers.filter(({ operation }) => operation === 'conv2d')).toHaveLength(43);
    }
  });

  it('prints tables that fit into 80 columns', () => {
    const { code, stdout } = repconv(['bench', ...little, '--batch', '1,2', '--compare', 'onnxruntime', '--layers']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /\n {2}batch +threads +ours +p95 +spread +theirs +p95 +spread +ratio\n +1 +1 .*×\n +2 +1 .*×\n/,
    );
    expect(stdout.match(/\n {2}layer +algorithm +ms +of time +GFLOP\/s +of peak\n/g)).toHaveLength(2);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });
});

describe('repconv bench --precision', () => {
  it('passes on what compile has, and prints the coded refusal of what it has not', () => {
    const { code, stdout, stderr } = repconv([
      'bench',
      ...little,
      '--resolution',
      '64',
      '--precision',
      'bfloat16',
      '--json',
    ]);
    if (code === 0) {
      const { networks } = JSON.parse(stdout) as { networks: NetworkResult[] };
      expect(networks).toMatchObject([{ precision: 'bfloat16', equality: { merged: { limit: 2e-2, kind: 'rms' } } }]);
      // Against float32, from which it must differ, and no further than it may.
      expect(networks[0].equality.merged.difference).toBeGreaterThan(1e-4);
      expect(networks[0].equality.merged.difference).toBeLessThanOrEqual(2e-2);
    } else {
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^error: ERR_UNSUPPORTED session: precision bfloat16/);
    }
  });
});

describe('the check of equality', () => {
  const expected = randn([1, 1000], { generator: new Random(1) });
  const largest = Math.max(...expected.data.map(Math.abs));
  const apart = (by: (value: number) => number): Tensor => new Tensor('float32', expected.shape, expected.data.map(by));

  it.each([
    ['float32', 2e-5, (share: number) => apart((value) => value + share * 2e-5 * largest)],
    ['bfloat16x3', 5e-5, (share: number) => apart((value) => value * (1 + share * 5e-5))],
    ['bfloat16', 2e-2, (share: number) => apart((value) => value * (1 + share * 2e-2))],
  ] as const)('%s lets pass what is within %d, and nothing else', (precision, limit, output) => {
    expect(checkEqual('test', output(0.9), expected, precision)).toMatchObject({
      limit,
      difference: expect.closeTo(0.9 * limit, 6),
    });
    expect(() => checkEqual('test', output(1.1), expected, precision)).toThrow(
      /^test: outputs differ by .*; not measured$/,
    );
    const broken = apart((value) => value);
    broken.data[7] = Number.NaN;
    expect(() => checkEqual('test', broken, expected, precision)).toThrow('not measured');
  });
});

describe('a package that only an option needs', () => {
  const workingDirectory = process.cwd();
  afterEach(() => process.chdir(workingDirectory));

  it('is found from the working directory, with its version', () => {
    install('some-engine', "module.exports = 'loaded';");
    const peer = findPeer('some-engine', '--option');
    expect(peer.version).toBe('3.2.1');
    expect(peer.load()).toBe('loaded');
  });

  it('that is absent is named together with the command that installs it', () => {
    process.chdir(dirname(path('file')));
    expect(() => findPeer('no-such-engine', '--option')).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED',
        message: expect.stringMatching(
          /^bench: --option needs the package no-such-engine, .*: npm install no-such-engine --ignore-scripts$/,
        ),
      }),
    );
  });

  it('that does not load is an error of its own, with the reason', () => {
    install('broken-engine', "throw new Error('wrong ELF class');");
    const peer = findPeer('broken-engine', '--option');
    expect(() => peer.load()).toThrow(
      expect.objectContaining({
        code: 'ERR_NATIVE',
        message: expect.stringMatching(/broken-engine at .* wrong ELF class$/),
      }),
    );
  });

  /** Puts a package beside the working directory, which becomes one of its own. */
  function install(name: string, source: string): void {
    mkdirSync(path(`node_modules/${name}`), { recursive: true });
    writeFileSync(
      path(`node_modules/${name}/package.json`),
      JSON.stringify({ name, version: '3.2.1', main: 'index.js' }),
    );
    writeFileSync(path(`node_modules/${name}/index.js`), source);
    process.chdir(dirname(path('file')));
  }
});

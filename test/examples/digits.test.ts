/** The digits example, as `npm start` runs it: against the built package, in a process of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { loadStateDict, type StateDict, saveStateDict } from '../../lib/formats/stateDict.js';
import type { Tensor } from '../../lib/tensor/tensor.js';

const digits = (name: string): string => fileURLToPath(new URL(`../../examples/digits/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'repconv-digits-'));
afterAll(() => rmSync(folder, { recursive: true }));

function run(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [digits('run.mjs'), ...args], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

describe('the digits example', () => {
  it('classifies as PyTorch does, fuses every block, and classifies the same', () => {
    const { code, stdout, stderr } = run();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('500 of 500 right (100.0 %)');
    const differences = [...stdout.matchAll(/largest difference (\S+)/g)].map(([, text]) => Number(text));
    expect(differences).toHaveLength(2);
    for (const relative of differences) {
      // Another order of summing: something must differ in the last digits.
      expect(relative).toBeGreaterThan(0);
      expect(relative).toBeLessThanOrEqual(2e-5);
    }
    expect(stdout).toContain('the same 500 predictions');
  });

  it('prints one line for each block: branches, parameters, multiply-accumulates, certificate', () => {
    const blocks = [...run().stdout.matchAll(/^ {3}(\d) +(\S.*?\S) +(\d+ → \d+) +(\d+k → \d+k) +(\S+)$/gm)];
    expect(
      blocks.map(([, index, branches, parameters, macs]) => `${index}: ${branches}; ${parameters}; ${macs}`),
    ).toEqual([
      '0: 3×3 + 1×1 → 3×3; 256 → 160; 10k → 9k',
      '1: 3×3 + 1×1 + identity → 3×3; 2688 → 2320; 164k → 147k',
      '2: 3×3 + 1×1 → 3×3; 5312 → 4640; 82k → 74k',
      '3: 3×3 + 1×1 + identity → 3×3, 2 groups; 5376 → 4640; 82k → 74k',
      '4: 3×3 + 1×1 + identity → 3×3; 10496 → 9248; 164k → 147k',
      '5: 3×3 + 1×1 → 3×3; 20864 → 18496; 82k → 74k',
      '6: 3×3 + 1×1 + identity → 3×3; 41472 → 36928; 164k → 147k',
    ]);
    for (const [, , , , , certificate] of blocks) expect(Number(certificate)).toBeLessThan(1e-7);
  });

  it.each([
    [
      'other weights compute other logits',
      'features.4.conv3_3.conv.weight',
      1.5,
      /^digits: the logits differ from PyTorch's by \S+ of the largest; expected at most 0\.00002\n$/,
    ],
    [
      'a block that cannot be fused has no output to compare',
      'features.1.conv1_1.bn.running_var',
      Number.NaN,
      /^digits: the logits differ/,
    ],
  ])('ends with an error where %s', async (_, key, factor, message) => {
    const changed = join(folder, 'changed.safetensors');
    const dict: StateDict = await loadStateDict(digits('digits_train.safetensors'));
    const tensor = dict.get(key) as Tensor;
    tensor.data[0] *= factor;
    await saveStateDict(changed, dict);
    const { code, stderr } = run(changed);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it('ends with an error where the weights are not there', () => {
    expect(run(join(folder, 'nothing.safetensors'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^digits: .*nothing\.safetensors.*ENOENT/),
    });
  });
});

/** `repconv fuse` and `repconv inspect` on files of a published network. */
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadSafetensors, loadStateDict, type StateDict, saveStateDict } from '../../lib/formats/stateDict.js';
import { BatchNorm2d } from '../../lib/nn/layers/batchNorm2d.js';
import { metadataOf } from '../../lib/nn/models/architecture.js';
import { createMobileOne } from '../../lib/nn/models/mobileone.js';
import type { Module } from '../../lib/nn/module.js';
import { difference } from '../../lib/tensor/compare.js';
import { manualSeed, Random, randn } from '../../lib/tensor/random.js';
import { type Tensor, tensor } from '../../lib/tensor/tensor.js';
import { type Ended, repconv, repconvUntilOutput, temporaryFolder } from './command.js';

const path = temporaryFolder();
const [trained, described, fused] = ['trained', 'described', 'fused'].map((name) => path(`${name}.safetensors`));
const numClasses = 7;
const eps = 1e-3;
const images = randn([1, 3, 64, 64], { generator: new Random(3) });
let model: Module;

beforeAll(async () => {
  model = network();
  await saveStateDict(trained, model.stateDict());
  await saveStateDict(described, model.stateDict(), {
    metadata: { ...metadataOf({ name: 'mobileone-s0', eps, form: 'training' }), 'who trained it': 'nobody' },
  });
});

describe('repconv fuse', () => {
  let ended: Ended;
  beforeAll(() => {
    ended = repconv(['fuse', described, '-o', fused]);
  });

  it('prints a line for each block, and what was written', () => {
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain('mobileone-s0, training form (as its metadata says)');
    expect(ended.stdout.match(/^stage\d\S* +\S.* → .* \d\.\de-\d$/gm)).toHaveLength(43);
    expect(ended.stdout).toContain('3×3 dw ×4 + identity');
    expect(ended.stdout).toContain(`Written to ${fused}`);
  });

  it('fits into 80 columns and steers no terminal', () => {
    const table = ended.stdout.split('\n').filter((line) => line.startsWith('stage'));
    expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(ended.stdout).not.toContain('\u001b');
  });

  it('writes what loads strictly into the deployed form, which computes the same', async () => {
    const deployed = createMobileOne('mobileone-s0', { deploy: true, numClasses }).eval();
    expect(deployed.loadStateDict(await loadStateDict(fused))).toEqual({ missing: [], unexpected: [] });
    expect(difference(deployed.forward(images), model.forward(images)).relative).toBeLessThan(2e-5);
  });

  it('keeps the metadata, and states the form, the network and a checksum', async () => {
    const { metadata } = await loadSafetensors(fused);
    expect(Object.fromEntries(metadata)).toMatchObject({
      'repconv.model': 'mobileone-s0',
      'repconv.form': 'deployed',
      'who trained it': 'nobody',
    });
    expect(metadata.has('repconv.eps')).toBe(false);
    expect(metadata.has('repconv.sha256')).toBe(true);
  });

  it('does not replace a file unless told to, and then the input too', () => {
    const copy = path('copy.safetensors');
    copyFileSync(fused, copy);
    const refused = repconv(['fuse', fused, '-o', copy]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^error: .*copy\.safetensors is there already; --force/);
    const { code, stdout } = repconv(['fuse', copy, '-o', copy, '--force']);
    expect(code).toBe(0);
    expect(stdout).toContain('Nothing was left to fuse.');
    expect(readFileSync(copy)).toEqual(readFileSync(fused));
  });

  it('reads standard input in place of a file, and knows the network by other spellings of its name', async () => {
    const piped = path('piped.safetensors');
    const args = ['fuse', '-', '-o', piped, '--model', 'MobileOne_S0', '--eps', String(eps)];
    const { code, stdout } = repconv(args, {}, { input: readFileSync(trained) });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^standard input: mobileone-s0, training form \(as --model says\)\n/);
    expect([...(await loadStateDict(piped))]).toEqual([...(await loadStateDict(fused))]);
    expect(repconv(['fuse', described, '-o', piped, '--force', '--model', 'MOBILEONES0']).code).toBe(0);
  });

  it('asks which network it is where nothing says so', () => {
    const { code, stderr } = repconv(['fuse', trained, '-o', path('nothing.safetensors')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/does not say which network it holds; say it with --model/);
    expect(existsSync(path('nothing.safetensors'))).toBe(false);
  });

  it('does not believe options that the metadata contradicts', () => {
    const output = path('nothing.safetensors');
    expect(repconv(['fuse', described, '-o', output, '--model', 'repvgg-a0'])).toMatchObject({ code: 2 });
    expect(repconv(['fuse', described, '-o', output, '--eps', '1e-5'])).toMatchObject({ code: 2 });
    expect(existsSync(output)).toBe(false);
  });

  it('names the keys where the file holds another network', () => {
    const { code, stderr } = repconv(['fuse', trained, '-o', path('nothing.safetensors'), '--model', 'mobileone-s1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: ERR_STATE_DICT MobileOne: the state dict does not match\n {2}/);
  });

  it('says what rounding back to bfloat16 costs, and does without in the format it is told', async () => {
    const [half, output] = [path('bfloat16.safetensors'), path('of-bfloat16.safetensors')];
    const halved = network().to('bfloat16');
    await saveStateDict(half, halved.stateDict());
    const args = ['fuse', half, '-o', output, '--force', '--model', 'mobileone-s0', '--eps', String(eps)];
    const kept = repconv(args);
    expect(kept).toMatchObject({ code: 0, stderr: '' });
    expect(kept.stdout).toContain('Convolutions were rounded back to bfloat16; --dtype float32 avoids that.');
    const wide = repconv([...args, '--dtype', 'float32', '--json']);
    expect(wide).toMatchObject({ code: 0, stderr: '' });
    const report = JSON.parse(wide.stdout) as { difference: number; rounded?: unknown };
    expect(report.rounded).toBe(undefined);
    expect(report.difference).toBeLessThan(2e-5);
    const dict = await loadStateDict(output);
    expect(new Set([...dict.values()].map(({ dtype }) => dtype))).toEqual(new Set(['float32']));
    const deployed = createMobileOne('mobileone-s0', { deploy: true, numClasses }).eval();
    deployed.loadStateDict(dict);
    expect(difference(deployed.forward(images), halved.forward(images)).relative).toBeLessThan(2e-5);
    expect(repconv([...args, '--dtype', 'int8'])).toMatchObject({ code: 2, stdout: '' });
  });

  it('writes nothing when a block cannot be fused, and says which and why', async () => {
    const [broken, output] = [path('broken.safetensors'), path('nothing.safetensors')];
    const dict: StateDict = network().stateDict();
    (dict.get('stage2.3.rbr_conv.1.bn.running_var') as Tensor).data[5] = Number.NaN;
    await saveStateDict(broken, dict);
    const { code, stdout, stderr } = repconv(['fuse', broken, '-o', output, '--model', 'mobileone-s0', '--json']);
    expect(code).toBe(1);
    expect(stderr).toBe('error: 1 of 43 blocks cannot be fused; nothing was written\n');
    const text = repconv(['fuse', broken, '-o', output, '--model', 'mobileone-s0']).stdout;
    expect(text).toMatch(/^stage2\.3 +left: /m);
    expect(
      text
        .slice(text.indexOf('\n'))
        .split('\n')
        .filter((line) => line.length > 80),
    ).toEqual([]);
    const report = JSON.parse(stdout) as {
      fused: number;
      left: number;
      written: unknown;
      blocks: { path: string; reason?: { code: string } }[];
    };
    expect(report).toMatchObject({ fused: 42, left: 1, written: null });
    expect(report.blocks.find(({ reason }) => reason)).toMatchObject({
      path: 'stage2.3',
      reason: { code: 'NONFINITE' },
    });
    expect(existsSync(output)).toBe(false);
  });
});

describe('repconv inspect', () => {
  it('shows format, checksum, network and what can be fused', () => {
    const { code, stdout, stderr } = repconv(['inspect', described]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('sha256, verified');
    expect(stdout).toContain('mobileone-s0, training form, eps 0.001 (as its metadata says)');
    expect(stdout).toContain('who trained it = nobody');
    expect(stdout).toContain('43 of 43 blocks can be fused:');
    expect(stdout).not.toContain('\u001b');
  });

  it('colours on request, and NO_COLOR wins', () => {
    expect(repconv(['inspect', fused], { FORCE_COLOR: '1' }).stdout).toContain('\u001b[1m');
    expect(repconv(['inspect', fused], { FORCE_COLOR: '1', NO_COLOR: '1' }).stdout).not.toContain('\u001b');
  });

  it('lists tensors in the order in which people count, 3.2 before 3.10', () => {
    const numbersIn = (args: string[], shape: string): number[] =>
      [
        ...repconv(['inspect', fused, ...args]).stdout.matchAll(
          /^ {2}stage3\.(\d+)\.reparam_conv\.weight +\S+ +(.*)$/gm,
        ),
      ]
        .filter((row) => row[2].startsWith(shape))
        .map((row) => Number(row[1]));
    expect(numbersIn(['--all'], '[')).toEqual(Array.from({ length: 20 }, (_, i) => i));
    // The largest first, and of equal ones the first.
    expect(numbersIn([], '[256,256,1,1]')).toEqual([3, 5, 7, 9, 11, 13, 15, 17, 19]);
  });

  it('reads standard input in place of a file, to its end', () => {
    const input = readFileSync(described);
    const documents = ['-', described].map((file) =>
      JSON.parse(repconv(['inspect', file, '--json'], {}, { input }).stdout),
    );
    expect(documents[0]).toEqual({ ...documents[1], path: '-' });
    const cut = repconv(['inspect', '-'], {}, { input: input.subarray(0, 1000) });
    expect(cut).toMatchObject({ code: 1, stdout: '' });
    expect(cut.stderr).toMatch(/^error: ERR_TRUNCATED [^\n]*"standard input"[^\n]*\n$/);
  });

  it('prints one JSON document', () => {
    const { code, stdout } = repconv(['inspect', fused, '--json']);
    const document = JSON.parse(stdout) as {
      tensors: unknown[];
      fusing: { fusable: number; blocks: { status: string }[] };
    };
    expect(code).toBe(0);
    expect(document).toMatchObject({
      checksum: 'verified',
      network: { name: 'mobileone-s0', form: 'deployed' },
      fusing: { fusable: 0, left: 0 },
    });
    expect(document.tensors).toHaveLength(88);
    expect(document.fusing.blocks.every(({ status }) => status === 'already deployed')).toBe(true);
  });

  it('reads files of networks it does not know, and of others', () => {
    const { code, stdout } = repconv(['inspect', 'test/golden/safetensors/reference.safetensors', '--all']);
    expect(code).toBe(0);
    expect(stdout).toContain('not stated (--model names it)');
  });

  it('lets nothing in a file steer the terminal', async () => {
    const hostile = path('hostile.safetensors');
    await saveStateDict(hostile, [['\u001b[2J\u0007weight', tensor([1])]], {
      metadata: { '\u001b]0;title': 'line\nbreak\u009b31m' },
    });
    const [text, json] = [[], ['--json']].map((options) => repconv(['inspect', hostile, ...options]).stdout);
    expect(text).toContain('\\u001b[2J\\u0007weight');
    expect(JSON.parse(json)).toMatchObject({
      tensors: [{ name: '\u001b[2J\u0007weight' }],
      metadata: { '\u001b]0;title': 'line\nbreak\u009b31m' },
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    for (const printed of [text, json]) expect(printed).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  it('refuses metadata that names no network, or no number', async () => {
    const bad = path('bad.safetensors');
    for (const [metadata, code] of [
      [{ 'repconv.model': '../../etc/passwd' }, 'ERR_UNSUPPORTED'],
      [{ 'repconv.model': 'toString' }, 'ERR_UNSUPPORTED'],
      [{ 'repconv.model': 'repvgg-a0', 'repconv.eps': 'NaN' }, 'ERR_HEADER'],
      [{ 'repconv.model': 'repvgg-a0', 'repconv.eps': '-1' }, 'ERR_HEADER'],
      [{ 'repconv.model': 'repvgg-a0', 'repconv.form': 'melted' }, 'ERR_HEADER'],
    ] as const) {
      await saveStateDict(bad, [['weight', tensor([1])]], { metadata });
      const ended = repconv(['inspect', bad]);
      expect(ended).toMatchObject({ code: 1, stdout: '' });
      expect(ended.stderr).toMatch(new RegExp(`^error: ${code} `));
    }
  });

  it('notices damage', () => {
    const damaged = path('damaged.safetensors');
    const bytes = readFileSync(fused);
    bytes[bytes.length - 100] ^= 1;
    process.getBuiltinModule('node:fs').writeFileSync(damaged, bytes);
    const { code, stderr } = repconv(['inspect', damaged]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: ERR_CORRUPT .* the file is damaged\n$/);
  });

  it('ends quietly when its reader has seen enough', async () => {
    const ended = await repconvUntilOutput(['inspect', described, '--all'], (child) => child.stdout?.destroy());
    expect(ended).toMatchObject({ code: 0, stderr: '' });
  });
});

/** MobileOne-s0 with statistics as after training, and an eps that is not the published one. */
function network(): Module {
  manualSeed(11);
  const made = createMobileOne('mobileone-s0', { numClasses, eps });
  for (const [, module] of made.namedModules()) if (module instanceof BatchNorm2d) module.momentum = null;
  made.forward(randn([4, 3, 64, 64], { generator: new Random(5) }));
  return made.eval();
}

/** `repconv` on whole models: what it fuses, what it leaves, what it reports, and that an error changes nothing. */
import fs, {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import {
  type AnyTensor,
  BatchNorm2d,
  Conv2d,
  ConvBlock,
  convBn,
  createMobileOne,
  createRepVGG,
  loadSafetensors,
  loadStateDict,
  MobileOneBlock,
  Module,
  ModuleList,
  manualSeed,
  type Ops,
  Random,
  ReLU,
  ReparamBlock,
  RepVGGBlock,
  randn,
  referenceForward,
  repconv,
  Sequential,
  Tensor,
} from '../../lib/index.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import { expectRefusal, refusalOf } from '../formats/refusal.js';
import { settled, trained } from '../nn/trained.js';

manualSeed(7);
const folder = mkdtempSync(join(tmpdir(), 'repconv-test-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** A block of convolutions alone, one of which is a block itself: bn(3×3) + inner. */
class Outer extends ReparamBlock {
  private dense: Sequential | null;
  private inner: ReparamBlock | null;

  constructor(channels: number, inner: ReparamBlock) {
    super(channels, 'whole');
    this.dense = this.child('dense', convBn(channels, channels, 3, { padding: 1 }));
    this.inner = this.child('inner', inner);
  }

  protected override branches<X>(f: Ops<X>, x: X): X {
    return f.add((this.dense as Sequential).compute(f, x), (this.inner as ReparamBlock).compute(f, x));
  }

  protected override finish<X>(_: Ops<X>, x: X): X {
    return x;
  }

  protected override removeBranches(): void {
    for (const name of ['dense', 'inner']) this.removeChild(name);
    this.dense = this.inner = null;
  }
}

/** 1×1 and identity, nothing behind: affine as a whole, so it may be part of another block. */
class Linear1x1 extends ReparamBlock {
  private pointwise: Sequential | null;

  constructor(channels: number) {
    super(channels, 'merged');
    this.pointwise = this.child('pointwise', convBn(channels, channels, 1));
  }

  protected override branches<X>(f: Ops<X>, x: X): X {
    return f.add((this.pointwise as Sequential).compute(f, x), x);
  }

  protected override finish<X>(_: Ops<X>, x: X): X {
    return x;
  }

  protected override removeBranches(): void {
    this.removeChild('pointwise');
    this.pointwise = null;
  }
}

/** Blocks in a list, in a sequence inside a sequence, and one in two places. */
class Tree extends Module {
  readonly shared = new ConvBlock(4, 4, { paddingMode: 'reflect' });
  private readonly stem: ConvBlock;
  private readonly list: ModuleList;
  private readonly nested: Sequential;

  constructor() {
    super();
    this.stem = this.child('stem', new ConvBlock(3, 4, { stride: 2 }));
    this.list = this.child('list', new ModuleList([this.shared, new RepVGGBlock(4, 4, { groups: 2 }), this.shared]));
    this.nested = this.child(
      'nested',
      new Sequential(
        new Sequential({ block: new MobileOneBlock(4, 6, 3, { padding: 1, stride: 2, branches: 2 }) }),
        new ReLU(),
        convBn(6, 2, 1),
      ),
    );
  }

  override compute<X>(f: Ops<X>, x: X): X {
    let y = this.stem.compute(f, x);
    for (const block of this.list) y = block.compute(f, y);
    return this.nested.compute(f, y);
  }
}

const snapshot = (model: Module): [string, AnyTensor][] =>
  [...model.stateDict()].map(([key, value]) => [key, value.clone()]);

function expectUntouched(model: Module, before: readonly (readonly [string, AnyTensor])[], text: string): void {
  expect(String(model)).toBe(text);
  expect([...model.stateDict().keys()]).toEqual(before.map(([key]) => key));
  for (const [key, value] of before) expect(isIdentical(model.stateDict().get(key)!, value), key).toBe(true);
}

/** Sets one number of a tensor. */
function poke(model: Module, key: string, index: number, value: number): void {
  (model.stateDict().get(key)!.data as Float32Array)[index] = value;
}

describe('on any tree, repconv', () => {
  it('fuses every block once, wherever it is, and computes the same', () => {
    const model = trained(new Tree());
    const x = randn([2, 3, 13, 10]);
    const before = model.forward(x);
    const { model: fused, report } = repconv(model);
    expect(report.blocks.map(({ path, type, status }) => [path, type, status])).toEqual([
      ['stem', 'ConvBlock', 'fused'],
      ['list.0', 'ConvBlock', 'fused'],
      ['list.1', 'RepVGGBlock', 'fused'],
      ['nested.0.block', 'MobileOneBlock', 'fused'],
    ]);
    expect([report.fused, report.left]).toEqual([4, 0]);
    expect([...fused.stateDict().keys()].filter((key) => key.endsWith('weight'))).toEqual([
      'stem.rbr_reparam.weight',
      'list.0.rbr_reparam.weight',
      'list.1.rbr_reparam.weight',
      'list.2.rbr_reparam.weight',
      'nested.0.block.reparam_conv.weight',
      'nested.2.conv.weight',
      'nested.2.bn.weight',
    ]);
    expect(difference(fused.forward(x), before).relative).toBeLessThan(2e-6);
    // What was shared still is.
    expect(fused.stateDict().get('list.0.rbr_reparam.weight')).toBe(fused.stateDict().get('list.2.rbr_reparam.weight'));
  });

  it('says what the branches were, what they became, and how many numbers and multiply-accumulates that saves', () => {
    const model = trained(
      new Sequential(new ConvBlock(4, 4, { groups: 2 }), new MobileOneBlock(4, 6, 1, { branches: 2 })),
    );
    const { blocks } = repconv(model, { inputs: { images: [1, 4, 7, 5] } }).report;
    expect(blocks.map(({ branches, into, parameters, macs }) => ({ branches, into, parameters, macs }))).toEqual([
      {
        branches: '3×3 in 2 groups + 1×1 in 2 groups + identity',
        into: '3×3 in 2 groups',
        parameters: { before: 72 + 4 + 8 + (8 + 4) + 8 + 8, after: 72 + 4 },
        macs: { before: 35 * (72 + 8), after: 35 * 72 },
      },
      {
        branches: '1×1 + 1×1',
        into: '1×1',
        parameters: { before: 2 * (24 + 12), after: 24 + 6 },
        macs: { before: 35 * 48, after: 35 * 24 },
      },
    ]);
  });

  it('fuses a block with the blocks inside it as one', () => {
    const model = trained(new Sequential(new Outer(3, new Linear1x1(3)), new ReLU()));
    const [x, before] = [randn([1, 3, 5, 6]), String(model)];
    const expected = referenceForward(model, x);
    for (const copy of [true, false]) {
      const { model: fused, report } = repconv(copy ? model : model.copy(), { copy });
      expect(report.blocks.map(({ path, status, branches, into }) => [path, status, branches, into])).toEqual([
        ['0', 'fused', '3×3 + 1×1 + identity', '3×3'],
      ]);
      expect([...fused.stateDict().keys()]).toEqual(['0.whole.weight', '0.whole.bias']);
      expect(difference(referenceForward(fused, x), expected).relative).toBeLessThan(2e-7);
    }
    expect(String(model)).toBe(before);
  });

  it('fuses the blocks inside a block that cannot be fused itself', () => {
    const model = trained(new Outer(3, new ConvBlock(3, 3)));
    const { model: fused, report } = repconv(model);
    expect(report.blocks.map(({ path, status, reason }) => [path, status, reason?.code])).toEqual([
      ['', 'left', 'NONLINEAR'],
      ['inner', 'fused', undefined],
    ]);
    expect(fused.deploy).toBe(false);
    const x = randn([1, 3, 6, 5]);
    expect(difference(fused.forward(x), model.forward(x)).relative).toBeLessThan(2e-6);
  });

  it('fuses a block that is both inside another and beside it', () => {
    const inner = new Linear1x1(3);
    const model = trained(new Sequential(new Outer(3, inner), inner));
    const { model: fused, report } = repconv(model, { copy: false });
    expect(report.blocks.map(({ path, status }) => [path, status])).toEqual([
      ['0', 'fused'],
      ['1', 'fused'],
    ]);
    expect([...fused.stateDict().keys()]).toEqual([
      '0.whole.weight',
      '0.whole.bias',
      '1.merged.weight',
      '1.merged.bias',
    ]);
  });

  it('has nothing to do on a model without blocks', () => {
    const { model, report } = repconv(trained(convBn(3, 4, 3)));
    expect([...model.stateDict().keys()]).toContain('bn.running_mean');
    expect(report).toMatchObject({ blocks: [], fused: 0, left: 0 });
  });

  it('run again finds nothing to do, and changes no bit', () => {
    const once = repconv(trained(new Tree())).model;
    for (const copy of [true, false]) {
      const before = snapshot(once);
      const { model: twice, report } = repconv(once, { copy });
      expect(report).toMatchObject({ fused: 0, left: 0, switchedToEval: false });
      expect(new Set(report.blocks.map(({ status }) => status))).toEqual(new Set(['already deployed']));
      expectUntouched(twice, before, String(once));
    }
  });
});

describe('with copy: true, the default, repconv', () => {
  it('leaves the model as it is, in training mode too, and says that its copy was put into evaluation mode', () => {
    const model = trained(new Tree()).train();
    const before = snapshot(model);
    const text = String(model);
    const { model: fused, report } = repconv(model);
    expect(report.switchedToEval).toBe(true);
    expect([...fused.namedModules()].every(([, { training }]) => !training)).toBe(true);
    expect([...model.namedModules()].every(([, { training }]) => training)).toBe(true);
    expectUntouched(model, before, text);
    for (const [, { data }] of fused.namedTensors()) if (data instanceof Float32Array) data.fill(0);
    expectUntouched(model, before, text);
  });
});

describe('with copy: false, repconv', () => {
  it('fuses the model itself, and returns it', () => {
    const model = trained(new Tree());
    const x = randn([1, 3, 9, 9]);
    const before = model.forward(x);
    const result = repconv(model, { copy: false });
    expect(result.model).toBe(model);
    expect(result.report).toMatchObject({ fused: 4, switchedToEval: false });
    expect(String(model)).toContain('(rbr_reparam)');
    expect(difference(model.forward(x), before).relative).toBeLessThan(2e-6);
    expect(isIdentical(repconv(trained(new Tree())).model.forward(x), model.forward(x))).toBe(true);
  });

  it('keeps the tensors outside the blocks: who holds them still holds those of the model', () => {
    const model = trained(new Tree());
    const weight = model.stateDict().get('nested.2.conv.weight');
    repconv(model, { copy: false });
    expect(model.stateDict().get('nested.2.conv.weight')).toBe(weight);
  });

  it('refuses a block in training mode before anything changes, though others come first', () => {
    const model = trained(new Tree());
    const norm = [...model.namedModules()].find(([path]) => path === 'nested.0.block.rbr_scale.bn')?.[1] as BatchNorm2d;
    norm.training = true;
    const before = snapshot(model);
    const text = String(model);
    const refusal = refusalOf(() => repconv(model, { copy: false, savePath: join(folder, 'training.safetensors') }));
    expectRefusal(refusal, 'ERR_TRAIN_MODE', 'nested.0.block is in training mode', 'call eval() first');
    expectUntouched(model, before, text);
    expect(existsSync(join(folder, 'training.safetensors'))).toBe(false);
  });

  it('takes a deployed block in training mode as it is: nothing in it depends on the mode', () => {
    const model = repconv(trained(new Tree())).model.train();
    expect(repconv(model, { copy: false }).report.fused).toBe(0);
  });

  it('leaves the model as it is when inputs to count with do not fit it', () => {
    const model = trained(new Tree());
    const before = snapshot(model);
    const text = String(model);
    expectRefusal(
      refusalOf(() => repconv(model, { copy: false, inputs: { images: [1, 5, 9, 9] } })),
      'ERR_SHAPE',
      'conv2d',
    );
    expectUntouched(model, before, text);
  });
});

describe('a block that cannot be fused', () => {
  it.each([
    ['a NaN in a kernel', 'list.1.rbr_dense.conv.weight', Number.NaN, 'NONFINITE'],
    ['a NaN in a variance', 'list.1.rbr_1x1.bn.running_var', Number.NaN, 'NONFINITE'],
    ['an infinite mean', 'list.1.rbr_identity.running_mean', Infinity, 'NONFINITE'],
    ['a negative variance', 'list.1.rbr_identity.running_var', -1e-3, 'NEGATIVE_VARIANCE'],
    [
      'a variance so little below zero that eps hides it',
      'list.1.rbr_identity.running_var',
      -1e-7,
      'NEGATIVE_VARIANCE',
    ],
  ])('is left alone with its reason: %s', (_, key, value, code) => {
    const model = trained(new Tree());
    poke(model, key, 1, value);
    for (const copy of [true, false]) {
      const target = copy ? model : model.copy();
      const before = snapshot(target).filter(([name]) => name.startsWith('list.1.'));
      const { model: fused, report } = repconv(target, { copy });
      expect(report).toMatchObject({ fused: 3, left: 1 });
      const left = report.blocks.find(({ status }) => status === 'left');
      expect(left).toMatchObject({ path: 'list.1', type: 'RepVGGBlock', reason: { code } });
      for (const [name, tensor] of before) expect(isIdentical(fused.stateDict().get(name)!, tensor), name).toBe(true);
    }
  });

  it('is left alone without running statistics, which evaluation would need', () => {
    const model = trained(new Sequential(new Outer(3, new Linear1x1(3)), new ConvBlock(3, 3)));
    // A batch norm that tracks nothing, in place of the one inside.
    const inner = new Map(new Map(model.namedChildren()).get('0')!.namedChildren()).get('dense') as Sequential;
    (inner as unknown as { child(name: string, module: Module): void }).child(
      'bn',
      new BatchNorm2d(3, { trackRunningStats: false }).eval(),
    );
    const { report } = repconv(model);
    expect(report.blocks.map(({ path, status, reason }) => [path, status, reason?.code])).toEqual([
      ['0', 'left', 'NO_RUNNING_STATISTICS'],
      ['0.inner', 'fused', undefined],
      ['1', 'fused', undefined],
    ]);
  });

  it('is left alone where its one convolution overflows the format of the weights', () => {
    const model = trained(new ConvBlock(2, 2));
    model
      .stateDict()
      .get('conv3_3.bn.running_var')!
      .data.fill(0 as never);
    poke(model, 'conv3_3.bn.weight', 0, 3e4);
    const half = model.copy().to('float16');
    expect(repconv(model).report.fused).toBe(1);
    const { report } = repconv(half);
    expect(report.blocks[0]).toMatchObject({ status: 'left', reason: { code: 'NOT_EQUAL' } });
    expect(half.deploy).toBe(false);
  });
});

describe('what is fused', () => {
  it('draws no random numbers: what follows a seed is the same with and without it', () => {
    const model = trained(new Tree());
    manualSeed(5);
    const expected = new Conv2d(2, 2, 3);
    manualSeed(5);
    repconv(model);
    expect(isIdentical(new Conv2d(2, 2, 3).weight, expected.weight)).toBe(true);
  });

  it('has weights in the format of the branches', () => {
    for (const dtype of ['float64', 'float32', 'float16', 'bfloat16'] as const) {
      const { model, report } = repconv(trained(new ConvBlock(3, 3)).to(dtype));
      expect([...model.stateDict().values()].map((value) => value.dtype)).toEqual([dtype, dtype]);
      expect(report.blocks[0].certificate?.complete).toBe(true);
    }
  });

  it.each([
    ['float16', 2 ** -11],
    ['bfloat16', 2 ** -8],
  ] as const)('in %s says what rounding back to it cost, and how it can be had without', (dtype, unit) => {
    const model = trained(new Sequential(new ConvBlock(3, 3), new RepVGGBlock(3, 3))).to(dtype);
    const { blocks, rounded } = repconv(model).report;
    expect(blocks.map((block) => block.dtype)).toEqual([dtype, dtype]);
    expect(rounded).toEqual({
      dtype,
      relative: Math.max(...blocks.map(({ certificate }) => certificate!.relative)),
      remedy: "dtype: 'float32' keeps the convolutions as they were computed",
    });
    expect(rounded!.relative).toBeGreaterThan(unit / 16);
    for (const wider of ['float32', 'float64'] as const) {
      const { model: exact, report } = repconv(model, { dtype: wider });
      expect('rounded' in report).toBe(false);
      expect(report.blocks[0].certificate!.relative).toBeLessThan(wider === 'float32' ? 2 ** -21 : 2 ** -49);
      expect(new Set([...exact.stateDict().values()].map((value) => value.dtype))).toEqual(new Set([wider]));
    }
    expect(repconv(model.copy().to('float32')).report.rounded).toBe(undefined);
  });

  it.each([true, false])('has the format that dtype says, as a whole, with copy: %s', async (copy) => {
    const model = trained(new Sequential(new ConvBlock(3, 4), convBn(4, 2, 1))).to('bfloat16');
    const x = randn([1, 3, 6, 5]);
    const expected = referenceForward(model, x);
    const savePath = join(folder, 'float32.safetensors');
    const { model: fused } = repconv(model, { copy, dtype: 'float32', savePath });
    expect(fused === model).toBe(!copy);
    const formats = [...fused.stateDict().values()].map(({ dtype }) => dtype);
    expect(new Set(formats)).toEqual(new Set(['float32', 'int64']));
    expect(difference(referenceForward(fused, x), expected).relative).toBeLessThan(2e-6);
    for (const [key, value] of await loadStateDict(savePath))
      expect(isIdentical(value, fused.stateDict().get(key)!), key).toBe(true);
  });

  it('is refused in a format that a number outside the blocks is too large for, and nothing changes', () => {
    const model = trained(new Sequential(new ConvBlock(2, 2), convBn(2, 2, 1)));
    poke(model, '1.bn.running_mean', 1, 7e4);
    const before = snapshot(model);
    const text = String(model);
    for (const copy of [true, false])
      expectRefusal(
        refusalOf(() => repconv(model, { copy, dtype: 'float16' })),
        'ERR_UNSUPPORTED',
        'repconv: 1.bn.running_mean has 70000, which is too large for float16',
      );
    expectUntouched(model, before, text);
  });

  it.each([
    ['repvgg-a0', () => createRepVGG('repvgg-a0', { numClasses: 10 })],
    ['mobileone-s0', () => createMobileOne('mobileone-s0', { numClasses: 10 })],
  ] as const)('%s computes the same within 2e-5, with statistics from data', (_, create) => {
    const model = settled<Module>(create(), [2, 3, 64, 64], 3, 2);
    const x = randn([1, 3, 72, 56], { generator: new Random(11) });
    const before = model.forward(x);
    const { model: fused, report } = repconv(model, { certificateBudget: 1e6 });
    expect(report.left).toBe(0);
    expect(difference(fused.forward(x), before).relative).toBeLessThan(2e-5);
    for (const { certificate, path } of report.blocks) expect(certificate?.relative, path).toBeLessThan(2 ** -22);
  });
});

describe('savePath', () => {
  const save = (name: string): string => join(folder, name);

  it('saves what was fused, so that a model made with deploy: true loads it strictly', async () => {
    const model = trained(new Sequential(new ConvBlock(3, 4, { stride: 2, groups: 1 }), new RepVGGBlock(4, 4)));
    const path = save('fused.safetensors');
    const { model: fused, report } = repconv(model, { savePath: path });
    expect(report.savedTo).toBe(path);
    const fresh = new Sequential(
      new ConvBlock(3, 4, { stride: 2, deploy: true }),
      new RepVGGBlock(4, 4, { deploy: true }),
    ).eval();
    fresh.loadStateDict(await loadStateDict(path));
    const x = randn([1, 3, 9, 7]);
    expect(isIdentical(fresh.forward(x), fused.forward(x))).toBe(true);
    expect([...(await loadSafetensors(path)).metadata.keys()]).toContain('repconv.checksum');
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('is absent from the report where nothing was saved', () => {
    expect('savedTo' in repconv(trained(new ConvBlock(2, 2))).report).toBe(false);
  });

  mkdirSync(join(folder, 'a folder.safetensors'));
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'nowhere.safetensors'), join(folder, 'dangling.safetensors'));

  it.each([
    ['another extension', 'model.pth', 'ERR_PATH', 'state dicts are .safetensors files'],
    ['a folder that is not there', 'missing/model.safetensors', 'ERR_IO', 'ENOENT'],
    ['a folder that is a file', 'file/model.safetensors', 'ERR_IO', 'ENOTDIR'],
    ['a file that is a folder', 'a folder.safetensors', 'ERR_PATH', 'got a directory'],
    ['a link to nothing', 'dangling.safetensors', 'ERR_IO', 'ENOENT'],
    ['a path that none can be', 'model\0.safetensors', 'ERR_PATH', 'characters that no path can have'],
    ['something that is no text', 3, 'ERR_INPUT', 'path expects text'],
  ] as const)('refuses %s before anything is fused', (_, name, code, words) => {
    const model = trained(new Tree());
    const fold = vi.spyOn(ReparamBlock.prototype, 'fold');
    const before = snapshot(model);
    const text = String(model);
    for (const copy of [true, false]) {
      const savePath = typeof name === 'string' ? save(name) : (name as unknown as string);
      expectRefusal(
        refusalOf(() => repconv(model, { copy, savePath })),
        code,
        'repconv:',
        words,
      );
      expectUntouched(model, before, text);
    }
    expect(fold).not.toHaveBeenCalled();
  });

  it.each(['writeSync', 'fsyncSync', 'renameSync'] as const)(
    'leaves model and file as they were when saving fails at %s',
    (name) => {
      const [model, path] = [trained(new Tree()), save('kept.safetensors')];
      writeFileSync(path, 'what was there');
      const before = snapshot(model);
      const text = String(model);
      vi.spyOn(fs, name).mockImplementation(() => {
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      });
      expectRefusal(
        refusalOf(() => repconv(model, { copy: false, savePath: path })),
        'ERR_IO',
        'ENOSPC',
      );
      vi.restoreAllMocks();
      expectUntouched(model, before, text);
      expect(readFileSync(path, 'utf8')).toBe('what was there');
      expect(repconv(model, { copy: false, savePath: path }).report.savedTo).toBe(path);
    },
  );
});

it.each([
  [{ inputs: { x: ['N', 3, 'H', 'W'] } }, 'inputs expects numbers, such as { x: [1, 3, 224, 224] }'],
  [{ inputs: { x: ['N', 3, 13, 10] } }, 'inputs expects numbers, such as { x: [1, 3, 224, 224] }'],
  [{ inputs: {} }, 'inputs expects at least one input'],
  [{ dtype: 'int8' }, 'dtype expects one of float64, float32, float16, bfloat16'],
  [{ dtype: 3 }, 'dtype expects one of float64'],
  [{ copy: 'no' }, 'copy expects true or false'],
  [{ certificateBudget: Number.NaN }, 'certificateBudget expects a number of at least 0'],
  [{ certificateBudget: -1 }, 'certificateBudget expects a number of at least 0'],
  [{ savepath: 'model.safetensors' }, 'did you mean savePath?'],
  [null, 'options expects a plain object'],
])('refuses %o', (options, words) => {
  expectRefusal(
    refusalOf(() => repconv(new ConvBlock(3, 3), options as never)),
    'ERR_INPUT',
    'repconv: ',
    words,
  );
});

it('counts behind an unpadded convolution, for the size it is told', () => {
  const model = trained(new Sequential(new Conv2d(3, 4, 3), new ConvBlock(4, 4)));
  const { blocks } = repconv(model, { inputs: { x: [2, 3, 34, 18] } }).report;
  expect(blocks[0].macs).toEqual({ before: 2 * 32 * 16 * (144 + 16), after: 2 * 32 * 16 * 144 });
});

it('refuses what is no module', () => {
  for (const model of [undefined, null, {}, 'model.safetensors', new Tensor('float32', [1])])
    expectRefusal(
      refusalOf(() => repconv(model as unknown as Module)),
      'ERR_INPUT',
      'repconv: expects a Module, got',
    );
});

it('works on a single convolution in a block of a model written by a user', () => {
  class OneConv extends ReparamBlock {
    private conv: Conv2d | null = this.child('conv', new Conv2d(2, 2, 3));

    protected override branches<X>(f: Ops<X>, x: X): X {
      return (this.conv as Conv2d).compute(f, x);
    }

    protected override finish<X>(f: Ops<X>, x: X): X {
      return f.relu(x);
    }

    protected override removeBranches(): void {
      this.removeChild('conv');
      this.conv = null;
    }
  }
  const model = trained(new OneConv(2, 'reparam'));
  const x = randn([1, 2, 5, 4]);
  expect(isIdentical(repconv(model).model.forward(x), model.forward(x))).toBe(true);
});

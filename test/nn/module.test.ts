/** The module tree: names, loading, copying, modes; and what it owes its users when given something wrong. */
import { describe, expect, it } from 'vitest';
import {
  type AnyTensor,
  BatchNorm2d,
  Conv2d,
  ConvBlock,
  Linear,
  MobileOneBlock,
  Module,
  type Ops,
  ones,
  PReLU,
  ReLU,
  RepVGGBlock,
  randn,
  Sequential,
  Tensor,
  tensor,
  zeros,
} from '../../lib/index.js';
import { treeCopy } from '../../lib/nn/module.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { expectRefusal, refusalOf } from '../formats/refusal.js';
import { trained } from './trained.js';

/** Keys and bits of a module. */
const snapshot = (module: Module): [string, AnyTensor][] =>
  [...module.stateDict()].map(([key, value]) => [key, value.clone()]);

function expectUnchanged(module: Module, before: readonly (readonly [string, AnyTensor])[]): void {
  expect([...module.stateDict().keys()]).toEqual(before.map(([key]) => key));
  for (const [key, value] of before) expect(isIdentical(module.stateDict().get(key)!, value), key).toBe(true);
}

/** One module under two names, and a value kept beside the tree in every kind of container. */
class Shared extends Module {
  readonly twice = new Conv2d(3, 3, 3, { padding: 1 });
  readonly inObject: { readonly norm: BatchNorm2d };
  readonly inSet: ReadonlySet<Module>;
  readonly inFrozenList: readonly Module[];

  constructor() {
    super();
    this.child('first', this.twice);
    this.child('second', this.twice);
    this.inObject = { norm: this.child('norm', new BatchNorm2d(3)) };
    this.inSet = new Set([this.child('relu', new ReLU())]);
    this.inFrozenList = Object.freeze([this.child('last', new Conv2d(3, 2, 1))]);
  }

  override compute<X>(f: Ops<X>, x: X): X {
    let y = this.twice.compute(f, this.twice.compute(f, x));
    y = this.inObject.norm.compute(f, y);
    for (const module of [...this.inSet, ...this.inFrozenList]) y = module.compute(f, y);
    return y;
  }
}

describe('the tree', () => {
  it('names a module that occurs twice twice in the state dict, and once among modules and parameters', () => {
    const model = new Shared();
    const own = ['norm.weight', 'norm.bias', 'norm.running_mean', 'norm.running_var', 'norm.num_batches_tracked'];
    const keys = ['first.weight', 'first.bias', 'second.weight', 'second.bias', ...own, 'last.weight', 'last.bias'];
    expect([...model.stateDict().keys()]).toEqual(keys);
    expect([...model.namedParameters()].map(([key]) => key)).toEqual([
      ...['first.weight', 'first.bias', 'norm.weight', 'norm.bias', 'last.weight', 'last.bias'],
    ]);
    expect([...model.namedBuffers()].map(([key]) => key)).toEqual(own.slice(2));
    expect([...model.namedModules()].map(([path]) => path)).toEqual(['', 'first', 'norm', 'relu', 'last']);
    expect(model.parameterCount()).toBe(81 + 3 + 6 + 6 + 2);
  });

  it('hands out its own tensors: writing into the state dict changes what is computed', () => {
    const linear = new Linear(2, 1, { bias: false });
    linear
      .stateDict()
      .get('weight')!
      .data.set([3, -1] as never);
    expect(linear.forward(tensor([[2, 5]])).toArray()).toEqual([[1]]);
  });

  it('switches the mode of everything below', () => {
    const model = new Shared();
    expect([...model.eval().namedModules()].every(([, { training }]) => !training)).toBe(true);
    expect([...model.train().namedModules()].every(([, { training }]) => training)).toBe(true);
  });

  it('refuses a name that no key can hold, and a child that is no module', () => {
    expectRefusal(
      refusalOf(() => new Sequential({ 'a.b': new ReLU() })),
      'ERR_INPUT',
      'Sequential',
      'without a dot',
      'a.b',
    );
    expectRefusal(
      refusalOf(() => new Sequential({ '': new ReLU() })),
      'ERR_INPUT',
      'Sequential',
    );
    expectRefusal(
      refusalOf(() => new Sequential({ a: (() => 1) as never })),
      'ERR_INPUT',
      'child a expects a Module',
    );
  });

  it('refuses training batch norms one value per channel, which has no variance', () => {
    expectRefusal(
      refusalOf(() => new BatchNorm2d(3).forward(ones([1, 3, 1, 1]))),
      'ERR_SHAPE',
      'more than one value per channel',
    );
  });
});

describe('loading strictly', () => {
  const fresh = (): Sequential => new Sequential({ conv: new Conv2d(2, 3, 3), bn: new BatchNorm2d(3) });

  it('names everything missing, unexpected and misshapen in one message, and changes nothing', () => {
    const model = trained(fresh());
    const before = snapshot(model);
    const dict = new Map<string, AnyTensor>(trained(fresh(), 2).stateDict());
    dict.delete('conv.bias');
    dict.delete('bn.running_mean');
    dict.set('bn.weight', ones([4]));
    dict.set('bn.bias', ones([3, 1]));
    dict.set('module.extra', ones([1]));
    const refusal = refusalOfLines(() => model.loadStateDict(dict));
    expect(refusal).toEqual([
      'Sequential: the state dict does not match',
      'missing: conv.bias, bn.running_mean',
      'unexpected: module.extra',
      'misshapen: bn.weight expects [3], got [4]; bn.bias expects [3], got [3,1]',
    ]);
    expectUnchanged(model, before);
  });

  it('says the form a block is in when the other form is loaded', () => {
    const [block, deployed] = [new ConvBlock(2, 2), new ConvBlock(2, 2, { deploy: true })];
    const [, missing, unexpected] = refusalOfLines(() => block.loadStateDict(deployed.stateDict()));
    expect(missing).toContain('conv3_3.conv.weight');
    expect(unexpected).toBe('unexpected: rbr_reparam.weight, rbr_reparam.bias');
    expect(refusalOfLines(() => deployed.loadStateDict(block.stateDict()))[1]).toBe(
      'missing: rbr_reparam.weight, rbr_reparam.bias',
    );
  });

  it('shortens long lists, and says how many there are', () => {
    const extra = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`key${i}`, ones([1])]));
    const refusal = refusalOfLines(() => new ReLU().loadStateDict(extra));
    expect(refusal[1]).toMatch(/^unexpected: key0, .* key19, … \(1000 in all\)$/);
    const misshapen = new Sequential(...Array.from({ length: 30 }, () => new PReLU()));
    const wrong = new Map([...misshapen.stateDict().keys()].map((key) => [key, ones([2])]));
    expect(refusalOfLines(() => misshapen.loadStateDict(wrong))[1]).toMatch(
      /^misshapen: 0\.weight expects \[1\], got \[2\].*30 in all/,
    );
  });

  it('does without num_batches_tracked, which older files and many tools leave out', () => {
    const model = fresh();
    const dict = new Map(trained(fresh()).stateDict());
    dict.delete('bn.num_batches_tracked');
    expect(model.loadStateDict(dict)).toEqual({ missing: [], unexpected: [] });
  });

  it('takes a record as well as a map, converts number formats, and keeps its own tensors', () => {
    const linear = new Linear(2, 1);
    const weight = linear.weight;
    linear.loadStateDict({
      weight: tensor([[1.5, 2]], undefined, 'float16'),
      bias: tensor([0.1], undefined, 'float64'),
    });
    expect(linear.weight).toBe(weight);
    expect([linear.weight.toArray(), linear.bias?.toArray()]).toEqual([[[1.5, 2]], [Math.fround(0.1)]]);
  });

  it('copies: the dictionary may be used for something else afterwards', () => {
    const [linear, weight] = [new Linear(1, 1, { bias: false }), ones([1, 1])];
    linear.loadStateDict({ weight });
    weight.data[0] = 7;
    expect(linear.weight.toArray()).toEqual([[1]]);
  });

  it('changes nothing when one tensor cannot be converted', () => {
    const model = trained(fresh());
    const before = snapshot(model);
    const dict = new Map<string, AnyTensor>(trained(fresh(), 2).stateDict());
    dict.set('bn.bias', new Tensor('float8_e4m3fn' as 'uint8', [3]));
    expectRefusal(
      refusalOf(() => model.loadStateDict(dict)),
      'ERR_UNSUPPORTED',
      'float8_e4m3fn',
    );
    expectUnchanged(model, before);
  });

  it('refuses what is no dictionary of tensors', () => {
    for (const dict of [null, undefined, 'weights.safetensors', 3])
      expectRefusal(
        refusalOf(() => new ReLU().loadStateDict(dict as never)),
        'ERR_INPUT',
        'ReLU.loadStateDict',
        'expects a Map or a record',
      );
    const refusal = refusalOfLines(() => new Linear(1, 1, { bias: false }).loadStateDict({ weight: [[1]] as never }));
    expect(refusal[1]).toBe('misshapen: weight expects [1,1], got object');
  });
});

describe('loading with strict: false', () => {
  it('loads what matches, and reports the rest', () => {
    const linear = new Linear(1, 1);
    const bias = linear.bias?.clone() as AnyTensor;
    expect(linear.loadStateDict({ weight: tensor([[4]]), scale: ones([1]) }, { strict: false })).toEqual({
      missing: ['bias'],
      unexpected: ['scale'],
    });
    expect(linear.weight.toArray()).toEqual([[4]]);
    expect(isIdentical(linear.bias as AnyTensor, bias)).toBe(true);
  });

  it('still refuses what is misshapen, and changes nothing', () => {
    const linear = trained(new Linear(2, 1));
    const before = snapshot(linear);
    const dict = { weight: zeros([1, 2]), bias: ones([2]), scale: ones([1]) };
    const refusal = refusalOfLines(() => linear.loadStateDict(dict, { strict: false }));
    expect(refusal).toEqual(['Linear: the state dict does not match', 'misshapen: bias expects [1], got [2]']);
    expectUnchanged(linear, before);
  });
});

describe('a copy', () => {
  it('shares nothing with the original', () => {
    const model = trained(new Shared());
    const [x, copy] = [randn([1, 3, 5, 4]), model.copy()];
    const before = model.forward(x);
    expect(isIdentical(copy.forward(x), before)).toBe(true);
    expect(copy).toBeInstanceOf(Shared);
    for (const [, { dtype, data }] of copy.namedTensors()) data.fill((dtype === 'int64' ? 2n : 2) as never);
    for (const [, module] of copy.namedModules()) module.train();
    expect(isIdentical(model.forward(x), before)).toBe(true);
    expect(isIdentical(copy.forward(x), before)).toBe(false);
  });

  it('shares among its own parts what the original shares', () => {
    const copy = new Shared().copy();
    const children = new Map(copy.namedChildren());
    expect(children.get('first')).toBe(children.get('second'));
    expect(children.get('first')).toBe(copy.twice);
    expect(children.get('norm')).toBe(copy.inObject.norm);
    expect([...copy.inSet]).toEqual([children.get('relu')]);
    expect(copy.inFrozenList[0]).toBe(children.get('last'));
    expect(Object.isFrozen(copy.inFrozenList)).toBe(true);
    const dict = copy.stateDict();
    expect(dict.get('first.weight')).toBe(dict.get('second.weight'));
    dict.get('first.weight')!.data.fill(0 as never);
    expect(dict.get('second.weight')!.toArray()).toEqual(zeros([3, 3, 3, 3]).toArray());
  });

  it('of the tree alone has modules of its own over the same tensors', () => {
    const model = trained(new Shared());
    const tree = treeCopy(model, 'test').root;
    expect([...tree.namedModules()].every(([, module], i) => module !== [...model.namedModules()][i][1])).toBe(true);
    for (const [key, value] of tree.stateDict()) expect(value, key).toBe(model.stateDict().get(key));
  });
});

describe('number formats', () => {
  it('are converted everywhere but where numbers are counts, and sharing stays', () => {
    const model = new Shared().to('float64');
    for (const [key, { dtype }] of model.stateDict())
      expect(dtype, key).toBe(key.endsWith('tracked') ? 'int64' : 'float64');
    expect(model.stateDict().get('first.weight')).toBe(model.stateDict().get('second.weight'));
  });
});

describe('a deployed block', () => {
  it.each([
    ['ConvBlock', () => new ConvBlock(4, 4)],
    ['RepVGGBlock', () => new RepVGGBlock(4, 4)],
    ['MobileOneBlock', () => new MobileOneBlock(4, 4, 3, { padding: 1, branches: 2 })],
  ] as const)('%s keeps no tensor of its branches in memory', (_, make) => {
    const block = trained<ConvBlock | RepVGGBlock | MobileOneBlock>(make());
    block.switchToDeploy();
    expect(tensorsWithin(block)).toEqual(new Set(block.stateDict().values()));
    block.switchToDeploy();
    expect(block.deploy).toBe(true);
  });

  it('is refused in training mode, in words that say what to do, and stays a training form', () => {
    const block = new ConvBlock(2, 2);
    for (const method of ['switchToDeploy', 'getEquivalentKernelBias'] as const)
      expectRefusal(
        refusalOf(() => block[method]()),
        'ERR_TRAIN_MODE',
        `ConvBlock.${method}`,
        'call eval() first',
      );
    expect(block.deploy).toBe(false);
  });

  it('is refused where the branches have no common convolution, with the reason', () => {
    const block = trained(new ConvBlock(2, 2));
    (block.stateDict().get('conv1_1.bn.running_var')!.data as Float32Array)[1] = -1;
    const refusal = refusalOf(() => block.switchToDeploy());
    expectRefusal(refusal, 'ERR_UNSUPPORTED', 'ConvBlock.switchToDeploy', 'NEGATIVE_VARIANCE', 'channel 1: -1');
    expect(block.deploy).toBe(false);
  });
});

it('a block whose convolution overflows the format of its weights is refused by every door, and stays a training form', () => {
  const block = trained(new ConvBlock(2, 2));
  block
    .stateDict()
    .get('conv3_3.bn.running_var')!
    .data.fill(0 as never);
  (block.stateDict().get('conv3_3.bn.weight')!.data as Float32Array)[0] = 3e4;
  const [half, kept] = [block.copy().to('float16'), block.copy().to('float16')];
  for (const method of ['switchToDeploy', 'getEquivalentKernelBias'] as const)
    expectRefusal(
      refusalOf(() => half[method]()),
      'ERR_UNSUPPORTED',
      `ConvBlock.${method}`,
      'NOT_EQUAL',
      'in float16',
    );
  expect(half.deploy).toBe(false);
  expectUnchanged(half, snapshot(kept));
  block.switchToDeploy();
  expect(block.deploy).toBe(true);
});

/** Every tensor that can be reached from a value. */
function tensorsWithin(value: unknown, seen = new Set<unknown>()): Set<AnyTensor> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return new Set();
  seen.add(value);
  if (value instanceof Tensor) return new Set([value]);
  const parts = value instanceof Map || value instanceof Set ? [...value.values()] : Object.values(value);
  return new Set(parts.flatMap((part) => [...tensorsWithin(part, seen)]));
}

/** The lines of a refusal to load, without what they are indented by. */
function refusalOfLines(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    expect(error).toMatchObject({ name: 'RepconvError', code: 'ERR_STATE_DICT' });
    return (error as Error).message.split('\n').map((line) => line.trim());
  }
  throw new Error('expected a refusal, but loading succeeded');
}

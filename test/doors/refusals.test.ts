/** Mistakes that are easily made, and what is said about them. */
import { describe, expect, it } from 'vitest';
import * as repconv from '../../lib/index.js';
import { type Ops, ReparamBlock } from '../../lib/index.js';
import { refusalOf } from '../cases/refusal.js';

/** TypeScript would refuse most of them; who writes JavaScript has no TypeScript. */
const anything = repconv as unknown as Record<string, new (...given: unknown[]) => unknown> &
  Record<string, (...given: unknown[]) => unknown>;
const say = (sentence: (f: Record<string, (...given: unknown[]) => unknown>, x: unknown) => unknown): unknown =>
  repconv.trace({ compute: (f, x) => sentence(f as never, x) as typeof x }, { x: [1, 3, 4, 4] });

class Holder extends repconv.Sequential {
  constructor(name: unknown, module: unknown) {
    super();
    this.child(name as string, module as repconv.Module);
  }
}

class Forgetful extends ReparamBlock {
  constructor() {
    super(3, 'reparam');
  }
  protected override branches<X>(f: Ops<X>, x: X): X {
    f.relu(x);
    return undefined as X;
  }
  protected override finish<X>(_: Ops<X>, x: X): X {
    return x;
  }
  protected override removeBranches(): void {}
}

describe('a mistake is told by its name:', () => {
  it.each<[string, () => unknown, string]>([
    [
      'a size nobody has',
      () => repconv.randn([2 ** 40]),
      'tensor: shape [1099511627776] has more than 2^31 - 1 elements',
    ],
    [
      'a number for a shape',
      () => anything.randn(5),
      'tensor: shape expects up to 32 non-negative whole numbers, got 5',
    ],
    [
      'a number for a tensor',
      () => anything.difference(1, repconv.ones([1])),
      'difference: the first expects a Tensor, got 1',
    ],
    ['no graph', () => anything.printGraph(), 'printGraph: expects a Graph, such as trace gives, got undefined'],
    ['no axis', () => new anything.Softmax(), 'Softmax: dim expects a whole number from -32 to 31, got undefined'],
    ['null for options', () => new anything.Conv2d(3, 4, 3, null), 'Conv2d: options expects a plain object of'],
    [
      'null for options of repconv',
      () => anything.repconv(new repconv.ReLU(), null),
      'repconv: options expects a plain object of',
    ],
    ['a number for a list', () => say((f) => f.concat(5)), 'concat: inputs expects a list of values, got 5'],
    ['a number for a child', () => new Holder('a', 5), 'Holder: child a expects a Module, got 5'],
    [
      'a number for a name',
      () => new Holder(5, new repconv.ReLU()),
      'Holder: a name expects text without a dot, got 5',
    ],
    ['no input', () => new repconv.Conv2d(3, 4, 3).forward(), 'conv2d: input is missing'],
    [
      'a sentence that returns nothing',
      () => repconv.repconv(new Forgetful()),
      'branches: expects to return a value, got undefined',
    ],
    [
      'a symbol for a number',
      () => new anything.Linear(Symbol('a'), 4),
      'Linear: inFeatures expects a whole number from 1 to 2^24, got Symbol(a)',
    ],
    [
      'a BigInt for a number',
      () => new anything.BatchNorm2d(4n),
      'BatchNorm2d: numFeatures expects a whole number from 1 to 2^24, got 4n',
    ],
    [
      'no number of branches',
      () => new repconv.MobileOneBlock(4, 4, 3, { branches: NaN }),
      'MobileOneBlock: branches expects a whole number from 1 to 64, got NaN',
    ],
    [
      'no budget',
      () => repconv.repconv(new repconv.ReLU(), { certificateBudget: NaN }),
      'repconv: certificateBudget expects a number of at least 0, got NaN',
    ],
    [
      'a tensor that was not lifted',
      () => say((f, x) => f.add(x, repconv.ones([1]))),
      'add: operand 2 expects a value of this call of compute (f.lift makes one of a tensor), got Tensor(float32, [1])',
    ],
  ])('%s', (_, act, message) => {
    expect(refusalOf(act).message).toContain(message);
  });
});

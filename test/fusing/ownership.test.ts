/**
 * What `repconv` returns is its own, however a model keeps its parts; and what no copy could follow is refused by name,
 * with the original as it was.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import {
  type AnyTensor,
  BatchNorm2d,
  Conv2d,
  ConvBlock,
  compileSync,
  convBn,
  loadStateDict,
  Module,
  ModuleList,
  manualSeed,
  type Ops,
  ReLU,
  ReparamBlock,
  RepVGGBlock,
  randn,
  repconv,
  Sequential,
  type Tensor,
  tensor,
} from '../../lib/index.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import { expectRefusal, refusalOf } from '../formats/refusal.js';
import { trained } from '../nn/trained.js';

manualSeed(3);
const folder = mkdtempSync(join(tmpdir(), 'repconv-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Sentence = <X>(f: Ops<X>, x: X) => X;

/** Everything of a model that a caller could find changed: the bits of its tensors, its text, modes and fields. */
function stateOf(model: Module): unknown {
  return {
    text: String(model),
    modes: [...model.namedModules()].map(([path, module]) => [path, module.training]),
    fields: [...model.namedModules()].map(([, module]) => Reflect.ownKeys(module)),
    tensors: [...model.stateDict()].map(([key, value]) => [key, value.dtype, [...value.data]]),
  };
}

/** The same tensors, in the same modules. */
function identityOf(model: Module): unknown[] {
  return [...model.namedModules(), ...model.namedTensors()].flat();
}

/** Refuses in whatever mode it is, and leaves the model as it was. */
function expectRefused(model: Module, options: Parameters<typeof repconv>[1], ...parts: string[]): void {
  for (const mode of [false, true]) {
    model.train(mode);
    if (mode && options?.copy === false) continue;
    const [before, identity] = [stateOf(model), identityOf(model)];
    expectRefusal(
      refusalOf(() => repconv(model, options)),
      'ERR_UNSUPPORTED',
      'repconv: ',
      ...parts,
    );
    expect(stateOf(model)).toEqual(before);
    expect(identityOf(model).every((part, i) => part === identity[i])).toBe(true);
  }
  model.eval();
}

/** Fuses in either way: the copy is its own, the model in place is fused, and both compute what the model did. */
function expectFused(make: () => Module, blocks = 1): void {
  const model = make();
  const x = randn([2, 4, 7, 6]);
  const expected = model.forward(x);
  const before = stateOf(model.train());
  const { model: fused, report } = repconv(model);
  expect(report).toMatchObject({ fused: blocks, left: 0, switchedToEval: true });
  expect(stateOf(model)).toEqual(before);
  expectItsOwn(fused, model);
  expect(difference(fused.forward(x), expected).relative).toBeLessThan(4e-6);
  expect(stateOf(model)).toEqual(before);
  expectComputesFused(fused, blocks);

  model.eval();
  const inPlace = repconv(model, { copy: false });
  expect(inPlace.model).toBe(model);
  expect(inPlace.report).toMatchObject({ fused: blocks, left: 0 });
  expect(isIdentical(model.forward(x), fused.forward(x))).toBe(true);
  expectComputesFused(model, blocks);
}

/** A session of it has a convolution for each block and no batch norm. */
function expectComputesFused(model: Module, blocks: number): void {
  const session = compileSync(model, { inputs: { x: [1, 4, 7, 6] } });
  const operations = session.describe().filter((step) => step.operation === 'conv2d');
  expect(operations).toHaveLength(blocks);
  session.dispose();
}

/** Freezes the module at a path. */
function withFrozen<M extends Module>(model: M, path: string): M {
  Object.freeze(new Map(model.namedModules()).get(path));
  return model;
}

/** Nothing that is written into the one shows in the other. */
function expectItsOwn(copy: Module, model: Module): void {
  const tensors = new Set([...model.namedTensors()].map(([, value]) => value));
  const memory = new Set([...tensors].map((value) => value.data.buffer));
  for (const [key, value] of copy.namedTensors()) {
    expect(tensors.has(value), key).toBe(false);
    expect(memory.has(value.data.buffer), key).toBe(false);
  }
}

/** A model of one block, kept in some way beside the tree, by which it computes. */
abstract class Kept extends Module {
  readonly block = this.child('block', new ConvBlock(4, 4));

  override compute<X>(f: Ops<X>, x: X): X {
    return f.relu(this.through(f, x));
  }

  abstract through<X>(f: Ops<X>, x: X): X;
}

class Holder {
  readonly since = new Date(0);
  constructor(readonly module: Module) {}
  apply<X>(f: Ops<X>, x: X): X {
    return this.module.compute(f, x);
  }
}

describe('a module is fused and computed with wherever a model keeps it:', () => {
  class InHolder extends Kept {
    readonly holder = new Holder(this.block);
    through<X>(f: Ops<X>, x: X): X {
      return this.holder.apply(f, x);
    }
  }

  class InMapOfHolder extends Kept {
    readonly registry = new (class Registry {
      readonly parts = new Map<string, { readonly list: readonly Holder[] }>();
    })();
    constructor() {
      super();
      this.registry.parts.set('first', { list: [new Holder(this.block)] });
    }
    through<X>(f: Ops<X>, x: X): X {
      return this.registry.parts.get('first')!.list[0].apply(f, x);
    }
  }

  class AsKeyOfMap extends Kept {
    readonly order = new Map<Module, number>([[this.block, 1]]);
    through<X>(f: Ops<X>, x: X): X {
      return [...this.order.keys()].reduce((value, module) => module.compute(f, value), x);
    }
  }

  class InOwnCollections extends Kept {
    readonly list = new (class List extends Array<Module> {
      readonly name = 'list';
    })();
    readonly map = new (class Registry extends Map<string, Module> {
      first(): Module {
        return this.get('block')!;
      }
    })();
    constructor() {
      super();
      this.list.push(this.block);
      this.map.set('block', this.block);
    }
    through<X>(f: Ops<X>, x: X): X {
      if (this.list[0] !== this.map.first() || this.list.name !== 'list') throw new Error('another one');
      return this.map.first().compute(f, x);
    }
  }

  const key = Symbol('block');
  class UnderSymbol extends Kept {
    readonly [key] = this.block;
    through<X>(f: Ops<X>, x: X): X {
      return this[key].compute(f, x);
    }
  }

  class UnseenByLoops extends Kept {
    declare readonly hidden: Module;
    constructor() {
      super();
      Object.defineProperty(this, 'hidden', { value: this.block, enumerable: false });
    }
    through<X>(f: Ops<X>, x: X): X {
      return this.hidden.compute(f, x);
    }
  }

  class ByAccessor extends Kept {
    private readonly parts = { block: this.block };
    constructor() {
      super();
      Object.defineProperty(this.parts, 'first', {
        get(this: { block: Module }) {
          return this.block;
        },
      });
    }
    get first(): Module {
      return (this.parts as never as { first: Module }).first;
    }
    through<X>(f: Ops<X>, x: X): X {
      return this.first.compute(f, x);
    }
  }

  class InFrozenObject extends Kept {
    readonly parts = Object.freeze({ list: Object.freeze([new Holder(this.block)]) });
    through<X>(f: Ops<X>, x: X): X {
      return this.parts.list[0].apply(f, x);
    }
  }

  class WithParent extends Kept {
    readonly back = new (class Back {
      constructor(readonly parent: Kept) {}
    })(this);
    through<X>(f: Ops<X>, x: X): X {
      return this.back.parent.block.compute(f, x);
    }
  }

  class ByFunctionOfThis extends Kept {
    readonly step = function (this: Kept, f: never, x: never): never {
      return this.block.compute(f, x) as never;
    };
    through<X>(f: Ops<X>, x: X): X {
      return this.step(f as never, x as never);
    }
  }

  it.each([
    ['in an object of a class', () => new InHolder()],
    ['in a map in an object of a class', () => new InMapOfHolder()],
    ['as the key of a map', () => new AsKeyOfMap()],
    ['in arrays and maps of classes of its own', () => new InOwnCollections()],
    ['under a symbol', () => new UnderSymbol()],
    ['in a field that loops do not see', () => new UnseenByLoops()],
    ['behind accessors', () => new ByAccessor()],
    ['in frozen objects', () => new InFrozenObject()],
    ['behind a way back to itself', () => new WithParent()],
    ['behind a function that works on this', () => new ByFunctionOfThis()],
  ])('%s', (_, make) => {
    expectFused(() => trained<Module>(make()));
  });

  it('and its training changes no statistics of the original', () => {
    class WithNorm extends Kept {
      readonly holder = new Holder(this.child('norm', new BatchNorm2d(4)));
      through<X>(f: Ops<X>, x: X): X {
        return this.holder.apply(f, this.block.compute(f, x));
      }
    }
    const model = trained(new WithNorm()).train();
    const before = stateOf(model);
    const { model: fused } = repconv(model);
    const statistics = stateOf(fused.train());
    fused.forward(randn([3, 4, 5, 5]));
    expect(stateOf(fused)).not.toEqual(statistics);
    expect(stateOf(model)).toEqual(before);
  });

  it('twice, over shared tensors, which stay shared', () => {
    class Tied extends Module {
      readonly a = this.child('a', new ConvBlock(4, 4));
      readonly c = this.child('c', new Conv2d(4, 4, 1));
      readonly d = this.child('d', new Tie(this.c));
      override compute<X>(f: Ops<X>, x: X): X {
        return this.a.compute(f, this.d.compute(f, this.c.compute(f, this.a.compute(f, x))));
      }
    }
    class Tie extends Module {
      constructor(conv: Conv2d) {
        super();
        this.parameter('weight', conv.weight);
        this.parameter('flat', conv.weight.reshape([4, 4]));
      }
      override compute<X>(f: Ops<X>, x: X): X {
        return f.conv2d(x, f.lift(this.tensor('weight') as AnyTensor), null);
      }
    }
    const model = trained(new Tied());
    const { model: fused } = repconv(model);
    expectItsOwn(fused, model);
    const dict = fused.stateDict();
    expect(dict.get('d.weight')).toBe(dict.get('c.weight'));
    expect(dict.get('d.flat')!.data).toBe(dict.get('c.weight')!.data);
    const x = randn([1, 4, 5, 5]);
    expect(difference(fused.forward(x), model.forward(x)).relative).toBeLessThan(4e-6);
  });
});

describe('what does not lead to a module is shared', () => {
  class Furnished extends Kept {
    readonly date = new Date(1);
    readonly session = compileSync(new ReLU(), { inputs: { x: [1] } });
    readonly settings = new (class Settings {
      readonly level = 3;
    })();
    readonly waiting = new WeakMap<object, number>();
    readonly log = (): void => {};
    readonly numbers = new Float32Array([1, 2]);
    readonly config = { list: [1, 2] };
    through<X>(f: Ops<X>, x: X): X {
      return this.block.compute(f, x);
    }
  }

  it('but containers and arrays of numbers are not', () => {
    const model = trained(new Furnished());
    const { model: fused } = repconv(model);
    for (const name of ['date', 'session', 'settings', 'waiting', 'log'] as const)
      expect(fused[name], name).toBe(model[name]);
    for (const name of ['numbers', 'config'] as const) {
      expect(fused[name], name).not.toBe(model[name]);
      expect(fused[name], name).toEqual(model[name]);
    }
    model.session.dispose();
  });

  it('in a tensor whose array a field holds too, the copy holds its own tensor’s array', () => {
    class WithArray extends Kept {
      readonly weights = (this.block.stateDict().get('conv3_3.conv.weight') as Tensor).data;
      through<X>(f: Ops<X>, x: X): X {
        return this.block.compute(f, x);
      }
    }
    const copy = trained(new WithArray()).copy();
    expect(copy.weights).toBe(copy.stateDict().get('block.conv3_3.conv.weight')!.data);
  });
});

describe('what computes for the original only is refused by the name of its field:', () => {
  class ArrowField extends Kept {
    readonly run: Sentence = (f, x) => this.block.compute(f, x);
    through<X>(f: Ops<X>, x: X): X {
      return this.run(f, x);
    }
  }

  class BoundMethod extends Kept {
    constructor() {
      super();
      this.through = this.through.bind(this);
    }
    through<X>(f: Ops<X>, x: X): X {
      return this.block.compute(f, x);
    }
  }

  class ArrowCompute extends Module {
    readonly block = this.child('block', new ConvBlock(4, 4));
    override compute: Sentence = (f, x) => this.block.compute(f, x);
  }

  class ClosureOverBlock extends Kept {
    readonly steps: { readonly first: Sentence };
    constructor() {
      super();
      const { block } = this;
      this.steps = { first: (f, x) => block.compute(f, x) };
    }
    through<X>(f: Ops<X>, x: X): X {
      return this.steps.first(f, x);
    }
  }

  class FunctionInMap extends Kept {
    readonly steps = new Map<string, Sentence>([['first', (f, x) => this.block.compute(f, x)]]);
    through<X>(f: Ops<X>, x: X): X {
      return this.steps.get('first')!(f, x);
    }
  }

  class Secretive {
    readonly #module: Module;
    constructor(module: Module) {
      this.#module = module;
    }
    get module(): Module {
      return this.#module;
    }
    apply<X>(f: Ops<X>, x: X): X {
      return this.#module.compute(f, x);
    }
  }

  class SecretHolder extends Kept {
    readonly holder = new Secretive(this.block);
    through<X>(f: Ops<X>, x: X): X {
      return this.holder.apply(f, x);
    }
  }

  class SecretGiver extends Kept {
    readonly giver = new Secretive(this.block);
    through<X>(f: Ops<X>, x: X): X {
      return this.giver.module.compute(f, x);
    }
  }

  class WeakHolder extends Kept {
    readonly cache = new WeakMap<object, Module>([[Kept, this.block]]);
    through<X>(f: Ops<X>, x: X): X {
      return this.cache.get(Kept)!.compute(f, x);
    }
  }

  class WeakHolderOfItself extends Kept {
    readonly cache = new WeakMap<object, Module>([[this, this.block]]);
    through<X>(f: Ops<X>, x: X): X {
      return this.cache.get(this)!.compute(f, x);
    }
  }

  class WeakReference extends Kept {
    readonly reference = new WeakRef(this.block);
    through<X>(f: Ops<X>, x: X): X {
      return this.reference.deref()!.compute(f, x);
    }
  }

  class OwnAccessor extends Kept {
    constructor() {
      super();
      const { block } = this;
      Object.defineProperty(this, 'first', { get: () => block, configurable: true });
    }
    through<X>(f: Ops<X>, x: X): X {
      return (this as never as { first: Module }).first.compute(f, x);
    }
  }

  class PrivateField extends Kept {
    readonly #first = this.block;
    through<X>(f: Ops<X>, x: X): X {
      return this.#first.compute(f, x);
    }
  }

  class PrivateMethod extends Kept {
    #run<X>(f: Ops<X>, x: X): X {
      return this.block.compute(f, x);
    }
    through<X>(f: Ops<X>, x: X): X {
      return this.#run(f, x);
    }
  }

  class InDate extends Kept {
    readonly date = Object.assign(new Date(), { module: this.block });
    through<X>(f: Ops<X>, x: X): X {
      return this.date.module.compute(f, x);
    }
  }

  /** Says something else where it does not know the object. */
  class Branded extends Kept {
    readonly #brand = true;
    through<X>(f: Ops<X>, x: X): X {
      return #brand in this && this.#brand ? this.block.compute(f, x) : x;
    }
  }

  class BrandedActivation extends Kept {
    readonly #smooth = true;
    through<X>(f: Ops<X>, x: X): X {
      const y = this.block.compute(f, x);
      return #smooth in this && this.#smooth ? f.silu(y) : f.relu(y);
    }
  }

  class BoundInTraining extends Kept {
    readonly run: Sentence = (f, x) => this.block.compute(f, x);
    through<X>(f: Ops<X>, x: X): X {
      return this.training ? this.run(f, x) : this.block.compute(f, x);
    }
  }

  const cases: readonly (readonly [string, () => Module, readonly string[]])[] = [
    ['an arrow function', () => new ArrowField(), ['field run;', 'make it a method', 'block.conv3_3.conv.weight']],
    ['a bound method', () => new BoundMethod(), ['field through;', 'make it a method']],
    ['a sentence that is an arrow function', () => new ArrowCompute(), ['field compute;', 'make it a method']],
    ['a closure over the block', () => new ClosureOverBlock(), ['field steps.first;', 'make it a method']],
    ['a function in a map', () => new FunctionInMap(), ['field steps.get("first");', 'make it a method']],
    ['a method of an object with # fields', () => new SecretHolder(), ['field holder;', 'without #']],
    ['an object with # fields that gives the block away', () => new SecretGiver(), ['giver;', 'without #']],
    ['a WeakMap', () => new WeakHolder(), ['cache;', 'in arrays or in maps']],
    ['a WeakMap that knows the original only', () => new WeakHolderOfItself(), ['cache;', 'in arrays or in maps']],
    ['a WeakRef', () => new WeakReference(), ['reference;', 'in arrays or in maps']],
    ['an accessor made for the original', () => new OwnAccessor(), ['first;', 'make it an accessor of the class']],
    ['a # field', () => new PrivateField(), ['#first', 'call it _first']],
    ['a # method', () => new PrivateMethod(), ['PrivateMethod', 'cannot compute what it does']],
    ['a Date with a module in it', () => new InDate(), ['date']],
    ['a # field that is asked for only', () => new Branded(), ['Branded', 'computes something else', 'a # field']],
    ['a # field that chooses an operator', () => new BrandedActivation(), ['computes something else', 'a # field']],
    ['an arrow function in training mode only', () => new BoundInTraining(), ['field run;', 'make it a method']],
  ];

  it.each(cases)('%s', (_, make, parts) => {
    expectRefused(trained(make()), {}, ...parts, 'copy: false');
  });

  it.each(cases)('with copy: false it is fused as it is: %s', (_, make) => {
    const model = trained(make());
    const x = randn([1, 4, 6, 6]);
    const expected = model.forward(x);
    const { report } = repconv(model, { copy: false, inputs: { x: [1, 4, 6, 6] } });
    expect(report).toMatchObject({ fused: 1, blocks: [{ macs: { before: 36 * 160, after: 36 * 144 } }] });
    expect(difference(model.forward(x), expected).relative).toBeLessThan(4e-6);
    expectComputesFused(model, 1);
  });

  it.each(cases)('copy() refuses it too: %s', (_, make, parts) => {
    const model = trained(make()).train();
    const before = stateOf(model);
    expectRefusal(
      refusalOf(() => model.copy()),
      'ERR_UNSUPPORTED',
      `${model.typeName}.copy: `,
      ...parts,
    );
    expect(stateOf(model)).toEqual(before);
  });

  it('but a sentence that is another one each time in training mode is copied', () => {
    class Stochastic extends Kept {
      through<X>(f: Ops<X>, x: X): X {
        return this.training && Math.random() < 0.5 ? x : this.block.compute(f, x);
      }
    }
    const model = trained(new Stochastic()).train();
    for (let i = 0; i < 20; i++) expect(model.copy().training).toBe(true);
  });

  it('in a tree that is too deep to be read is told so', () => {
    let tree: Module = new ConvBlock(2, 2);
    for (let i = 0; i < 15_000; i++) tree = new Sequential(tree);
    for (const copy of [true, false])
      expectRefusal(
        refusalOf(() => repconv(tree.eval(), { copy })),
        'ERR_LIMIT',
        'repconv: calls of compute nest deeper than the stack',
      );
  });

  it('deep in a tree, where the message says it', () => {
    const model = trained(new Sequential(new ReLU(), new Sequential(new ArrowField())));
    expectRefused(model, {}, '1.0 (ArrowField)', 'field 1.0.run;', '1.0.block.conv3_3.conv.weight of the original');
  });

  it('in a module that the sentence of the whole does not use', () => {
    class Aside extends Kept {
      readonly aside = this.child('aside', new ArrowField());
      through<X>(f: Ops<X>, x: X): X {
        return this.block.compute(f, x);
      }
    }
    expectRefused(trained(new Aside()), {}, 'field aside.run;');
  });

  it('in a list, which computes nothing by itself', () => {
    expectRefused(trained(new ModuleList([new ArrowField()])), {}, 'field 0.run;');
    expect(repconv(trained(new ModuleList([new ConvBlock(2, 2)]))).report.fused).toBe(1);
  });

  it('though its sentence counts how often it is said, the original is as it was', () => {
    class Counting extends PrivateField {
      calls = 0;
      readonly log: string[] = [];
      override compute<X>(f: Ops<X>, x: X): X {
        this.calls++;
        this.log.push('compute');
        return super.compute(f, x);
      }
    }
    const model = trained(new Counting());
    refusalOf(() => repconv(model));
    expect([model.calls, model.log]).toEqual([0, []]);
    repconv(model, { copy: false });
    expect([model.calls, model.log]).toEqual([0, []]);
  });
});

describe('a method that is bound to the original', () => {
  class Bound extends Kept {
    through<X>(f: Ops<X>, x: X): X {
      return this.block.compute(f, x);
    }
  }

  it.each([
    ['forward', (model: Module) => Object.assign(model, { forward: model.forward.bind(model) })],
    ['eval', (model: Module) => Object.assign(model, { eval: () => model.train(false) })],
    ['stateDict', (model: Module) => Object.assign(model, { stateDict: async () => model.namedTensors() })],
    ['train', (model: Module) => Object.assign(model, { train: (mode: boolean) => (mode ? model : model.eval()) })],
  ] as const)('is refused by its name, since the copy would act on the original: %s', (name, change) => {
    const model = new Sequential(new ReLU(), trained(new Bound()));
    const block = [...model.namedChildren()][1][1];
    change(block);
    for (const act of [() => repconv(model), () => model.copy()])
      expectRefusal(
        refusalOf(act),
        'ERR_UNSUPPORTED',
        `1 (Bound) would act on the original, through the field 1.${name}; `,
        'make it a method',
      );
    expect(block.training).toBe(false);
    expect(repconv(trained(new Bound()), { copy: false }).report.fused).toBe(1);
  });

  it('is none where it works on this, as those of spies do', () => {
    const model = trained(new Bound());
    const spy = vi.spyOn(model, 'forward');
    Object.assign(model, {
      eval(this: Module) {
        return this.train(false);
      },
    });
    const x = randn([1, 4, 5, 5]);
    const { model: fused } = repconv(model);
    fused.forward(x);
    expect(spy.mock.contexts).toEqual([fused]);
    expect(fused.block.deploy).toBe(true);
  });
});

describe('a proxy', () => {
  it('of a module or of what leads to one is refused by its place, since no copy could do what its handler does', () => {
    class InProxy extends Kept {
      readonly parts = [new Proxy({ block: this.block as Module }, {})];
      through<X>(f: Ops<X>, x: X): X {
        return this.parts[0].block.compute(f, x);
      }
    }
    expectRefused(trained(new InProxy()), {}, 'parts[0] is a Proxy');
    const model = trained(new Sequential(new Proxy(new ReLU(), {}), new ConvBlock(2, 2)));
    for (const copy of [true, false]) expectRefused(model, { copy }, '0 is a Proxy');
    expectRefused(new Proxy(trained(new ConvBlock(2, 2)), {}), {}, 'the model is a Proxy');
  });

  it('of anything else is shared, a revoked one too', () => {
    class Beside extends Kept {
      readonly proxy = new Proxy({ list: [1] }, {});
      readonly revoked = (() => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return proxy;
      })();
      through<X>(f: Ops<X>, x: X): X {
        return this.block.compute(f, x);
      }
    }
    const model = trained(new Beside());
    const { model: fused } = repconv(model);
    expect(fused.proxy).toBe(model.proxy);
    expect(Object.is(fused.revoked, model.revoked)).toBe(true);
  });
});

describe('a block', () => {
  /** 1×1 and identity; subclasses keep the 1×1 in their way. */
  abstract class Pointwise extends ReparamBlock {
    constructor() {
      super(4, 'merged');
    }
    protected override finish<X>(_: Ops<X>, x: X): X {
      return x;
    }
  }

  class PrivateBlock extends Pointwise {
    #pointwise: Module | null = this.child('pointwise', convBn(4, 4, 1));
    protected override branches<X>(f: Ops<X>, x: X): X {
      return f.add(this.#pointwise!.compute(f, x), x);
    }
    protected override removeBranches(): void {
      this.removeChild('pointwise');
      this.#pointwise = null;
    }
  }

  class BoundBlock extends Pointwise {
    private pointwise: Module | null = this.child('pointwise', convBn(4, 4, 1));
    protected override branches<X>(f: Ops<X>, x: X): X {
      return f.add(this.pointwise!.compute(f, x), x);
    }
    protected override removeBranches = (): void => {
      this.removeChild('pointwise');
      this.pointwise = null;
    };
  }

  class LateBlock extends Pointwise {
    #removed = false;
    private pointwise: Module | null = this.child('pointwise', convBn(4, 4, 1));
    protected override branches<X>(f: Ops<X>, x: X): X {
      return f.add(this.pointwise!.compute(f, x), x);
    }
    protected override removeBranches(): void {
      this.removeChild('pointwise');
      this.pointwise = null;
      this.#removed = true;
    }
    get removed(): boolean {
      return this.#removed;
    }
  }

  class FailingBlock extends Pointwise {
    private pointwise: Module | null = this.child('pointwise', convBn(4, 4, 1));
    protected override branches<X>(f: Ops<X>, x: X): X {
      return f.add(this.pointwise!.compute(f, x), x);
    }
    protected override removeBranches(): void {
      this.removeChild('pointwise');
      this.pointwise = null;
      throw new Error('a fault of removeBranches');
    }
  }

  const whole = (block: Module): Module => trained(new Sequential(new ConvBlock(4, 4), block));

  it.each([
    ['with its branches in a # field', () => new PrivateBlock(), ['#pointwise', 'call it _pointwise']],
    ['that takes the branches of the original away', () => new BoundBlock(), ['1 (BoundBlock)', 'a method']],
    ['that writes into a # field in the end', () => new LateBlock(), ['1 (LateBlock)', 'call it _removed']],
    ['whose removeBranches fails', () => new FailingBlock(), ['1 (FailingBlock)', 'a fault of removeBranches']],
  ] as const)('%s is refused in either way, and the others stay as they are', (_, make, parts) => {
    const model = whole(make()).eval();
    for (const copy of [true, false]) {
      const before = stateOf(model);
      expectRefusal(
        refusalOf(() => repconv(model, { copy, savePath: join(folder, 'refused.safetensors') })),
        'ERR_UNSUPPORTED',
        'repconv: ',
        ...parts,
      );
      expect(stateOf(model)).toEqual(before);
    }
  });

  it('that is frozen is refused in either way', () => {
    const model = withFrozen(whole(new ConvBlock(4, 4)), '1');
    for (const copy of [true, false]) {
      const before = stateOf(model);
      expectRefusal(
        refusalOf(() => repconv(model, { copy })),
        'ERR_UNSUPPORTED',
        'the branches of 1 (ConvBlock) cannot be taken away',
        'read only',
      );
      expect(stateOf(model)).toEqual(before);
    }
  });

  it('alone is as it was where its removeBranches fails', () => {
    const block = trained(new FailingBlock());
    const before = stateOf(block);
    expect(() => block.switchToDeploy()).toThrow('a fault of removeBranches');
    expect(stateOf(block)).toEqual(before);
    expect(block.deploy).toBe(false);
  });

  it('that fails in place only, after others, leaves none of them fused', () => {
    let calls = 0;
    class SecondTime extends FailingBlock {
      protected override removeBranches(): void {
        if (++calls > 1) super.removeBranches();
        else this.removeChild('pointwise');
      }
    }
    const model = whole(new SecondTime());
    const before = stateOf(model);
    expectRefusal(
      refusalOf(() => repconv(model, { copy: false })),
      'ERR_UNSUPPORTED',
      'a fault of removeBranches',
    );
    expect(calls).toBe(2);
    expect(stateOf(model)).toEqual(before);
  });
});

it('a block that asks its own fields whether it is fused is fused in either way', () => {
  class Asking extends ReparamBlock {
    private pointwise: Module | null = this.child('pointwise', convBn(4, 4, 1));
    override compute<X>(f: Ops<X>, x: X): X {
      return this.pointwise === null ? this.deployed!.compute(f, x) : this.branches(f, x);
    }
    protected override branches<X>(f: Ops<X>, x: X): X {
      return f.add(this.pointwise!.compute(f, x), x);
    }
    protected override finish<X>(_: Ops<X>, x: X): X {
      return x;
    }
    protected override removeBranches(): void {
      this.removeChild('pointwise');
      this.pointwise = null;
    }
  }
  expectFused(() => trained(new Sequential(new Asking(4, 'merged'))));
});

describe('a model that computes past its block', () => {
  /** Computes with the 3×3 of its block, which is not there once the block is fused. */
  class Past extends Module {
    readonly block = this.child('block', new RepVGGBlock(4, 4));
    readonly dense = new Map(this.block.namedChildren()).get('rbr_dense') as Module;
    override compute<X>(f: Ops<X>, x: X): X {
      return this.dense.compute(f, x);
    }
  }

  /** Looks for the part of its block each time. */
  class Looking extends Module {
    readonly block = this.child('block', new RepVGGBlock(4, 4));
    override compute<X>(f: Ops<X>, x: X): X {
      return new Map(this.block.namedChildren()).get('rbr_dense')!.compute(f, x);
    }
  }

  it('is refused in either way, by the field through which it does', () => {
    for (const copy of [true, false])
      expectRefused(trained(new Past()), { copy }, 'Past', 'block.rbr_dense.conv.weight', 'through dense;');
  });

  it('is refused in either way where it could not compute any more', () => {
    for (const copy of [true, false])
      expectRefused(trained(new Looking()), { copy }, 'Looking ', 'let it compute with the block');
  });

  it('is fused where it computes with a part that is registered beside the block too', () => {
    class Beside extends Past {
      constructor() {
        super();
        this.child('again', this.dense);
      }
    }
    expect(repconv(trained(new Beside())).report.fused).toBe(1);
  });
});

describe('parameters that no child() registered', () => {
  class PlainList extends Module {
    readonly blocks: readonly Module[] = [new ConvBlock(4, 4), new ConvBlock(4, 4)];
    override compute<X>(f: Ops<X>, x: X): X {
      return this.blocks.reduce((value, block) => block.compute(f, value), x);
    }
  }

  class PrivateList extends Module {
    readonly #blocks: readonly Module[] = [new ConvBlock(4, 4)];
    override compute<X>(f: Ops<X>, x: X): X {
      return this.#blocks.reduce((value, block) => block.compute(f, value), x);
    }
  }

  class WithConstant extends Module {
    readonly block = this.child('block', new ConvBlock(4, 4));
    readonly scale = tensor([2, 3, 4, 5], [4, 1, 1]);
    override compute<X>(f: Ops<X>, x: X): X {
      return this.block.compute(f, f.mul(f.mul(x, f.lift(this.scale)), f.lift(tensor([3]))));
    }
  }

  it('are refused by the place of their module, in either way', () => {
    for (const copy of [true, false]) {
      const model = new PlainList().eval();
      const before = stateOf(model);
      expectRefusal(
        refusalOf(() => repconv(model, { copy })),
        'ERR_INPUT',
        'repconv: PlainList computes with parameters that are not registered',
        'the ConvBlock in blocks[0], the ConvBlock in blocks[1]',
        'this.child(name, module)',
      );
      expect(stateOf(model)).toEqual(before);
    }
    expectRefusal(
      refusalOf(() => repconv(new PrivateList().eval(), { copy: false })),
      'ERR_INPUT',
      'a Conv2d that none of its fields shows',
    );
  });

  it('are told apart from those that were registered once, which a field still holds', () => {
    class Stale extends Module {
      readonly conv = this.child('conv', new Conv2d(2, 2, 1));
      readonly weight = this.conv.weight;
      override compute<X>(f: Ops<X>, x: X): X {
        return f.conv2d(x, f.lift(this.weight), null);
      }
    }
    expect(repconv(new Stale()).report.left).toBe(0);
    expectRefusal(
      refusalOf(() => repconv(new Stale().to('float64'))),
      'ERR_INPUT',
      'not registered, of conv (Conv2d), which has others in their place now',
    );
  });

  it('are not what a constant is, which is no parameter', () => {
    const model = trained(new WithConstant());
    const { model: fused } = repconv(model);
    expect(fused.scale).not.toBe(model.scale);
    const x = randn([1, 4, 5, 5]);
    expect(difference(fused.forward(x), model.forward(x)).relative).toBeLessThan(4e-6);
  });

  it('are found whatever became of the tensors: loaded, converted, copied', () => {
    for (const change of [(m: Module) => m.copy(), (m: Module) => m.to('float64')]) {
      const model = new PlainList();
      const changed = change(model);
      for (const block of (changed as PlainList).blocks) block.to('float64');
      expectRefusal(
        refusalOf(() => repconv(changed)),
        'ERR_INPUT',
        'blocks[0]',
      );
    }
  });
});

describe('a frozen model', () => {
  it('is fused as a copy of it where it need not be changed, and its copy is frozen too', () => {
    const model = withFrozen(trained(new Sequential(new ConvBlock(2, 2), new ReLU())), '1');
    const { model: fused, report } = repconv(model);
    expect(report.fused).toBe(1);
    expect(Object.isFrozen([...fused.namedChildren()][1][1])).toBe(true);
  });

  it('is refused where its mode would have to change', () => {
    const model = withFrozen(new Sequential(new ConvBlock(2, 2), new ReLU()), '1');
    expectRefusal(
      refusalOf(() => repconv(model)),
      'ERR_UNSUPPORTED',
      'eval',
      '1 (ReLU) is frozen',
    );
    expect(model.training).toBe(true);
  });
});

it('reads a checkpoint into what was fused, bit by bit, after a save that failed', async () => {
  const model = trained(new Sequential(new ConvBlock(3, 3), new RepVGGBlock(3, 3))).train();
  const before = stateOf(model);
  expectRefusal(
    refusalOf(() => repconv(model, { savePath: join(folder, 'no', 'such', 'folder.safetensors') })),
    'ERR_IO',
  );
  expect(stateOf(model)).toEqual(before);
  const path = join(folder, 'fused.safetensors');
  const { model: fused } = repconv(model, { savePath: path });
  for (const [key, value] of await loadStateDict(path))
    expect(isIdentical(value, fused.stateDict().get(key)!)).toBe(true);
});

/**
 * Trees of modules that are deep or would be cyclic, sentences that never end, and values kept from an earlier reading.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Value } from '../../lib/graph/graph.js';
import {
  type AnyTensor,
  Conv2d,
  compileSync,
  Graph,
  isIdentical,
  loadStateDict,
  Module,
  ModuleList,
  type Ops,
  printGraph,
  ReLU,
  ReparamBlock,
  RepconvError,
  RepVGGBlock,
  randn,
  referenceForward,
  repconv,
  Sequential,
  saveStateDict,
  toOnnx,
  trace,
} from '../../lib/index.js';
import { expectRefusal, refusalOf } from '../cases/refusal.js';

const inputs = { x: [1, 1, 4, 4] };
const x = randn([1, 1, 4, 4]);

/** A block under `depth` modules, each around the next. */
function deep(depth: number): Module {
  let tree: Module = new RepVGGBlock(1, 1);
  for (let i = 0; i < depth; i++) tree = new Sequential(tree);
  return tree.eval();
}

/** A module that registers whatever children it is told to, when it is told. */
class Holder extends Module {
  hold(name: string, module: Module): this {
    this.child(name, module);
    return this;
  }

  letGo(name: string): void {
    this.removeChild(name);
  }

  override compute<X>(f: Ops<X>, input: X): X {
    return [...this.namedChildren()].reduce((value, [, module]) => module.compute(f, value), input);
  }
}

describe('a tree of 2,000 modules, each in the next', () => {
  const tree = deep(2000);
  const block = [...tree.namedModules()][2000][1];

  it('has its modules, tensors, text and state dict', async () => {
    expect([...tree.namedModules()]).toHaveLength(2000 + [...block.namedModules()].length);
    const keys = [...tree.namedTensors()].map(([key]) => key);
    expect(keys).toEqual([...block.namedTensors()].map(([key]) => `${'0.'.repeat(2000)}${key}`));
    expect(tree.parameterCount()).toBe(block.parameterCount());
    const lines = tree.toString().split('\n');
    expect(lines).toHaveLength(2 * 2000 + block.toString().split('\n').length);
    expect(lines[1000]).toBe(`${' '.repeat(2000)}(0): Sequential(`);
    expect(lines.at(-1000)).toBe(`${' '.repeat(2 * 999)})`);
    const path = join(mkdtempSync(join(tmpdir(), 'repconv-')), 'deep.safetensors');
    await saveStateDict(path, tree.stateDict());
    expect(tree.loadStateDict(await loadStateDict(path))).toEqual({ missing: [], unexpected: [] });
    expect(tree.to('float64').to('float32').train().eval()).toBe(tree);
  });

  it.each<[string, () => unknown]>([
    ['forward', () => expect(isIdentical(tree.forward(x), block.forward(x))).toBe(true)],
    ['reference', () => expect(isIdentical(referenceForward(tree, x), referenceForward(block, x))).toBe(true)],
    ['print', () => expect(printGraph(trace(tree, inputs)).split('\n')).toHaveLength(10)],
    ['export', () => expect(toOnnx(tree, { inputs }).length).toBeGreaterThan(2 * 2000)],
    [
      'compile',
      () => {
        const session = compileSync(tree, { inputs });
        expect(isIdentical(session.runSync(x).output, compileSync(block, { inputs }).runSync(x).output)).toBe(true);
        session[Symbol.dispose]();
      },
    ],
  ])('is read by %s, or refused where the stack is too small for it', (_, read) => {
    try {
      read();
    } catch (error) {
      // How many calls the stack takes depends on the version of Node.
      expect(error).toMatchObject({ name: 'RepconvError', code: 'ERR_LIMIT' });
    }
  });
});

describe('sentences that nest deeper than the stack', () => {
  const tree = deep(50_000);
  /** A block whose one branch is that deep. */
  class DeepBlock extends ReparamBlock {
    private readonly branch = this.child('branch', deep(50_000));

    constructor() {
      super(1, 'reparam');
      this.eval();
    }

    protected override branches<X>(f: Ops<X>, input: X): X {
      return this.branch.compute(f, input);
    }

    protected override finish<X>(_: Ops<X>, input: X): X {
      return input;
    }

    protected override removeBranches(): void {
      this.removeChild('branch');
    }
  }

  it.each<[string, string, () => unknown]>([
    ['forward', 'forward', () => tree.forward(x)],
    ['the reference', 'referenceForward', () => referenceForward(tree, x)],
    ['trace', 'trace', () => trace(tree, inputs)],
    ['compile', 'compile', () => compileSync(tree, { inputs })],
    ['toOnnx', 'toOnnx', () => toOnnx(tree, { inputs })],
    ['folding', 'DeepBlock', () => new DeepBlock().getEquivalentKernelBias()],
    ['deploying', 'DeepBlock', () => new DeepBlock().switchToDeploy()],
  ])('are refused by %s, which says how deep they are', (_, operation, read) => {
    const { code, message, cause } = refusalOf(read);
    expect(code).toBe('ERR_LIMIT');
    expect(message).toBe(
      `${operation}: calls of compute nest deeper than the stack of JavaScript (the deepest parameter lies ${operation === 'DeepBlock' ? 50_003 : 50_002} modules down): ` +
        'nest fewer modules in each other, or start Node with a larger --stack-size',
    );
    expect(cause).toBeInstanceOf(RangeError);
  });

  it('are refused where compute calls itself', () => {
    class Endless extends Module {
      override compute<X>(f: Ops<X>, input: X): X {
        return f.relu(this.compute(f, input));
      }
    }
    expectRefusal(() => new Endless().forward(x), 'ERR_LIMIT', /^forward: calls of compute nest deeper than the stack/);
    expectRefusal(() => trace(new Endless(), inputs), 'ERR_LIMIT', /^trace: /);
  });

  it('are told from a RangeError of the sentence itself, which passes', () => {
    class Counting extends Module {
      override compute<X>(_: Ops<X>, input: X): X {
        new Array(-1);
        return input;
      }
    }
    expect(() => new Counting().forward(x)).toThrow(RangeError);
    expect(() => new Counting().forward(x)).not.toThrow(RepconvError);
  });
});

describe('a cycle of modules', () => {
  const message = (type: string): string =>
    `Holder: child a expects a module that does not contain this one, got a ${type}`;

  it('is refused where it would close, and changes nothing', () => {
    const [outer, inner] = [new Holder(), new Holder()];
    outer.hold('a', new ModuleList([inner]));
    expectRefusal(() => inner.hold('a', outer), 'ERR_INPUT', message('Holder that does'));
    expectRefusal(() => inner.hold('a', inner), 'ERR_INPUT', message('Holder that is it'));
    expectRefusal(
      () => new Holder().hold('b', inner).hold('c', new Holder().hold('d', inner)).hold('e', outer).hold('', inner),
      'ERR_INPUT',
      /name/,
    );
    expect(String(outer)).toBe('Holder(\n  (a): ModuleList(\n    (0): Holder()\n  )\n)');
  });

  it('is refused in a copy too', () => {
    const copy = new Holder().hold('a', new Holder()).copy();
    const [[, inner]] = copy.namedChildren();
    expectRefusal(() => (inner as Holder).hold('a', copy), 'ERR_INPUT', message('Holder that does'));
  });

  it('is refused of modules that were frozen too', () => {
    const inner = new Holder();
    Object.freeze(inner);
    const outer = new Holder().hold('a', inner);
    expectRefusal(() => inner.hold('a', outer), 'ERR_INPUT', message('Holder that does'));
    expect(() => inner.hold('b', new ReLU())).not.toThrow();
  });

  it('is none where a module is used twice, or was let go', () => {
    const shared = new ReLU();
    const [outer, inner] = [new Holder(), new Holder()];
    outer.hold('a', inner).hold('b', shared);
    inner.hold('a', shared);
    expect([...outer.namedModules()].map(([path]) => path)).toEqual(['', 'a', 'a.a']);
    outer.letGo('a');
    inner.hold('outer', outer);
    expect([...inner.namedModules()].map(([path]) => path)).toEqual(['', 'a', 'outer']);
  });
});

describe('a value of an earlier reading', () => {
  /** Computes once, and gives what it got then ever after. */
  class Keeping extends Module {
    readonly conv = this.child('conv', new Conv2d(1, 1, 3, { padding: 1 }));
    readonly uses: 'as it is' | 'in another word';
    kept: unknown;

    constructor(uses: Keeping['uses']) {
      super();
      this.uses = uses;
      this.eval();
    }

    override compute<X>(f: Ops<X>, input: X): X {
      const kept = this.kept as X | undefined;
      this.kept ??= this.conv.compute(f, input);
      return kept === undefined ? (this.kept as X) : this.uses === 'as it is' ? kept : f.relu(kept);
    }
  }

  it.each(['as it is', 'in another word'] as const)('is refused when it comes back %s', (uses) => {
    const model = new Keeping(uses);
    trace(model, inputs);
    for (const read of [
      () => trace(model, inputs),
      () => compileSync(model, { inputs }),
      () => toOnnx(model, { inputs }),
    ])
      expect(refusalOf(read).code).toBe('ERR_INPUT');
  });

  it('is no branch of a block', () => {
    class KeepingBlock extends ReparamBlock {
      private readonly branch = this.child('branch', new Keeping('as it is'));

      constructor() {
        super(1, 'reparam');
      }

      protected override branches<X>(f: Ops<X>, input: X): X {
        return this.branch.compute(f, input);
      }

      protected override finish<X>(_: Ops<X>, input: X): X {
        return input;
      }

      protected override removeBranches(): void {
        this.removeChild('branch');
      }
    }
    const block = new KeepingBlock().eval();
    block.fold();
    expect(block.fold()).toMatchObject({ code: 'DIFFERENT_SOURCES', detail: 'a value of an earlier reading' });
  });

  it('is in no graph, whoever puts it together', () => {
    const { inputs: given, nodes, outputs } = trace(new Sequential(new ReLU(), new ReLU()), inputs);
    const [first, second] = nodes;
    const refused = (made: readonly Value[], of: typeof nodes, results = outputs): RepconvError =>
      refusalOf(() => new Graph(made, results, of));
    expect(refused([], nodes)).toMatchObject({
      code: 'ERR_INPUT',
      message:
        'graph: relu expects an input, a constant or a result of a node before it, got another value of shape [1,1,4,4]',
    });
    expect(refused(given, [second, first]).message).toMatch(/^graph: relu expects/);
    expect(refused(given, [second]).message).toMatch(/^graph: relu expects/);
    expect(refused(given, [first]).message).toMatch(/^graph: output output expects/);
    expect(new Graph(given, outputs, nodes).nodes).toBe(nodes);
  });
});

it('a tree of 2,000 modules is copied and fused', () => {
  const tree = deep(2000);
  const block = [...tree.namedModules()][2000][1];
  const copy = tree.copy();
  expect([...copy.namedTensors()].map(([key]) => key)).toEqual([...tree.namedTensors()].map(([key]) => key));
  expect(copy.stateDict().values().next().value).not.toBe(tree.stateDict().values().next().value);
  const { model, report } = repconv(tree);
  expect(report).toMatchObject({ fused: 1, left: 0 });
  const weightOf = (fused: Module): AnyTensor => [...fused.namedParameters()][0][1];
  expect(isIdentical(weightOf(model), weightOf(repconv(block).model))).toBe(true);
});

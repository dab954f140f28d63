/** Modules that hold modules. */
import { isIterable, refused } from '../../checks.js';
import { RepconvError } from '../../errors.js';
import type { Ops } from '../../ops/vocabulary.js';
import { isPlainObject } from '../../options.js';
import { Module } from '../module.js';

/**
 * One module after the other, each reading what the one before it gives. Keys begin with their places (`0`, `1`, …) or,
 * given a record, with their names.
 *
 * @example
 * ```ts
 * import { Conv2d, randn, ReLU, Sequential } from 'repconv';
 *
 * const net = new Sequential(new Conv2d(3, 8, 3, { padding: 1 }), new ReLU());
 * console.log(net.forward(randn([1, 3, 5, 7])).shape); // [ 1, 8, 5, 7 ]
 * const named = new Sequential({ conv: new Conv2d(3, 8, 1), relu: new ReLU() });
 * console.log([...named.stateDict().keys()].join()); // conv.weight,conv.bias
 * ```
 */
export class Sequential extends Module {
  /** @throws ERR_INPUT for what is no module, and for names with a dot */
  constructor(...modules: readonly Module[] | [Readonly<Record<string, Module>>]) {
    super();
    const [first] = modules;
    const named =
      modules.length === 1 && isPlainObject(first)
        ? Object.entries(first as Record<string, Module>)
        : (modules as Module[]).map((module, i) => [String(i), module] as const);
    for (const [name, module] of named) this.child(name, module);
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return [...this.namedChildren()].reduce((value, [, module]) => module.compute(f, value), x);
  }
}

/**
 * A numbered list of modules, with keys `0`, `1`, …; what is done with them, the `compute` of the module around it
 * says.
 */
export class ModuleList extends Module {
  /** @throws ERR_INPUT */
  constructor(modules: Iterable<Module>) {
    super();
    if (!isIterable(modules)) throw refused('ModuleList:', 'a list of modules', modules);
    let count = 0;
    for (const module of modules) this.child(String(count++), module);
  }

  /** The modules in their order. */
  *[Symbol.iterator](): Generator<Module> {
    for (const [, module] of this.namedChildren()) yield module;
  }

  /** A list computes nothing by itself. @throws ERR_UNSUPPORTED */
  override compute<X>(): X {
    throw new RepconvError('ERR_UNSUPPORTED', 'ModuleList: a list of modules computes nothing by itself');
  }

  protected override get printsAsList(): boolean {
    return true;
  }
}

/** Modules that hold modules. */
import { isIterable, refused } from '../../checks.js';
import { RepconvError } from '../../errors.js';
import type { Ops } from '../../ops/vocabulary.js';
import { isPlainObject } from '../../options.js';
import { Module } from '../module.js';

/** One module after the other; keys begin with their places (`0`, `1`, …) or, given a record, their names. */
export class Sequential extends Module {
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

/** A numbered list of modules; what is done with them, the module around it says. */
export class ModuleList extends Module {
  constructor(modules: Iterable<Module>) {
    super();
    if (!isIterable(modules)) throw refused('ModuleList:', 'a list of modules', modules);
    let count = 0;
    for (const module of modules) this.child(String(count++), module);
  }

  *[Symbol.iterator](): Generator<Module> {
    for (const [, module] of this.namedChildren()) yield module;
  }

  override compute<X>(): X {
    throw new RepconvError('ERR_UNSUPPORTED', 'ModuleList: a list of modules computes nothing by itself');
  }

  protected override get printsAsList(): boolean {
    return true;
  }
}

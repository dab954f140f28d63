/**
 * Whether a copy is its own: what copying could not see through is found out by listening to what the copy would
 * compute with, and named.
 */
import { types } from 'node:util';
import { listed, printable, RepconvError, shown } from '../errors.js';
import type { Traceable } from '../ops/traceable.js';
import { type AnyTensor, Tensor } from '../tensor/tensor.js';
import { type Copied, entriesOf, entryName, fieldName, ownProperties, placeName } from './copy.js';
import { type Audible, type Heard, heardFrom, listen, listenBelow, type Outcome } from './listening.js';
import { remembered } from './remembered.js';

/** A module, as far as it matters here. */
interface Part extends Audible {
  readonly typeName: string;
  training: boolean;
}

/** A module of a copy, and the one it is a copy of. */
export interface CopiedModule {
  /** In the tree; empty for its root. */
  readonly path: string;
  readonly original: Part;
  readonly copy: Part;
}

/** What messages need. */
export interface OwnershipOptions {
  /** How they begin. */
  readonly operation: string;
  /** What else the caller may do, as the end of a sentence. */
  readonly otherwise?: string;
  readonly tensorNames: ReadonlyMap<AnyTensor, string>;
}

/**
 * Reads a copy in both modes, and its original in evaluation mode, for comparison. What the original cannot say either
 * (a list of modules) is passed over.
 * @param modules all of the tree
 * @param roots those that are read, with what is below them
 * @throws ERR_UNSUPPORTED where a copy would compute with tensors of the original, cannot compute, or computes
 * something else; ERR_LIMIT
 */
export function checkOwn(
  modules: readonly CopiedModule[],
  roots: readonly CopiedModule[],
  copied: Copied<object>,
  options: OwnershipOptions,
): void {
  const pairs = new Map(modules.map((pair) => [pair.copy, pair]));
  for (const training of [false, true]) {
    const heard = inMode(copiesOf(modules), training, () =>
      roots.flatMap(({ copy }) => [...listenBelow(copy, options.operation)]),
    );
    const read = heard.flatMap(([copy, outcome]) => {
      const pair = pairs.get(copy);
      return pair === undefined ? [] : [{ pair, outcome }];
    });
    if (firstFault(read, training, modules, copied, options) === null) continue;
    // The module furthest down says it best.
    const all = inMode(copiesOf(modules), training, () =>
      [...modules].reverse().map((pair) => ({ pair, outcome: listen(pair.copy, options.operation) })),
    );
    const fault = firstFault(all, training, modules, copied, options) ?? { pair: modules[0], differs: true };
    throw inMode(copiesOf(modules), training, () => refusalOf(fault, modules, copied, options));
  }
}

/** What is wrong with a module of a copy. */
type Fault = { readonly pair: CopiedModule } & (
  | { readonly error: unknown }
  | { readonly foreign: AnyTensor }
  | { readonly differs: true }
);

/** What the copy of a module says. */
interface Read {
  readonly pair: CopiedModule;
  readonly outcome: Outcome;
}

function firstFault(
  read: readonly Read[],
  training: boolean,
  modules: readonly CopiedModule[],
  copied: Copied<object>,
  { operation }: OwnershipOptions,
): Fault | null {
  // In training a sentence may well say another thing each time.
  const compared = read.filter(({ outcome }) => !training || 'error' in outcome).map(({ pair }) => pair);
  const originals = originalsSay(compared, training, modules, copied, operation);
  for (const { pair, outcome } of read) {
    const original = originals.get(pair);
    if ('error' in outcome) {
      if (original !== undefined && 'tensors' in original) return { pair, error: outcome.error };
      continue;
    }
    const foreign = [...outcome.tensors].find((tensor) => copied.copies.has(tensor));
    if (foreign !== undefined) return { pair, foreign };
    if (original !== undefined && 'tensors' in original && !isSame(original, outcome, copied))
      return { pair, differs: true };
  }
  return null;
}

/** What the originals say. They are as they were afterwards, even if their sentences count how often they were said. */
function originalsSay(
  pairs: readonly CopiedModule[],
  training: boolean,
  modules: readonly CopiedModule[],
  { copies }: Copied<object>,
  operation: string,
): ReadonlyMap<CopiedModule, Outcome> {
  if (pairs.length === 0) return new Map();
  const state = remembered(copies.keys());
  try {
    return inMode(
      modules.map(({ original }) => original),
      training,
      () => new Map(pairs.map((pair) => [pair, listen(pair.original, operation)])),
    );
  } finally {
    state.restore();
  }
}

function copiesOf(modules: readonly CopiedModule[]): Part[] {
  return modules.map(({ copy }) => copy);
}

/** Reads with all modules in one mode, but for frozen ones; then they have their own modes again. */
function inMode<T>(modules: readonly Part[], training: boolean, read: () => T): T {
  const others = modules.filter((module) => module.training !== training);
  for (const module of others) Reflect.set(module, 'training', training);
  try {
    return read();
  } finally {
    for (const module of others) Reflect.set(module, 'training', !training);
  }
}

/** Whether both apply the same operators, and lift tensors of which one is the copy of the other. */
function isSame(original: Heard, copy: Heard, { copies }: Copied<object>): boolean {
  const expected = new Set([...original.tensors].flatMap((tensor) => copies.get(tensor) ?? []));
  const own = new Set(copies.values());
  const found = [...copy.tensors].filter((tensor) => own.has(tensor));
  return (
    original.operators.length === copy.operators.length &&
    original.operators.every((operator, i) => operator === copy.operators[i]) &&
    found.length === expected.size &&
    found.every((tensor) => expected.has(tensor))
  );
}

function refusalOf(
  fault: Fault,
  modules: readonly CopiedModule[],
  copied: Copied<object>,
  { operation, otherwise = '', tensorNames }: OwnershipOptions,
): RepconvError {
  const { pair } = fault;
  const fields = fieldsInTheWay(pair.copy, copied, new Map(modules.map(({ path, original }) => [original, path])));
  const [who, found] = [nameOf(pair), 'error' in fault ? messageOf(fault.error) : ''];
  const what =
    'foreign' in fault
      ? `would compute with ${printable(tensorNames.get(fault.foreign) ?? String(fault.foreign), 100)} of the original`
      : 'error' in fault
        ? `cannot compute what it does: ${found}`
        : 'computes something else';
  return new RepconvError(
    'ERR_UNSUPPORTED',
    `${operation}: a copy of ${who} ${what}${advice(fields, found)}${otherwise}`,
    'error' in fault ? { cause: fault.error } : {},
  );
}

function messageOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : shown(error));
}

/**
 * Refuses methods that are bound to the original: in a copy, `forward` or `eval` would be the original's.
 * @throws ERR_UNSUPPORTED
 */
export function checkMethods(modules: readonly CopiedModule[], { operation, otherwise = '' }: OwnershipOptions): void {
  for (const pair of modules) {
    const { path, copy } = pair;
    const bound = ownProperties(copy).find(
      ([key, { value }]) => isTied(value) && key in Object.getPrototypeOf(copy) && !sentences.has(key),
    );
    if (bound === undefined) continue;
    const name = `${path}${fieldName(copy, bound[0])}`.replace(/^\./, '');
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${operation}: a copy of ${nameOf(pair)} would act on the original${advice([{ name, kind: 'function' }])}${otherwise}`,
    );
  }
}

/** Methods that {@link checkOwn} hears. */
const sentences: ReadonlySet<unknown> = new Set(['compute', 'branches', 'finish']);

/** Whether a function has a `this` of its own: bound ones say so in their names, arrows by how they are written. */
function isTied(value: unknown): boolean {
  if (typeof value !== 'function' || Object.hasOwn(value, 'prototype')) return false;
  const isArrow = /^(async\s*)?(\(|[\p{ID_Continue}$]+\s*=>)/u.test(Function.prototype.toString.call(value));
  return isArrow || value.name.startsWith('bound ');
}

function nameOf({ path, original }: CopiedModule): string {
  return printable(path === '' ? original.typeName : `${path} (${original.typeName})`, 100);
}

/** A field of the copy that holds what the original's holds. */
interface SharedField {
  readonly name: string;
  readonly kind: 'function' | 'object' | 'accessor';
}

/**
 * The shared fields through which a reading comes to a foreign tensor, or to its end: the innermost function among them
 * that is running then, or else all that were touched. The copy is spoilt by it.
 */
function fieldsInTheWay(
  sentence: Traceable,
  { copies, sight }: Copied<object>,
  names: ReadonlyMap<object, string>,
): readonly SharedField[] {
  const touched = new Set<SharedField>();
  const running: SharedField[] = [];
  let found: readonly SharedField[] | null = null;
  const find = (): void => {
    found ??= running.length > 0 ? running.slice(-1) : [...touched];
  };
  const run = (field: SharedField, call: () => unknown): unknown => {
    touched.add(field);
    running.push(field);
    try {
      return call();
    } catch (error) {
      find();
      throw error;
    } finally {
      running.pop();
    }
  };
  const watched = (value: object, field: SharedField): object => {
    if (typeof value === 'function')
      return new Proxy(value, {
        apply: (target, self, args) => run(field, () => Reflect.apply(target as () => unknown, self, args)),
      });
    return new Proxy(Object.create(Object.getPrototypeOf(value)), {
      get(_, key) {
        touched.add(field);
        const part: unknown = Reflect.get(value, key, value);
        if (typeof part !== 'function') return part;
        return (...args: unknown[]) => run(field, () => Reflect.apply(part, value, args));
      },
      has: (_, key) => Reflect.has(value, key),
    });
  };

  const own = new Set(copies.values());
  const isShared = (value: unknown): value is object =>
    typeof value === 'function' || (typeof value === 'object' && value !== null && !own.has(value));
  const kindOf = (value: object): SharedField['kind'] => (typeof value === 'function' ? 'function' : 'object');
  for (const [original, copy] of copies) {
    if (copy instanceof Tensor || types.isTypedArray(copy)) continue;
    const nameIn = (name: string): string => `${placeName(original, sight, names, '')}${name}`.replace(/^\./, '');
    for (const [key, property] of ownProperties(copy)) {
      const { value, get } = property;
      const name = nameIn(fieldName(copy, key));
      if (isShared(value))
        Reflect.defineProperty(copy, key, { ...property, value: watched(value, { name, kind: kindOf(value) }) });
      if (get !== undefined)
        Reflect.defineProperty(copy, key, {
          ...property,
          get() {
            return run({ name, kind: 'accessor' }, () => Reflect.apply(get, this, []));
          },
        });
    }
    for (const [key, value] of [...entriesOf(copy)])
      if (types.isMap(copy) && isShared(value))
        Map.prototype.set.call(copy, key, watched(value, { name: nameIn(entryName(key, value)), kind: kindOf(value) }));
  }
  try {
    heardFrom(sentence, (tensor) => {
      if (copies.has(tensor)) find();
    });
  } catch {
    find();
  }
  return found ?? [];
}

/** What to say where the engine's `message` names a field that a copy has not; nothing where it names none. */
export function privateFieldAdvice(message: string): string {
  const [name] = /#[\p{ID_Continue}$]+/u.exec(message) ?? [];
  if (name === undefined) return '';
  return `; a field with # cannot be copied, call it _${name.slice(1)} (in TypeScript, declare it private)`;
}

/** What is in the way, and what to do about it. */
function advice(fields: readonly SharedField[], message = ''): string {
  const aboutPrivate = privateFieldAdvice(message);
  if (aboutPrivate !== '') return aboutPrivate;
  if (fields.length === 0)
    return ', through something that no field shows, such as a # field or a variable beside the class; keep that in a field without #';
  const through = `, through ${fields.length === 1 ? 'the field' : 'one of the fields'} ${listed(fields.map(({ name }) => name))}`;
  return `${through}; ${remedies[fields[0].kind]}`;
}

const remedies = {
  function: 'a function in a field goes on working for the object that it was made for, so make it a method',
  object: 'what it holds cannot be seen from outside, so keep that in fields without #, in arrays or in maps',
  accessor: 'it goes on working for the object that it was made for, so make it an accessor of the class',
} as const;

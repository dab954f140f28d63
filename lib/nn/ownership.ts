/**
 * Whether a copy is its own: what copying could not see through is found out by listening to what the copy would
 * compute with, and named.
 */
import { types } from 'node:util';
import { listed, printable, RepconvError, shown } from '../errors.js';
import type { Traceable } from '../ops/traceable.js';
import { type AnyTensor, Tensor } from '../tensor/tensor.js';
import { type Copied, entriesOf, entryName, fieldName, ownProperties, placeName } from './copy.js';
import { heardFrom, listen } from './listening.js';
import { remembered } from './remembered.js';

/** A module of a copy, and the one it is a copy of. */
export interface CopiedModule {
  /** In the tree; empty for its root. */
  readonly path: string;
  readonly typeName: string;
  readonly original: Traceable;
  readonly copy: Traceable;
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
 * Reads each module by itself, inner ones first. One that the original cannot read either (a list of modules) is passed
 * over.
 * @throws ERR_UNSUPPORTED where a copy would compute with tensors of the original, or cannot compute
 */
export function checkOwn(
  modules: readonly CopiedModule[],
  copied: Copied<object>,
  { operation, otherwise = '', tensorNames }: OwnershipOptions,
): void {
  const isForeign = (tensor: AnyTensor): boolean => copied.copies.has(tensor);
  const names = new Map(modules.map(({ path, original }) => [original as object, path]));
  for (const { path, typeName, original, copy } of [...modules].reverse()) {
    const outcome = listen(copy);
    const name = printable(path === '' ? typeName : `${path} (${typeName})`, 100);
    if ('error' in outcome) {
      if (!canRead(original, copied)) continue;
      const fields = fieldsInTheWay(copy, copied, names, () => false);
      const found = printable(outcome.error instanceof Error ? outcome.error.message : shown(outcome.error));
      throw new RepconvError(
        'ERR_UNSUPPORTED',
        `${operation}: a copy of ${name} cannot compute what it does: ${found}${advice(fields, found)}${otherwise}`,
        { cause: outcome.error },
      );
    }
    const stray = [...outcome.heard].find(isForeign);
    if (stray === undefined) continue;
    const fields = fieldsInTheWay(copy, copied, names, isForeign);
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${operation}: a copy of ${name} would compute with ${printable(tensorNames.get(stray) ?? String(stray), 100)} of the original${advice(fields)}${otherwise}`,
    );
  }
}

/** Whether the original can be read. It is as it was afterwards, even if its sentence counts how often it was said. */
function canRead(original: Traceable, { copies }: Copied<object>): boolean {
  const state = remembered(copies.keys());
  const outcome = listen(original);
  state.restore();
  return 'heard' in outcome;
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
  isForeign: (tensor: AnyTensor) => boolean,
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
      if (isForeign(tensor)) find();
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
    return ', through something that none of its fields shows, such as a variable beside the class; keep it in a field';
  const through = `, through ${fields.length === 1 ? 'the field' : 'one of the fields'} ${listed(fields.map(({ name }) => name))}`;
  return `${through}; ${remedies[fields[0].kind]}`;
}

const remedies = {
  function: 'a function in a field goes on working for the object that it was made for, so make it a method',
  object: 'what it holds cannot be seen from outside, so keep that in fields without #, in arrays or in maps',
  accessor: 'it goes on working for the object that it was made for, so make it an accessor of the class',
} as const;

/**
 * Copies of what hangs together: an object, and all that belongs to it.
 *
 * Modules, arrays, maps, sets and plain objects are copied wherever they stand. An object of any other class is copied
 * where it leads to a module or a tensor, and shared where it does not, as are all functions. What is shared without
 * being seen through (a function, a `#` field, a WeakMap) may lead back to the original; ownership.ts finds that out.
 */
import { types } from 'node:util';
import { isInstance } from '../checks.js';
import { printable, RepconvError } from '../errors.js';
import { isPlainObject } from '../options.js';
import { isDetached, Tensor } from '../tensor/tensor.js';

/** Where something was met first: in what, and under which name there, such as `.run`, `[0]` or `.get("stem")`. */
export interface Place {
  readonly holder: object;
  readonly name: string;
}

/** All objects that can be seen from one, in the order in which they were met, with their places. */
export type Sight = ReadonlyMap<object, Place | null>;

/** A copy, and what was copied for it. */
export interface Copied<T extends object> {
  readonly root: T;
  /** Every object that was copied, with its copy. */
  readonly copies: ReadonlyMap<object, object>;
  readonly sight: Sight;
}

export interface CopyOptions {
  /** Which objects are modules, by which objects of classes are judged. */
  readonly isModule: (value: object) => boolean;
  /** What modules are called in messages, which begin with `operation`. */
  readonly names: ReadonlyMap<object, string>;
  readonly operation: string;
  /** The copy has the original's tensors and arrays of numbers, instead of its own. */
  readonly sharesNumbers?: boolean;
}

/**
 * A copy of `root`: its own objects, shared among themselves exactly where the original's are, with all their fields,
 * those under symbols and accessors too, and frozen where the original is.
 * @throws ERR_UNSUPPORTED for a proxy that leads to a module or a tensor: what its handler does, no copy could
 */
export function copied<T extends object>(
  root: T,
  { isModule, names, operation, sharesNumbers = false }: CopyOptions,
): Copied<T> {
  const sight = seenFrom(root);
  const leading = leadingTo(sight, isModule);
  const copies = new Map<object, object>();
  const waiting: object[] = [];

  const copyOf = (value: unknown): unknown => {
    if (!isObject(value)) return value;
    const known = copies.get(value);
    if (known !== undefined) return known;
    if (types.isProxy(value)) {
      if (!leading.has(value)) return value;
      throw new RepconvError(
        'ERR_UNSUPPORTED',
        `${operation}: ${placeName(value, sight, names)} is a Proxy, which cannot be copied; keep what it stands for in its place`,
      );
    }
    if (value instanceof Tensor || types.isTypedArray(value))
      return sharesNumbers ? value : copyOfNumbers(value, copies);
    if (!isContainer(value) && !leading.has(value)) return value;
    const copy = emptyLike(value);
    copies.set(value, copy);
    waiting.push(value);
    return copy;
  };
  const copy = copyOf(root) as T;
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop())
    fill(copies.get(value) as object, value, copyOf);
  return { root: copy, copies, sight };
}

/** All objects that can be seen from `root`: in fields, but not in accessors, and in arrays, maps and sets. */
export function seenFrom(root: object): Sight {
  const sight = new Map<object, Place | null>([[root, null]]);
  for (const holder of sight.keys())
    for (const [name, part] of partsOf(holder)) if (!sight.has(part)) sight.set(part, { holder, name });
  return sight;
}

/**
 * The way to something that was seen, from the nearest of the objects that have names of their own: `stem.lists[0]`.
 * @param rootName what is said where there is no way to go and no name
 */
export function placeName(
  value: object,
  sight: Sight,
  names: ReadonlyMap<object, string>,
  rootName = 'the model',
): string {
  const way: string[] = [];
  let at = value;
  for (let place = sight.get(at); place && !names.has(at); place = sight.get(at)) {
    way.unshift(place.name);
    at = place.holder;
  }
  return printable(`${names.get(at) ?? ''}${way.join('')}`.replace(/^\./, '') || rootName);
}

/** The objects that something holds, with their names in it. Functions and accessors are not seen through. */
function* partsOf(holder: object): Generator<[string, object]> {
  if (!types.isProxy(holder) && (holder instanceof Tensor || isOpaque(holder))) return;
  for (const [key, { value }] of ownProperties(holder)) if (isObject(value)) yield [fieldName(holder, key), value];
  for (const [key, value] of entriesOf(holder)) {
    if (isObject(key) && key !== value) yield ['.keys()', key];
    if (isObject(value)) yield [entryName(key, value), value];
  }
}

/** `.run`, `[0]`, `[Symbol(run)]`. */
export function fieldName(holder: object, key: string | symbol): string {
  if (typeof key === 'symbol') return `[${String(key)}]`;
  return Array.isArray(holder) ? `[${key}]` : `.${key}`;
}

/** `.get("stem")`; of a set, `.values()`. */
export function entryName(key: unknown, value: unknown): string {
  return key === value ? '.values()' : `.get(${typeof key === 'string' ? JSON.stringify(key) : '…'})`;
}

/** Keys and values of a map, values of a set twice, as their own methods may have been replaced. */
export function entriesOf(holder: object): Iterable<[unknown, unknown]> {
  if (types.isMap(holder)) return Map.prototype.entries.call(holder);
  return types.isSet(holder) ? Set.prototype.entries.call(holder) : [];
}

/** All own properties; of a proxy that does not show them, none. */
export function ownProperties(holder: object): [string | symbol, PropertyDescriptor][] {
  try {
    return Reflect.ownKeys(holder).map((key) => [key, Reflect.getOwnPropertyDescriptor(holder, key) ?? {}]);
  } catch (error) {
    if (types.isProxy(holder)) return [];
    throw error;
  }
}

/** Tensors and modules, and all from which one can be seen. */
function leadingTo(sight: Sight, isModule: (value: object) => boolean): ReadonlySet<object> {
  const holders = new Map<object, object[]>();
  for (const holder of sight.keys()) {
    for (const [, part] of partsOf(holder)) {
      const known = holders.get(part);
      if (known === undefined) holders.set(part, [holder]);
      else known.push(holder);
    }
  }
  const leading = new Set([...sight.keys()].filter((value) => isInstance(value, Tensor) || isModule(value)));
  for (const value of leading) for (const holder of holders.get(value) ?? []) leading.add(holder);
  return leading;
}

/** Tensors over one array stay so, and a field that holds a tensor's array holds that of the copy. */
function copyOfNumbers(value: Tensor | NodeJS.TypedArray, copies: Map<object, object>): object {
  const numbers = value instanceof Tensor ? value.data : value;
  const own = (copies.get(numbers) ?? sliced(numbers)) as NodeJS.TypedArray;
  copies.set(numbers, own);
  const copy = value instanceof Tensor ? new Tensor(value.dtype, value.shape, own as typeof value.data) : own;
  copies.set(value, copy);
  return copy;
}

/** Their own memory, which `slice` of a Buffer does not give; of an array whose memory was taken away, itself. */
function sliced(numbers: NodeJS.TypedArray): NodeJS.TypedArray {
  return isDetached(numbers) ? numbers : typedArray.slice.call(numbers);
}

const typedArray: Uint8Array = Object.getPrototypeOf(Uint8Array.prototype);

function emptyLike(value: object): object {
  const prototype: object | null = Object.getPrototypeOf(value);
  if (Array.isArray(value)) return Object.setPrototypeOf([], prototype);
  if (types.isMap(value)) return Object.setPrototypeOf(new Map(), prototype);
  if (types.isSet(value)) return Object.setPrototypeOf(new Set(), prototype);
  return Object.create(prototype);
}

function fill(copy: object, original: object, copyOf: (value: unknown) => unknown): void {
  for (const [key, property] of ownProperties(original))
    Object.defineProperty(copy, key, 'value' in property ? { ...property, value: copyOf(property.value) } : property);
  for (const [key, value] of entriesOf(original)) {
    if (types.isMap(copy)) Map.prototype.set.call(copy, copyOf(key), copyOf(value));
    else Set.prototype.add.call(copy, copyOf(value));
  }
  if (!Object.isExtensible(original)) Object.preventExtensions(copy);
}

function isContainer(value: object): boolean {
  if (types.isProxy(value) || isOpaque(value)) return false;
  return Array.isArray(value) || types.isMap(value) || types.isSet(value) || isPlainObject(value);
}

/** Objects whose essence is not in their fields, and those that hold everybody's. */
function isOpaque(value: object): boolean {
  return (
    value === globalThis ||
    value === process ||
    value instanceof WeakRef ||
    ArrayBuffer.isView(value) ||
    [
      types.isAnyArrayBuffer,
      types.isBoxedPrimitive,
      types.isDate,
      types.isExternal,
      types.isGeneratorObject,
      types.isModuleNamespaceObject,
      types.isNativeError,
      types.isPromise,
      types.isRegExp,
      types.isWeakMap,
      types.isWeakSet,
    ].some((is) => is(value))
  );
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

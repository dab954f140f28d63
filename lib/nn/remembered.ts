/** What objects hold, to be put back: for what must leave them as they were, whatever a user's code does meanwhile. */
import { types } from 'node:util';
import { entriesOf, ownProperties } from './copy.js';

/** The state of some objects at one time. */
export interface Remembered {
  /** Whether one of them has other fields or entries now. */
  isChanged(): boolean;
  /** Gives all of them the fields and entries back that they had. */
  restore(): void;
}

/** Remembers the fields and entries of each object; not those of what stands in them, nor numbers in an array. */
export function remembered(objects: Iterable<object>): Remembered {
  const withFields = [...objects].filter((object) => !ArrayBuffer.isView(object));
  const states = withFields.map((object) => ({ object, before: stateOf(object) }));
  const changed = (): typeof states => states.filter(({ object, before }) => !isSame(stateOf(object), before));
  return {
    isChanged: () => changed().length > 0,
    restore() {
      for (const { object, before } of changed()) putBack(object, before);
    },
  };
}

interface State {
  readonly properties: ReadonlyMap<string | symbol, PropertyDescriptor>;
  readonly entries: readonly (readonly [unknown, unknown])[];
}

function stateOf(object: object): State {
  return { properties: new Map(ownProperties(object)), entries: [...entriesOf(object)] };
}

function isSame(a: State, b: State): boolean {
  return (
    a.properties.size === b.properties.size &&
    [...a.properties].every(([key, property]) => isSameProperty(property, b.properties.get(key))) &&
    a.entries.length === b.entries.length &&
    a.entries.every(([key, value], i) => Object.is(key, b.entries[i][0]) && Object.is(value, b.entries[i][1]))
  );
}

function isSameProperty(a: PropertyDescriptor, b: PropertyDescriptor | undefined): boolean {
  return b !== undefined && (['value', 'get', 'set', 'writable'] as const).every((part) => Object.is(a[part], b[part]));
}

function putBack(object: object, { properties, entries }: State): void {
  for (const [key] of ownProperties(object)) if (!properties.has(key)) Reflect.deleteProperty(object, key);
  for (const [key, property] of properties) Reflect.defineProperty(object, key, property);
  if (types.isMap(object)) {
    Map.prototype.clear.call(object);
    for (const [key, value] of entries) Map.prototype.set.call(object, key, value);
  }
  if (types.isSet(object)) {
    Set.prototype.clear.call(object);
    for (const [value] of entries) Set.prototype.add.call(object, value);
  }
}

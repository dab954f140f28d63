/**
 * Values from outside, checked: each function returns what it was given, typed, or refuses it with ERR_INPUT. `what`
 * begins the message: `Conv2d: groups`.
 */
import { listed, RepconvError, shown } from './errors.js';

/** A whole number from `least` to `most`. */
export function wholeNumber(value: unknown, what: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (isWholeNumber(value, least, most)) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${bound(most)}`;
  throw refused(what, `a whole number ${range}`, value);
}

/** Whether it is a whole number from `least` to `most`. */
export function isWholeNumber(value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

/** A finite number of at least `least`. */
export function finiteNumber(value: unknown, what: string, least = Number.NEGATIVE_INFINITY): number {
  if (Number.isFinite(value) && (value as number) >= least) return value as number;
  throw refused(what, `a finite number${least === Number.NEGATIVE_INFINITY ? '' : ` of at least ${least}`}`, value);
}

/** Any number, infinite ones and NaN among them. */
export function anyNumber(value: unknown, what: string): number {
  if (typeof value === 'number') return value;
  throw refused(what, 'a number', value);
}

/** True or false. */
export function flag(value: unknown, what: string): boolean {
  if (typeof value === 'boolean') return value;
  throw refused(what, 'true or false', value);
}

export function text(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw refused(what, 'text', value);
}

/** One of some texts. */
export function oneOf<T extends string>(value: unknown, known: readonly T[], what: string): T {
  if ((known as readonly unknown[]).includes(value)) return value as T;
  throw refused(what, `one of ${listed(known, 40)}`, value);
}

/** A list of one of some lengths, whose entries are what `isEntry` says; `expects` names them. */
export function listOf<T>(
  value: unknown,
  what: string,
  lengths: readonly number[],
  expects: string,
  isEntry: (entry: unknown) => entry is T,
): T[] {
  const entries = entriesOf(value, Math.max(...lengths));
  if (entries !== null && lengths.includes(entries.length) && entries.every(isEntry)) return entries;
  throw refused(what, `${lengths.join(' or ')} ${expects}`, value);
}

/** A copy of a list of at most `most` entries, in which holes are undefined; null for anything else. */
export function entriesOf(value: unknown, most: number): unknown[] | null {
  return isList(value) && value.length <= most ? Array.from(value) : null;
}

/** `instanceof`, which throws for a revoked proxy. */
export function isInstance<T>(value: unknown, of: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof of;
  } catch {
    return false;
  }
}

/** Whether `for … of` would take it; not numbers in memory, which are none of our lists and may be gone. */
export function isIterable(value: unknown): value is Iterable<unknown> {
  return !ArrayBuffer.isView(value) && hasMethod(value, Symbol.iterator);
}

/** Whether it can be asked for something; what cannot even be looked at cannot. */
export function hasMethod(value: unknown, name: PropertyKey): boolean {
  try {
    return typeof (value as Record<PropertyKey, unknown> | null | undefined)?.[name] === 'function';
  } catch {
    return false;
  }
}

/** `Array.isArray`, which throws for a revoked proxy. */
export function isList(value: unknown): value is unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** The refusal of a value: what was expected, and what came. */
export function refused(what: string, expected: string, value: unknown): RepconvError {
  return new RepconvError('ERR_INPUT', `${what} expects ${expected}, got ${shown(value)}`);
}

function bound(value: number): string {
  const exponent = Math.log2(value);
  return exponent >= 20 && Number.isInteger(exponent) ? `2^${exponent}` : String(value);
}

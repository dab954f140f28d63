/**
 * The one door for options: every object of them that the public interface takes is read here, own properties only, and
 * refused where it has a name that nobody knows, since a misspelt option would change nothing and nobody would notice.
 */
import { listed, RepconvError, shown } from './errors.js';

/** All options by name, with what each is where nobody says; `undefined` where that is for the caller to find out. */
type Defaults<O> = { readonly [N in keyof O]-?: O[N] | undefined };

/** The options as they were given, completed. */
type Completed<O, D> = {
  -readonly [N in keyof O]-?: N extends keyof D
    ? undefined extends D[N]
      ? O[N] | undefined
      : Exclude<O[N], undefined>
    : never;
};

/**
 * The options in a fresh object in which every name of `defaults` is there. What is left out or undefined takes its
 * default; what the values are, the caller checks. A getter that throws throws its own error.
 *
 *     const { stride, bias } = optionsOf(options, { stride: 1, bias: true }, 'Conv2d');
 *
 * @param given what a user handed over for options: anything
 * @param operation who asks, for the message; `role` is what the object is called there
 * @throws ERR_INPUT
 */
export function optionsOf<O extends object, const D extends Defaults<O>>(
  given: O | undefined,
  defaults: D,
  operation: string,
  role = 'options',
): Completed<O, D> {
  const completed: Record<string, unknown> = { ...defaults };
  if (given === undefined) return completed as Completed<O, D>;
  const known = Object.keys(defaults);
  if (!isPlainObject(given))
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: ${role} expects a plain object of ${listed(known, 20)}, got ${shown(given)}`,
    );
  const names = Object.keys(given);
  const unknown = names.filter((name) => !Object.hasOwn(defaults, name));
  if (unknown.length > 0)
    throw new RepconvError('ERR_INPUT', `${operation}: ${role} has no ${listed(unknown)}; ${advice(unknown, known)}`);
  for (const name of names) {
    const value = (given as Record<string, unknown>)[name];
    if (value !== undefined) completed[name] = value;
  }
  return completed as Completed<O, D>;
}

/**
 * Whether it is an object of names and values and nothing else: its prototype is null or an `Object.prototype`, of this
 * realm or another (Jest and `vm` run code in realms of their own). Reading any other by its own properties would read
 * half of it.
 */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  try {
    const prototype: unknown = Object.getPrototypeOf(value);
    return (
      prototype === null ||
      prototype === Object.prototype ||
      (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'hasOwnProperty'))
    );
  } catch {
    // A proxy that was revoked, or that says nothing about itself.
    return false;
  }
}

/** What to write in place of unknown names. */
function advice(unknown: readonly string[], known: readonly string[]): string {
  // As many as the message lists.
  const meant = [...new Set(unknown.slice(0, 8).flatMap((name) => nearest(name, known) ?? []))];
  return meant.length > 0 ? `did you mean ${meant.join(', ')}?` : `it has ${listed(known, 20)}`;
}

/** What PyTorch and ONNX call by another word, without its underscores; the axes both ways, as layers say `dim`. */
const otherWords: Readonly<Record<string, string>> = {
  dim: 'axis',
  startdim: 'startaxis',
  enddim: 'endaxis',
  axis: 'dim',
  startaxis: 'startdim',
  endaxis: 'enddim',
  inputnames: 'inputs',
  dynamicaxes: 'inputs',
  outputnames: 'outputs',
};

/** The known name that was probably meant, or undefined: `paddingMode` for `padding_mode`, `opset` for `opsett`. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string =>
    text
      .slice(0, 60)
      .replace(/[_\s-]/g, '')
      .toLowerCase();
  const given = plain(name);
  const isAnotherWord = Object.hasOwn(otherWords, given) && !known.some((candidate) => plain(candidate) === given);
  const word = isAnotherWord ? otherWords[given] : given;
  const isNear = (candidate: string): boolean => {
    const [short, long] = word.length < candidate.length ? [word, candidate] : [candidate, word];
    return (
      editDistance(short, long) <= short.length / 3 ||
      (short.length >= 3 && long.startsWith(short)) ||
      (short.length >= 4 && long.endsWith(short))
    );
  };
  return known
    .filter((candidate) => isNear(plain(candidate)))
    .sort((a, b) => editDistance(word, plain(a)) - editDistance(word, plain(b)))[0];
}

/** How many letters have to be put in, left out or exchanged to make `b` of `a`. Levenshtein 1966. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

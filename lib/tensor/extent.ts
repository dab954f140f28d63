/**
 * The algebra of extents: how long an axis is, as a number, or as a formula of symbols where it is known only at run
 * time.
 *
 * A formula is a polynomial with whole coefficients whose variables are symbols (`H`) and floor divisions of other
 * polynomials by a number (`(H+1)//2`, as Python writes it). Sums, products and floor divisions of formulas are
 * formulas again, and each is kept in one normal form:
 *
 *     ⌊(p + m·q) / m⌋ = q + ⌊p / m⌋            multiples leave a division: 0 ≤ every coefficient left in it < m
 *     ⌊(⌊p / m⌋ + b) / n⌋ = ⌊(p + m·b) / (m·n)⌋     divisions in a row are one
 *     ⌊(g·p + r) / (g·n)⌋ = ⌊(p + ⌊r / g⌋) / n⌋      common factors are cancelled
 *
 * Formulas of one normal form are one object, so `===` compares extents, numbers and formulas alike. Equal forms are
 * equal for all values of the symbols. Different ones may be equal for some: that is a condition, for whoever compares
 * them to keep ({@link differ} tells those that are equal for none).
 */
import { RepconvError } from '../errors.js';

/** Number of elements along one axis; a {@link Formula} where it is known only at run time. */
export type Extent = number | Formula;

/** What each symbol stands for. */
export type Bindings = ReadonlyMap<string, number>;

/** A variable of polynomials: a symbol, or ⌊numerator / divisor⌋. */
type Atom =
  | { readonly symbol: string; readonly text: string }
  | { readonly numerator: Polynomial; readonly divisor: number; readonly text: string };

/** coefficient · Π factors; the constant has no factors. */
interface Term {
  readonly coefficient: number;
  /** Sorted by their text. */
  readonly factors: readonly Atom[];
}

/** Terms of different factors, none of coefficient 0, sorted: the constant last. */
type Polynomial = readonly Term[];

/** A shape rule multiplies at most a few extents; more terms than this are no shape. */
const mostTerms = 256;

/** An extent that depends on symbols, in normal form; printed as Python writes it. */
export class Formula {
  /** Use {@link symbolic} and the functions of this file: one normal form is one object. */
  constructor(
    /** @internal */
    readonly terms: Polynomial,
    /** The formula as Python writes it: `(H+1)//2`. */
    readonly text: string,
  ) {}

  /** Its text. */
  toString(): string {
    return this.text;
  }

  /** Its text. */
  toJSON(): string {
    return this.text;
  }
}

/** The extent that `name` stands for. A name is a name: one that could be read as arithmetic is printed in braces. */
export function symbolic(name: string): Formula {
  const text = /^[\p{L}_][\p{L}\p{N}_]*$/u.test(name) ? name : `{${name}}`;
  return extentOf([{ coefficient: 1, factors: [{ symbol: name, text }] }]) as Formula;
}

/** a + b. */
export function plus(a: Extent, b: Extent): Extent {
  if (typeof a === 'number' && typeof b === 'number') return safe(a + b);
  return extentOf(sum([...termsOf(a), ...termsOf(b)]));
}

/** a − b. */
export function minus(a: Extent, b: Extent): Extent {
  return plus(a, times(b, -1));
}

/** a · b. */
export function times(a: Extent, b: Extent): Extent {
  if (typeof a === 'number' && typeof b === 'number') return safe(a * b);
  return extentOf(product(termsOf(a), termsOf(b)));
}

/** ⌊a / divisor⌋, for a whole divisor of at least 1. */
export function floorDivide(a: Extent, divisor: number): Extent {
  if (typeof a === 'number') return safe(Math.floor(a / divisor));
  return divisor === 1 ? a : extentOf(quotient(a.terms, divisor));
}

/** The number that an extent is when its symbols have these values; NaN where one has none. */
export function bind(extent: Extent, bindings: Bindings): number {
  return typeof extent === 'number' ? extent : valueAt(extent.terms, bindings);
}

/** Whether two extents are different whatever their symbols stand for: their difference is a number other than 0. */
export function differ(a: Extent, b: Extent): boolean {
  const difference = minus(a, b);
  return typeof difference === 'number' && difference !== 0;
}

/** The names of the symbols in an extent. */
export function symbolsOf(extent: Extent): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (terms: Polynomial): void => {
    for (const factor of terms.flatMap(({ factors }) => factors))
      if ('symbol' in factor) found.add(factor.symbol);
      else visit(factor.numerator);
  };
  if (typeof extent !== 'number') visit(extent.terms);
  return found;
}

function termsOf(extent: Extent): Polynomial {
  if (typeof extent !== 'number') return extent.terms;
  return extent === 0 ? [] : [{ coefficient: extent, factors: [] }];
}

/** Like terms collected. */
function sum(terms: Polynomial): Polynomial {
  const collected = new Map<string, Term>();
  for (const term of terms) {
    const key = keyOf(term);
    const coefficient = safe((collected.get(key)?.coefficient ?? 0) + term.coefficient);
    collected.set(key, { ...term, coefficient });
  }
  if (collected.size > mostTerms)
    throw new RepconvError('ERR_LIMIT', `shape: an extent expects at most ${mostTerms} terms, got ${collected.size}`);
  return [...collected]
    .filter(([, { coefficient }]) => coefficient !== 0)
    .sort(([a], [b]) => (a === '' ? 1 : b === '' ? -1 : a < b ? -1 : 1))
    .map(([, term]) => term);
}

function product(a: Polynomial, b: Polynomial): Polynomial {
  return sum(
    a.flatMap((x) =>
      b.map((y) => ({
        coefficient: safe(x.coefficient * y.coefficient),
        factors: [...x.factors, ...y.factors].sort((p, q) => (p.text < q.text ? -1 : p.text > q.text ? 1 : 0)),
      })),
    ),
  );
}

function quotient(terms: Polynomial, divisor: number): Polynomial {
  // What is a multiple of the divisor leaves the division.
  const whole = terms.map((term) => ({ ...term, coefficient: Math.floor(term.coefficient / divisor) }));
  const rest = sum(
    terms.map((term, i) => ({ ...term, coefficient: term.coefficient - divisor * whole[i].coefficient })),
  );
  return sum([...whole, ...fraction(rest, divisor)]);
}

/** ⌊rest / divisor⌋, where every coefficient of `rest` is at least 0 and below the divisor. */
function fraction(rest: Polynomial, divisor: number): Polynomial {
  const variable = rest.filter(({ factors }) => factors.length > 0);
  // What is left is a number below the divisor.
  if (variable.length === 0) return [];
  const constant = rest.find(({ factors }) => factors.length === 0)?.coefficient ?? 0;
  const common = variable.reduce((g, { coefficient }) => greatestCommonDivisor(g, coefficient), divisor);
  if (common > 1) {
    const reduced = variable.map((term) => ({ ...term, coefficient: term.coefficient / common }));
    const numerator = sum([...reduced, { coefficient: Math.floor(constant / common), factors: [] }]);
    return divisor === common ? numerator : quotient(numerator, divisor / common);
  }
  const [{ coefficient, factors }] = variable;
  const inner = variable.length === 1 && coefficient === 1 && factors.length === 1 ? factors[0] : undefined;
  if (inner !== undefined && 'divisor' in inner) {
    const numerator = sum([...inner.numerator, { coefficient: safe(inner.divisor * constant), factors: [] }]);
    return quotient(numerator, safe(inner.divisor * divisor));
  }
  return [{ coefficient: 1, factors: [{ numerator: rest, divisor, text: showQuotient(rest, divisor) }] }];
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function valueAt(terms: Polynomial, bindings: Bindings): number {
  const valueOfAtom = (atom: Atom): number =>
    'symbol' in atom
      ? (bindings.get(atom.symbol) ?? Number.NaN)
      : Math.floor(valueAt(atom.numerator, bindings) / atom.divisor);
  return terms.reduce(
    (total, { coefficient, factors }) =>
      total + factors.reduce((value, atom) => value * valueOfAtom(atom), coefficient),
    0,
  );
}

/** The formulas there are, by their text. They are held weakly: a formula that nobody has any more goes. */
const formulas = new Map<string, WeakRef<Formula>>();
const gone = new FinalizationRegistry<string>((text) => {
  if (formulas.get(text)?.deref() === undefined) formulas.delete(text);
});

/** The extent of a polynomial: a number where no symbol is left in it, else the one formula of its normal form. */
function extentOf(terms: Polynomial): Extent {
  if (terms.length === 0) return 0;
  if (terms.length === 1 && terms[0].factors.length === 0) return terms[0].coefficient;
  const text = showTerms(terms);
  const known = formulas.get(text)?.deref();
  if (known !== undefined) return known;
  const made = new Formula(terms, text);
  formulas.set(text, new WeakRef(made));
  gone.register(made, text);
  return made;
}

function keyOf({ factors }: Term): string {
  return factors.map(({ text }) => text).join('·');
}

/** `H*2+1`, `(H+1)//2`, `H//2*(W//2)`: what Python reads as the same number. */
function showTerms(terms: Polynomial): string {
  // A number beside one division goes back into it: `(H+2)//2` reads better than `H//2+1`.
  const [first, last] = terms;
  const division =
    terms.length === 2 && first.coefficient === 1 && first.factors.length === 1 ? first.factors[0] : null;
  if (division !== null && 'divisor' in division && last.factors.length === 0) {
    const inside = { coefficient: safe(division.divisor * last.coefficient), factors: [] };
    return showQuotient(sum([...division.numerator, inside]), division.divisor);
  }
  return terms
    .map((term, i) => {
      const text = showTerm(term);
      return i === 0 || text.startsWith('-') ? text : `+${text}`;
    })
    .join('');
}

function showQuotient(numerator: Polynomial, divisor: number): string {
  const isOneName = numerator.length === 1 && numerator[0].coefficient === 1 && numerator[0].factors.length === 1;
  return `${isOneName ? showTerms(numerator) : `(${showTerms(numerator)})`}//${divisor}`;
}

function showTerm({ coefficient, factors }: Term): string {
  if (factors.length === 0) return String(coefficient);
  // Read from the left, only the first factor may end in a division without parentheses.
  const shown = factors.map((atom, i) => (i > 0 && 'divisor' in atom ? `(${atom.text})` : atom.text));
  const magnitude = Math.abs(coefficient);
  return `${coefficient < 0 ? '-' : ''}${[...shown, ...(magnitude === 1 ? [] : [magnitude])].join('*')}`;
}

/** @throws ERR_LIMIT */
function safe(value: number): number {
  if (!Number.isSafeInteger(value))
    throw new RepconvError('ERR_LIMIT', 'shape: an extent expects numbers within 2^53, and one is beyond');
  // A negative zero would be another extent than 0.
  return value + 0;
}

/**
 * Shapes, and the little algebra of symbolic extents.
 *
 * An extent is a number, or a string for one that is known only at run time. Everything a convolution or a pooling does
 * to an extent is x → ⌊(x + a) / m⌋, and ⌊(⌊(x + a) / m⌋ + b) / n⌋ = ⌊(x + a + m·b) / (m·n)⌋, so an extent that depends
 * on the symbol H keeps one normal form, `H`, `H+2`, `(H+1)//2` (floor division, as Python writes it), and two branches
 * agree exactly when their strings do.
 */
import { entriesOf, isWholeNumber } from '../checks.js';
import { printable, RepconvError, shown } from '../errors.js';

/** Number of elements along one axis; a string where it is symbolic (`'N'`, `'(H+1)//2'`). */
export type Extent = number | string;
/** Extents, outermost first; images are [N, C, H, W]. */
export type Shape = readonly Extent[];

/** Most axes a tensor may have. */
export const maxRank = 32;

/** Product of the extents. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Steps between neighbours along each axis, in elements, for the dense row-major layout. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** `[1,64,56,56]`, as messages show it. */
export function showShape(shape: Shape | null | undefined): string {
  return shape == null ? 'none' : printable(`[${shape.slice(0, 2 * maxRank).join(',')}]`);
}

/** Whether two shapes are equal, symbols by their name. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** Whether no extent is symbolic. */
export function isConcrete(shape: Shape): shape is readonly number[] {
  return shape.every((extent) => typeof extent === 'number');
}

/** Guard for a shape that comes from outside: a list of non-negative whole numbers whose product is exact. */
export function checkedShape(shape: unknown, operation: string): number[] {
  const extents = entriesOf(shape, maxRank);
  if (extents === null || !extents.every((extent) => isWholeNumber(extent, 0)))
    throw new RepconvError(
      'ERR_SHAPE',
      `${operation}: shape expects up to ${maxRank} non-negative whole numbers, got ${shown(shape)}`,
    );
  checkedSize(extents, operation);
  return extents;
}

/** Product of the extents, refused beyond 2^53 (no intermediate product may round). */
export function checkedSize(shape: readonly number[], operation: string): number {
  let size = 1;
  let isEmpty = false;
  for (const extent of shape) {
    if (extent === 0) isEmpty = true;
    else size *= extent;
    if (!Number.isSafeInteger(size))
      throw new RepconvError('ERR_LIMIT', `${operation}: shape ${showShape(shape)} has more than 2^53 elements`);
  }
  return isEmpty ? 0 : size;
}

/** ⌊(extent + add) / divide⌋, exactly, for numbers and symbols alike. */
export function affineExtent(extent: Extent, add: number, divide = 1): Extent {
  if (typeof extent === 'number') return Math.floor((extent + add) / divide);
  const { symbol, add: a, divide: m } = parseExtent(extent);
  return showExtent(symbol, a + m * add, m * divide);
}

/** extent · factor + add, for the extents of transposed convolutions. */
export function scaledExtent(extent: Extent, factor: number, add: number): Extent {
  if (typeof extent === 'number') return extent * factor + add;
  if (factor === 1) return affineExtent(extent, add);
  return opaqueSymbol(`${extent}*${factor}${add === 0 ? '' : signed(add)}`);
}

/** An extent about which only equality of spelling is known. */
export function opaqueSymbol(text: string): string {
  return `{${text}}`;
}

/** The product of two extents. */
export function multiplyExtents(a: Extent, b: Extent): Extent {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  if (a === 1) return b;
  if (b === 1) return a;
  return opaqueSymbol(`${a}*${b}`);
}

/** The number an extent stands for when its symbols have the values of `bindings`. */
export function bindExtent(extent: Extent, bindings: ReadonlyMap<string, number>): number | undefined {
  if (typeof extent === 'number') return extent;
  const { symbol, add, divide } = parseExtent(extent);
  const value = bindings.get(symbol);
  return value === undefined ? undefined : Math.floor((value + add) / divide);
}

function parseExtent(extent: string): { symbol: string; add: number; divide: number } {
  const match = /^\((.+?)([+-]\d+)?\)\/\/(\d+)$/.exec(extent) ?? /^(.+?)([+-]\d+)?$/.exec(extent);
  if (match === null || /^\{.*\}$/.test(extent)) return { symbol: extent, add: 0, divide: 1 };
  return { symbol: match[1], add: Number(match[2] ?? 0), divide: Number(match[3] ?? 1) };
}

function showExtent(symbol: string, add: number, divide: number): string {
  const sum = `${symbol}${add === 0 ? '' : signed(add)}`;
  return divide === 1 ? sum : `(${sum})//${divide}`;
}

function signed(n: number): string {
  return n < 0 ? `${n}` : `+${n}`;
}

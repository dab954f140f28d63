/** Shapes: lists of extents, checked, compared and shown. What an extent is, is in extent.ts. */
import { entriesOf, isWholeNumber } from '../checks.js';
import { printable, RepconvError, shown } from '../errors.js';
import { type Extent, symbolic } from './extent.js';

/** Extents, outermost first; images are [N, C, H, W]. */
export type Shape = readonly Extent[];

/** A shape as people write it: a name stands for an extent that is known only later, `['N', 3, 'H', 'W']`. */
export type OpenShape = readonly (number | string)[];

/** The shape that somebody wrote. */
export function shapeOf(written: OpenShape): Shape {
  return written.map((extent) => (typeof extent === 'string' ? symbolic(extent) : extent));
}

/** The shape as people write it. */
export function writtenShape(shape: Shape): OpenShape {
  return shape.map((extent) => (typeof extent === 'number' ? extent : extent.text));
}

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

/** Whether two shapes are equal for all values of their symbols. */
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

/**
 * Where an impulse goes: of every value, the box of pixels that it reaches, and the moves of every step between them.
 *
 * Everything here is a product of axes: a box is an interval along each, and a pixel's moves are what its index along
 * each axis reaches. So two impulses whose indices see the same taps along each axis have the same moves between the
 * same pixels, and are answered by the same numbers, only elsewhere on the map. One of them is computed for all.
 */
import type { Layout } from '../engine/answers.js';
import type { Axis, Recorded } from './impulse.js';

/** The layouts of all impulses of the map, each once, and how many positions there are. */
export function impulseLayouts(recorded: Recorded): { layouts: Layout[]; positions: number } {
  const extents = recorded.extents[0];
  const places = extents.map((extent, axis) => distinctIndices(recorded, axis, extent));
  return {
    layouts: product(places).map((position) => layoutAt(recorded, position)),
    positions: extents.reduce((count, extent) => count * extent, 1),
  };
}

/** The layout of an impulse at one position. */
export function layoutAt(recorded: Recorded, position: readonly number[]): Layout {
  return layoutOf(recorded, boxesOf(recorded, position), false);
}

/** The layout of the zero image, which no pixel enters. */
export function zeroLayout(recorded: Recorded): Layout {
  return layoutOf(recorded, boxesOf(recorded, null), true);
}

/** The pixels of every value that an impulse at `position` reaches, or the zero image. */
export function boxesOf(recorded: Recorded, position: readonly number[] | null): Box[] {
  const along = recorded.extents[0].map((_, axis) =>
    intervalsAlong(recorded, axis, position === null ? nowhere : { first: position[axis], count: 1 }),
  );
  return recorded.extents.map((_, value) => along.map((intervals) => intervals[value]));
}

/** Indices of one axis. */
export interface Interval {
  readonly first: number;
  readonly count: number;
}

/** An interval along each axis. */
type Box = readonly Interval[];

const nowhere: Interval = { first: 0, count: 0 };

/** Indices of which no two see the same, one of each kind. */
function distinctIndices(recorded: Recorded, axis: number, extent: number): number[] {
  const known = new Map<string, number>();
  for (let index = 0; index < extent; index++) {
    const view = viewFrom(recorded, axis, index);
    if (!known.has(view)) known.set(view, index);
  }
  return [...known.values()];
}

/** Everything that the moves of an impulse have from its index along one axis, as text. */
function viewFrom(recorded: Recorded, axis: number, index: number): string {
  const intervals = intervalsAlong(recorded, axis, { first: index, count: 1 });
  const seen = recorded.steps.map((step, i) => {
    const to = intervals[i + 1];
    const along = recorded.axes[i]?.[axis];
    const from = step.kind === 'place' ? step.inputs : [step.input];
    return from.map((input) => {
      const { first, count } = intervals[input];
      if (along === undefined) return [first - to.first, count, to.count];
      return along.reached
        .slice(first, first + count)
        .map((outputs) => outputs.map(({ at, tap }) => [at - to.first, along.shares?.[tap] ?? tap]));
    });
  });
  const [before, after] = recorded.compared.map((value) => intervals[value]);
  return JSON.stringify([seen, before.first - after.first, before.count, after.count]);
}

/** What an interval of value 0 becomes along one axis, for every value. */
function intervalsAlong({ steps, axes, extents }: Recorded, axis: number, start: Interval): Interval[] {
  const intervals = [start];
  const isZero = start.count === 0;
  for (const [i, step] of steps.entries()) {
    const along = axes[i]?.[axis];
    const input = step.kind === 'place' ? step.inputs[0] : step.input;
    if (along !== undefined) intervals.push(reachedFrom(along, intervals[input]));
    else if (step.kind === 'place') intervals.push(hull(step.inputs.map((input) => intervals[input])));
    // What is added at every pixel is at every pixel.
    else if (step.kind === 'shift' && isZero) intervals.push({ first: 0, count: extents[i + 1][axis] });
    else intervals.push(intervals[input]);
  }
  return intervals;
}

function reachedFrom({ reached }: Axis, { first, count }: Interval): Interval {
  const outputs = reached.slice(first, first + count).flat();
  return hull(outputs.map(({ at }) => ({ first: at, count: 1 })));
}

function hull(intervals: readonly Interval[]): Interval {
  const present = intervals.filter(({ count }) => count > 0);
  if (present.length === 0) return nowhere;
  const first = present.reduce((least, interval) => Math.min(least, interval.first), Infinity);
  const end = present.reduce((most, interval) => Math.max(most, interval.first + interval.count), 0);
  return { first, count: end - first };
}

/** The moves between the pixels of the boxes. */
function layoutOf({ steps, axes, compared }: Recorded, boxes: readonly Box[], isZero: boolean): Layout {
  const moves = steps.map((step, i): number[] => {
    const [reading, to, found] = [axes[i], boxes[i + 1], [] as number[]];
    if (step.kind === 'scale' || (step.kind === 'shift' && !isZero)) return found;
    const inputs = step.kind === 'place' ? step.inputs : [step.input];
    for (const [operand, input] of inputs.entries()) {
      if (reading === null) addCopies(found, boxes[input], to, operand);
      else addMoves(found, boxes[input], to, reading);
    }
    return found;
  });
  const [before, after] = compared.map((value) => boxes[value]);
  const pixels = boxes.map((box) => box.reduce((size, { count }) => size * count, 1));
  return { pixels, moves, pairs: pairsOf(before, after) };
}

// Pixels are numbered in their box, the last axis fastest: one axis after the other is gone through here, with the
// numbers so far.

/** Every pixel to all that read it, by the taps that read it. */
function addMoves(moves: number[], from: Box, to: Box, axes: readonly Axis[]): void {
  const walk = (axis: number, pixel: number, place: number, which: number): void => {
    if (axis === from.length) {
      moves.push(pixel, place, which);
      return;
    }
    const [{ first, count }, { reached, taps }] = [from[axis], axes[axis]];
    for (let i = 0; i < count; i++) {
      for (const { at, tap } of reached[first + i])
        walk(axis + 1, pixel * count + i, place * to[axis].count + at - to[axis].first, which * taps + tap);
    }
  };
  walk(0, 0, 0, 0);
}

/** Every pixel to where it is in a box around it. */
function addCopies(moves: number[], from: Box, to: Box, operand: number): void {
  const walk = (axis: number, pixel: number, place: number): void => {
    if (axis === from.length) {
      moves.push(pixel, place, operand);
      return;
    }
    const { first, count } = from[axis];
    for (let i = 0; i < count; i++)
      walk(axis + 1, pixel * count + i, place * to[axis].count + first + i - to[axis].first);
  };
  walk(0, 0, 0);
}

/** The pixels of both boxes; −1 outside of one. */
function pairsOf(before: Box, after: Box): number[] {
  const pairs: number[] = [];
  const numberIn = ({ first, count }: Interval, index: number, so: number): number =>
    so < 0 || index < first || index >= first + count ? -1 : so * count + index - first;
  const walk = (axis: number, one: number, other: number): void => {
    if (axis === before.length) {
      pairs.push(one, other);
      return;
    }
    const { first, count } = hull([before[axis], after[axis]]);
    for (let i = first; i < first + count; i++)
      walk(axis + 1, numberIn(before[axis], i, one), numberIn(after[axis], i, other));
  };
  walk(0, 0, 0);
  return pairs;
}

/** All combinations of one element of each list, the last list fastest. */
function product<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((heads, list) => heads.flatMap((head) => list.map((element) => [...head, element])), [[]]);
}

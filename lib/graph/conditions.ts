/**
 * Conditions: extents that have to be equal though they are written differently. A network that halves and doubles its
 * image and adds what it skipped needs `(H+2)//4*2` to be `H//2`, which holds for some heights only: it is recorded
 * with this condition, and a size that breaks it is refused where it comes, with one that would do.
 */
import { RepconvError } from '../errors.js';
import type { Assume } from '../ops/operator.js';
import { type Bindings, bind, differ, type Extent, symbolsOf } from '../tensor/extent.js';

/** Two extents that have to be equal, though they are written differently: it depends on the sizes that come. */
export interface Condition {
  /** The one extent, a formula in the letters of the inputs' shapes. */
  readonly left: Extent;
  /** The other. */
  readonly right: Extent;
  /** Which operator needs it, of which layer; for people. */
  readonly where: string;
}

/** Takes any two extents as equal that may be, and notes what has to hold. */
export function collecting(conditions: Condition[], where: string): Assume {
  return (left, right) => {
    if (differ(left, right)) return false;
    const isKnown = conditions.some((known) => known.left === left && known.right === right);
    if (!isKnown) conditions.push({ left, right, where });
    return true;
  };
}

/** Takes as equal what the conditions say is. */
export function granted(conditions: readonly Condition[]): Assume {
  return (a, b) => conditions.some(({ left, right }) => (left === a && right === b) || (left === b && right === a));
}

/** @throws ERR_SHAPE for the first condition that does not hold, with both of its sides and a size that would do */
export function checkConditions(conditions: readonly Condition[], bindings: Bindings, operation: string): void {
  const broken = conditions.find((condition) => !holds(condition, bindings));
  if (broken === undefined) return;
  const { left, right, where } = broken;
  const side = (extent: Extent): string =>
    typeof extent === 'number' ? `${extent}` : `${extent} = ${bind(extent, bindings)}`;
  throw new RepconvError(
    'ERR_SHAPE',
    `${operation}: ${where} expects ${side(left)} and ${side(right)} to be equal; ${advice(conditions, broken, bindings)}`,
  );
}

function holds({ left, right }: Condition, bindings: Bindings): boolean {
  return bind(left, bindings) === bind(right, bindings);
}

/** How far from what was given a size that would do is looked for. */
const farthest = 256;

function advice(conditions: readonly Condition[], { left, right }: Condition, bindings: Bindings): string {
  const names = [...new Set([...symbolsOf(left), ...symbolsOf(right)])];
  const found = names.flatMap((name) => {
    const given = bindings.get(name) ?? 0;
    // Only this size is changed, so a condition on others that is broken too stays so.
    const own = conditions.filter((c) => [c.left, c.right].some((side) => symbolsOf(side).has(name)));
    const fits = (value: number): boolean =>
      value > 0 && own.every((condition) => holds(condition, new Map([...bindings, [name, value]])));
    const steps = Array.from({ length: farthest }, (_, i) => i + 1);
    const near = [steps.find((step) => fits(given - step)), steps.find((step) => fits(given + step))];
    const sizes = [
      ...(near[0] === undefined ? [] : [given - near[0]]),
      ...(near[1] === undefined ? [] : [given + near[1]]),
    ];
    return sizes.length === 0 ? [] : [`${name} = ${sizes.join(' or ')}`];
  });
  return found.length === 0 ? 'no size near these would do' : `${found.join(', or ')} would do`;
}

/**
 * Knocking at every door with everything: the right arguments, of which one, or one inside of one, is exchanged for
 * each value of hostileValues.ts.
 */
import { types } from 'node:util';
import { describe, expect, it } from 'vitest';
import { errorCodes, RepconvError } from '../../lib/index.js';
import { isPlainObject } from '../../lib/options.js';
import { type Door, doors, type Exchange, values } from './doors.js';
import { hostileValues, Mine } from './hostileValues.js';

/**
 * The tests. A call works, or ends with an error that has a code and a message one can print, or with the caller's own.
 * @param share of all calls one in so many is made: other values at other places
 */
export function describeSweep(share: number): void {
  describe.each([...new Set(doors.map(({ name }) => name))])('%s', (name) => {
    const ways = doors.filter((door) => door.name === name);

    it('works as it is meant', async () => {
      for (const { enter } of ways) await enter((right) => right);
    });

    it('withstands everything else', async () => {
      const failures: string[] = [];
      let turn = name.length;
      for (const door of ways) {
        for (const path of await placesIn(door)) {
          for (const [label, make] of Object.entries(hostileValues)) {
            if (turn++ % share !== 0) continue;
            const fault = await faultOf(door, (right) => exchanged(right, path, make()));
            if (fault !== null) failures.push(`with ${label} at ${path.join('.')}: ${fault}`);
          }
        }
        const fault = await faultOf(door, () => []);
        if (fault !== null) failures.push(`with nothing: ${fault}`);
      }
      expect(failures).toEqual([]);
    });
  });
}

/** What is wrong with how a call ended; null where nothing is. */
async function faultOf({ enter }: Door, exchange: Exchange): Promise<string | null> {
  try {
    const result = enter(exchange);
    // Not whatever it gives: looking whether that is a promise may throw.
    if (types.isPromise(result)) await result;
    return null;
  } catch (error) {
    if (error instanceof Mine) return null;
    if (!(error instanceof RepconvError)) return `threw ${error instanceof Error ? error.stack : String(error)}`;
    if (!Object.hasOwn(errorCodes, error.code)) return `has the code ${error.code}`;
    if (error.message.length > 2000) return `has a message of ${error.message.length} characters`;
    // Line ends are the only control characters that a message may have.
    if (!error.message.isWellFormed() || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(error.message.replaceAll('\n', '')))
      return `has a message that cannot be printed: ${JSON.stringify(error.message)}`;
    return null;
  }
}

type Path = readonly (string | number)[];

/** Where something can be exchanged in the right arguments of a door: each of them, and all that is in them. */
async function placesIn({ enter }: Door): Promise<Path[]> {
  let right: unknown[] = [];
  await enter((given) => {
    right = given;
    return given;
  });
  const below = (value: unknown, path: Path): Path[] => {
    const isContainer = Array.isArray(value) || isPlainObject(value);
    if (!isContainer || values.has(value)) return [path];
    return [path, ...Object.entries(value).flatMap(([key, entry]) => below(entry, [...path, key]))];
  };
  return right.flatMap((value, i) => below(value, [i]));
}

/** A copy of the arguments with another value at one place. */
function exchanged(right: unknown[], [first, ...rest]: Path, value: unknown): unknown[] {
  const copy = Object.assign(Array.isArray(right) ? [] : {}, right) as unknown[];
  copy[first as number] = rest.length === 0 ? value : exchanged(right[first as number] as unknown[], rest, value);
  return copy;
}

/**
 * Hostile calls, a share of those of test/long/hostileDoors.test.ts: every door, every place in its arguments, every
 * value, but not each with each.
 */
import { describe, expect, it } from 'vitest';
import * as repconv from '../../lib/index.js';
import { operators } from '../../lib/ops/registry.js';
import { Session } from '../../lib/session/session.js';
import { doors } from './doors.js';
import { describeSweep } from './sweep.js';

const names = new Set(doors.map(({ name }) => name));

describe('the doors that are tried', () => {
  it('are all that the package exports', () => {
    /** Made by `trace` and by readings alone; a base class. */
    const madeElsewhere = ['Graph', 'Reason', 'Module'];
    const exported = Object.entries(repconv).filter(([, value]) => typeof value === 'function');
    const missing = exported.filter(([name]) => !names.has(name) && !names.has(`new ${name}`));
    expect(missing.map(([name]) => name).filter((name) => !madeElsewhere.includes(name))).toEqual([]);
  });

  it('are all words of a sentence', () => {
    const words = [...Object.keys(operators), 'lift', 'commit', 'apply'];
    expect(words.filter((word) => !names.has(`f.${word}, computed`))).toEqual([]);
  });

  it.each([
    // What a module says, and what says how it prints.
    ['Module', repconv.Module, ['compute', 'extraRepr', 'childrenBackwards']],
    ['Tensor', repconv.Tensor, []],
    ['Random', repconv.Random, []],
    ['Graph', repconv.Graph, []],
    // What refuses to be posted.
    ['Session', Session, ['toJSON']],
  ] as const)('are all methods of %s', (of, { prototype }, others) => {
    const methods = Object.entries(Object.getOwnPropertyDescriptors(prototype)).filter(
      ([name, { value }]) => typeof value === 'function' && name !== 'constructor',
    );
    const missing = methods.map(([name]) => name).filter((name) => !names.has(`${of}.${name}`));
    expect(missing.filter((name) => !(others as readonly string[]).includes(name))).toEqual([]);
  });
});

describeSweep(16);

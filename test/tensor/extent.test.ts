/** The algebra of extents: its formulas are those of whole numbers, and equal ones are one object. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bind,
  differ,
  type Extent,
  floorDivide,
  minus,
  plus,
  symbolic,
  symbolsOf,
  times,
} from '../../lib/tensor/extent.js';

const [H, W] = [symbolic('H'), symbolic('W')];
const halved = (extent: Extent): Extent => floorDivide(plus(extent, 1), 2);

describe('a formula', () => {
  it('is printed as Python writes it', () => {
    expect(String(H)).toBe('H');
    expect(String(plus(H, 2))).toBe('H+2');
    expect(String(minus(H, 3))).toBe('H-3');
    expect(String(halved(H))).toBe('(H+1)//2');
    expect(String(floorDivide(H, 2))).toBe('H//2');
    expect(String(times(floorDivide(plus(H, 2), 4), 2))).toBe('(H+2)//4*2');
    expect(String(times(floorDivide(H, 2), floorDivide(W, 3)))).toBe('H//2*(W//3)');
    expect(String(minus(7, times(W, H)))).toBe('-H*W+7');
    expect(JSON.stringify({ shape: [1, halved(H)] })).toBe('{"shape":[1,"(H+1)//2"]}');
  });

  it('is one object, however it was made', () => {
    expect(symbolic('H')).toBe(H);
    expect(plus(minus(H, 3), 5)).toBe(plus(H, 2));
    expect(halved(halved(H))).toBe(floorDivide(plus(H, 3), 4));
    expect(plus(floorDivide(minus(H, 1), 2), 1)).toBe(halved(H));
    expect(floorDivide(times(plus(H, 1), 4), 4)).toBe(plus(H, 1));
    expect(floorDivide(plus(times(H, 2), 5), 4)).toBe(floorDivide(plus(H, 2), 2));
    expect(times(plus(H, W), minus(H, W))).toBe(minus(times(H, H), times(W, W)));
  });

  it('is a number where no symbol is left', () => {
    expect(minus(plus(H, 3), H)).toBe(3);
    expect(minus(H, H)).toBe(0);
    expect(times(halved(H), 0)).toBe(0);
    expect(floorDivide(-5, 2)).toBe(-3);
  });

  it('takes names as names', () => {
    expect(symbolsOf(symbolic('H//2'))).toEqual(new Set(['H//2']));
    expect(String(symbolic('H//2'))).toBe('{H//2}');
    expect(symbolic('H//2')).not.toBe(floorDivide(H, 2));
    expect(symbolsOf(times(halved(H), plus(W, 1)))).toEqual(new Set(['H', 'W']));
    expect(symbolsOf(7)).toEqual(new Set());
  });

  it('differs from another for certain only by a number', () => {
    expect(differ(H, plus(H, 1))).toBe(true);
    expect(differ(H, H)).toBe(false);
    expect(differ(floorDivide(H, 2), times(floorDivide(plus(H, 2), 4), 2))).toBe(false);
    expect(differ(3, 4)).toBe(true);
    expect(differ(H, 5)).toBe(false);
  });

  it('is refused beyond what numbers hold', () => {
    expect(() => times(times(H, 2 ** 40), 2 ** 40)).toThrow(expect.objectContaining({ code: 'ERR_LIMIT' }));
    expect(() => plus(2 ** 53, 1)).toThrow(expect.objectContaining({ code: 'ERR_LIMIT' }));
  });

  it('of a symbol without a value has none', () => {
    expect(bind(halved(H), new Map())).toBeNaN();
    expect(bind(halved(H), new Map([['H', 224]]))).toBe(112);
  });
});

/** A formula, and the same computed on numbers. */
interface Twin {
  readonly extent: Extent;
  value(h: number, w: number): number;
}

const twin: fc.Arbitrary<Twin> = fc.letrec<{ twin: Twin }>((tie) => ({
  twin: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant<Twin>({ extent: H, value: (h) => h }),
    fc.constant<Twin>({ extent: W, value: (_, w) => w }),
    fc.integer({ min: -9, max: 9 }).map<Twin>((n) => ({ extent: n, value: () => n })),
    fc.tuple(tie('twin'), tie('twin')).map<Twin>(([a, b]) => ({
      extent: plus(a.extent, b.extent),
      value: (h, w) => a.value(h, w) + b.value(h, w),
    })),
    fc.tuple(tie('twin'), fc.integer({ min: -3, max: 4 })).map<Twin>(([a, n]) => ({
      extent: times(a.extent, n),
      value: (h, w) => a.value(h, w) * n,
    })),
    fc.tuple(tie('twin'), fc.integer({ min: 1, max: 6 })).map<Twin>(([a, n]) => ({
      extent: floorDivide(a.extent, n),
      value: (h, w) => Math.floor(a.value(h, w) / n),
    })),
  ),
})).twin;

describe('for all sizes', () => {
  it('a formula gives what the numbers give', () => {
    fc.assert(
      fc.property(twin, fc.nat(300), fc.nat(300), ({ extent, value }, h, w) => {
        const bindings = new Map([
          ['H', h],
          ['W', w],
        ]);
        expect(bind(extent, bindings)).toBe(value(h, w) + 0);
      }),
      { numRuns: 2000 },
    );
  });

  it('a printed formula is what Python would compute', () => {
    fc.assert(
      fc.property(twin, fc.nat(300), fc.nat(300), ({ extent, value }, h, w) => {
        expect(pythonValue(String(extent), { H: h, W: w })).toBe(value(h, w) + 0);
      }),
      { numRuns: 2000 },
    );
  });
});

/** Sums of products and floor divisions, read from the left. */
function pythonValue(text: string, names: Readonly<Record<string, number>>): number {
  const tokens = text.match(/\/\/|[-+*()]|\d+|[A-Z]/g) ?? [];
  let at = 0;
  const atom = (): number => {
    const token = tokens[at++];
    if (token === '(') {
      const value = total();
      at++;
      return value;
    }
    if (token === '-') return -product();
    return /\d/.test(token) ? Number(token) : names[token];
  };
  const product = (): number => {
    let value = atom();
    for (;;) {
      if (tokens[at] === '*') {
        at++;
        value *= atom();
      } else if (tokens[at] === '//') {
        at++;
        value = Math.floor(value / atom());
      } else return value;
    }
  };
  const total = (): number => {
    let value = product();
    while (tokens[at] === '+' || tokens[at] === '-') value += tokens[at++] === '+' ? product() : -product();
    return value;
  };
  return total() + 0;
}

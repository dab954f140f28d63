/** Texts and tables as wide as a line at most, whatever stands in them. */
import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { afterEach, describe, expect, it } from 'vitest';
import { environmentLine } from '../../lib/cli/environment.js';
import { numberColumns, paragraph, table } from '../../lib/cli/output.js';

const columns = [{ title: 'block' }, { title: 'branches → one convolution' }, ...numberColumns('parameters', '|Δ|')];
const fused = ['stage1.1', '3×3 + 1×1 + identity → 3×3', '23k → 21k', '3.5e-8'];
const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

const ofLine = Object.getOwnPropertyDescriptor(process.stdout, 'columns');
afterEach(() => {
  Reflect.deleteProperty(process.stdout, 'columns');
  if (ofLine !== undefined) Object.defineProperty(process.stdout, 'columns', ofLine);
});

/** Stdout as a terminal with so many columns; undefined: none. */
function terminal(width: number | undefined): void {
  Object.defineProperty(process.stdout, 'columns', { value: width, configurable: true });
}

function widthOf(text: string): number {
  return Math.max(...text.split('\n').map((line) => stringWidth(line)));
}

describe('a table', () => {
  it('stands as it is where there is room', () => {
    terminal(undefined);
    expect(table(columns, [fused, ['stage1.2', '3×3', '1', '0']], '')).toBe(
      [
        'block     branches → one convolution  parameters     |Δ|',
        'stage1.1  3×3 + 1×1 + identity → 3×3   23k → 21k  3.5e-8',
        'stage1.2  3×3                                  1       0',
      ].join('\n'),
    );
  });

  it('gives colours no room', () => {
    terminal(undefined);
    const green = (text: string): string => `\u001b[32m${text}\u001b[39m`;
    const rows = (paint: (text: string) => string): string[][] => [[...fused.slice(0, -1), paint('3.5e-8')]];
    const coloured = table(columns, rows(green));
    expect(coloured).toContain(green('3.5e-8'));
    expect(stripVTControlCharacters(coloured)).toBe(table(columns, rows(String)));
  });

  it.each([
    ['a reason of many words', 'left: '.padEnd(400, 'some more words ')],
    ['a word that is longer than a line', `left: ${'x'.repeat(200)} and more`],
    ['characters of double width', `left: ${'処理 装置 '.repeat(40)}`],
    ['double width without a space', `left: ${'処理装置'.repeat(40)}`],
    ['colours', `\u001b[33m${'left, for a reason '.repeat(20)}\u001b[39m`],
  ])('is no wider than 80 columns with %s, in a cell or across all that are left', (_, reason) => {
    terminal(undefined);
    for (const row of [['stage2', reason], ['stage2', reason, '1', '0'], [reason], [reason, ...fused.slice(1)]]) {
      const drawn = table(columns, [fused, row, fused]);
      expect(widthOf(drawn)).toBeLessThanOrEqual(80);
      expect(words(drawn)).toEqual(expect.arrayContaining(words(fused[1])));
    }
  });

  it('keeps all words of a reason, and its numbers in one piece', () => {
    terminal(undefined);
    const reason = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');
    const numbers = ['185k → 166k', '3.5e-8'];
    const drawn = table(columns, [['stage2', reason, ...numbers]]);
    expect(words(drawn)).toEqual(expect.arrayContaining(words(reason)));
    for (const number of numbers) expect(drawn).toContain(number);
  });

  it('breaks names that are too long, and loses nothing of them', () => {
    terminal(undefined);
    const name = Array.from({ length: 30 }, (_, i) => `block${i}`).join('.');
    const drawn = table([{ title: 'tensor' }, { title: 'format' }], [[name, 'float32']]);
    expect(widthOf(drawn)).toBeLessThanOrEqual(80);
    // biome-ignore format: one thing
    const column = drawn.split('\n').slice(1).map((line) => line.replace('float32', '').trim());
    expect(column.join('')).toBe(name);
  });

  it('is drawn in a time that grows with its rows', () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => [`tensor${i}`, 'float32']);
    expect(table([{ title: 'tensor' }, { title: 'format' }], rows).split('\n')).toHaveLength(rows.length + 1);
  });
});

describe('a line', () => {
  const place = { version: '0.1.0', node: '20.20.2', platform: 'linux-x64', isa: 'avx512', threads: 2, load: 0 };

  it.each([
    ['of 120 characters', 'Intel(R) Xeon(R) Platinum Processor of another make '.repeat(3).slice(0, 120)],
    ['of 120 characters without a space', 'x'.repeat(120)],
    ['in characters of double width', '処理装置 '.repeat(24)],
    ['in characters of double width without a space', '処理装置'.repeat(30)],
    ['that is empty', ''],
  ])('with a processor name %s fits into the terminal, and says the rest', (_, processor) => {
    for (const width of [undefined, 40, 60, 200]) {
      terminal(width);
      const header = paragraph(environmentLine({ ...place, processor }));
      expect(widthOf(header)).toBeLessThanOrEqual(width ?? 80);
      for (const word of ['linux-x64', 'avx512', 'threads']) expect(words(header)).toContain(word);
    }
  });

  it('is written to the narrowest terminal too', () => {
    for (let width = 1; width < 30; width++) {
      terminal(width);
      expect(paragraph('some words of a line', '  ')).toContain('  ');
      expect(table(columns, [fused, ['stage2', 'left: for some reason']])).toContain('23k → 21k');
    }
  });

  it('is as long as the terminal is wide, and 80 columns where that is not known', () => {
    const text = 'word '.repeat(100).trim();
    for (const [width, most] of [
      [undefined, 80],
      [0, 80],
      [33, 33],
      [150, 150],
    ] as const) {
      // biome-ignore format: pairs
      terminal(width);
      const drawn = paragraph(text, '  ');
      expect(widthOf(drawn)).toBeGreaterThan(most - 5);
      expect(widthOf(drawn)).toBeLessThanOrEqual(most);
      expect(drawn.split('\n').every((line) => line.startsWith('  word'))).toBe(true);
    }
  });
});

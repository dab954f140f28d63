/**
 * What commands write: results to stdout, as text or as one JSON document; everything that only accompanies them to
 * stderr.
 *
 * Text is plain wherever it is not read on a terminal, or where NO_COLOR (https://no-color.org) asks for that. Names
 * and texts from files go through `printable` first, so that nothing in a file can steer a terminal.
 */
import Table from 'cli-table3';
import picocolors from 'picocolors';
import stringWidth from 'string-width';
import { colorWish } from '../debug.js';

/** Colours of stdout. */
export const colors = picocolors.createColors(usesColor(process.stdout));

/** Writes a line to stdout. */
export function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/**
 * Writes a value as the one JSON document of a command. Characters that JSON allows but terminals obey are escaped, as
 * JSON allows too.
 */
export function printJson(value: unknown): void {
  const text = JSON.stringify(value, null, 2).replace(
    /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  process.stdout.write(`${text}\n`);
}

/** Writes a remark to stderr. */
export function remark(line: string): void {
  process.stderr.write(`${line}\n`);
}

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Columns of numbers: their digits stand below each other. */
export function numberColumns(...titles: readonly string[]): Column[] {
  return titles.map((title) => ({ title, align: 'right' }));
}

/** How many columns a line may take: as many as the terminal has, or 80 where none reads along or it does not say. */
function lineWidth(): number {
  return process.stdout.columns || 80;
}

/** A text in lines that fit, each behind `indent`. A word that is longer than a line ends with an ellipsis. */
export function paragraph(text: string, indent = ''): string {
  return laidOut([{ title: '' }], [[text]], [lineWidth() - indent.length], indent);
}

/**
 * Rows under titles (none where all are empty), without lines between them, as wide as a line at most: where there is
 * no room texts are wrapped, the widest first, and names are broken; numbers never are. In a row of fewer cells than
 * there are columns, the last one takes the place of those that are not there.
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], indent = '  '): string {
  return laidOut(columns, rows, columnWidths(columns, rows, lineWidth() - indent.length), indent);
}

/** Between two columns. */
const gap = 2;
/** No text is wrapped into less. */
const narrowestText = 8;

/** As wide as what stands in each column; where that is too much together, texts give way. */
function columnWidths(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  available: number,
): readonly number[] {
  const widths = columns.map(({ title }, i) => {
    const alone = rows.filter((row) => i < row.length - 1 || row.length === columns.length).map((row) => row[i]);
    return [title, ...alone].reduce((widest, text) => Math.max(widest, stringWidth(text)), 0);
  });
  const isText = columns.map(({ align }) => align !== 'right');
  let excess = widths.reduce((sum, width) => sum + width + gap, -gap) - available;
  for (; excess > 0; excess--) {
    const widest = Math.max(...widths.filter((_, i) => isText[i]));
    if (widest <= narrowestText) break;
    widths[widths.findIndex((width, i) => isText[i] && width === widest)]--;
  }
  return widths;
}

function laidOut(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  indent: string,
): string {
  const titles = columns.map(({ title }) => title);
  const hasTitles = titles.some((title) => title !== '');
  // Each row is a table of its own: the library's time grows with the square of their number.
  return [...(hasTitles ? [titles.map((title) => colors.dim(title))] : []), ...rows]
    .flatMap((row) => lines(row, columns, widths))
    .map((line) => `${indent}${line.trimEnd()}`)
    .join('\n');
}

function lines(row: readonly string[], columns: readonly Column[], widths: readonly number[]): string[] {
  const drawn = new Table({
    colAligns: columns.map(({ align = 'left' }) => align),
    // The library counts one character between two cells; the rest of the gap belongs to the one before it.
    colWidths: widths.map((width) => width + gap - 1),
    wordWrap: true,
    chars: borderless,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': gap - 1, compact: true },
  });
  const colSpan = (i: number) => (i < row.length - 1 ? 1 : columns.length - i);
  // Broken anywhere but between words, escape sequences would count: they are in short texts only, which fit.
  const fits = (content: string, i: number): boolean => stringWidth(content) <= widths[i];
  drawn.push(
    row.map((content, i) => ({
      content,
      colSpan: colSpan(i),
      wrapOnWordBoundary: content.includes(' ') || fits(content, i),
    })),
  );
  return drawn.toString().split('\n');
}

const borderless = {
  ...{
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
  },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: ' ' },
};

/** `9,309,112` */
export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

/** Two or three digits that count: `480`, `2.6k`, `66k`, `1.1M`. */
export function short(value: number): string {
  if (value < 999.5) return String(Math.round(value));
  const [unit, scaled] = value < 999_500 ? ['k', value / 1e3] : ['M', value / 1e6];
  return `${scaled.toFixed(scaled < 9.95 ? 1 : 0)}${unit}`;
}

/** `3.4e-8`; `0` where there is no difference. */
export function differenceText(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}

/** Three or four digits that count: `0.73`, `36.4`, `1204`. */
export function rounded(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0);
}

function usesColor(stream: NodeJS.WriteStream): boolean {
  return colorWish() ?? stream.isTTY === true;
}

/**
 * What commands write: results to stdout, as text or as one JSON document; everything that only accompanies them to
 * stderr.
 *
 * Text is plain wherever it is not read on a terminal, or where NO_COLOR (https://no-color.org) asks for that. Names
 * and texts from files go through `printable` first, so that nothing in a file can steer a terminal.
 */
import Table from 'cli-table3';
import picocolors from 'picocolors';
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

/** Rows under titles, without lines between them. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], indent = '  '): string {
  const drawn = new Table({
    head: columns.map(({ title }) => colors.dim(title)),
    colAligns: columns.map(({ align = 'left' }) => align),
    chars: borderless,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
  });
  drawn.push(...rows.map((row) => [...row]));
  return drawn
    .toString()
    .split('\n')
    .map((line) => `${indent}${line.trimEnd()}`)
    .join('\n');
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
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
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

/** `33.4 MB`, in powers of ten. */
export function sizeText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  const power = Math.min(units.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
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

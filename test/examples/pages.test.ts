/** README and guides beside their code: what they link to, list and picture is as they say. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { errorCodes } from '../../lib/errors.js';
import { repconv } from '../cli/command.js';

const root = new URL('../../', import.meta.url);
const text = (file: string): string => readFileSync(new URL(file, root), 'utf8');
const guides = readdirSync(new URL('docs', root)).filter((name) => name.endsWith('.md'));
const pages = ['README.md', ...guides.map((name) => `docs/${name}`)];

describe('pages', () => {
  it.each(pages)('%s links to files and headings that are there', (page) => {
    const links = [...text(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
    const missing = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [path, heading] = link.split('#');
      const file = path === '' ? page : posix.join(posix.dirname(page), path);
      return !existsSync(new URL(file, root)) || (heading !== undefined && !headingsOf(file).includes(heading));
    });
    expect(missing).toEqual([]);
  });

  it('README names every guide', () => {
    expect(guides.filter((name) => !text('README.md').includes(`(docs/${name})`))).toEqual([]);
  });

  it('say of every code of an error what to do, and of no other', () => {
    const rows = [...text('docs/troubleshooting.md').matchAll(/^\| `(ERR_\w+)` \|/gm)].map(([, code]) => code);
    expect(rows).toEqual(Object.keys(errorCodes));
  });
});

describe('the picture of npm start', () => {
  const [, description] = /<desc>(.*)<\/desc>/s.exec(text('docs/images/start.svg')) as RegExpExecArray;
  const shown = description.split('\n');
  const beginning = (start: string): number => shown.findIndex((line) => line.startsWith(start));

  it('shows what the digits print, but for the rounding', () => {
    const script = fileURLToPath(new URL('examples/digits/run.mjs', root));
    const printed = execFileSync(process.execPath, [script], { encoding: 'utf8' }).trimEnd().split('\n');
    expect(shown.slice(beginning('1 '), beginning('4 ') - 1).map(rounded)).toEqual(printed.map(rounded));
  });

  it('shows the lines and columns of repconv bench', () => {
    const { stdout } = repconv(['bench', '--resolution', '32', '--rounds', '2']);
    const printed = stdout.trimEnd().split('\n');
    // Behind the lines that say where this ran.
    const tables = [shown.slice(beginning('repconv ')), printed].map((lines) => lines.slice(lines.indexOf('')));
    expect(tables[0].map(withoutNumbers)).toEqual(tables[1].map(withoutNumbers));
  });
});

/** Headings of a page as the fragments of links name them. */
function headingsOf(file: string): string[] {
  return [...text(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function rounded(line: string): string {
  return line.replace(/\d\.\de-\d+/g, '#');
}

function withoutNumbers(line: string): string {
  return line
    .replace(/×\d+×\d+$/, '')
    .replace(/\d[\d.]*(e-\d+)?/g, '#')
    .replace(/ +/g, ' ');
}

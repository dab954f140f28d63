// Makes docs/images/start.svg: what `npm start` prints, as a terminal shows it. Its times are those of this machine,
// which has to be quiet:
//
//   node setup.mjs && node site/terminal.mjs
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

/** Pixels: of a character, of a line, and around the text. */
const [width, height, margin] = [7.8, 18, 16];
const ink = { plain: '#d6deeb', dim: '#8595a8', green: '#7ee787', prompt: '#79b8ff' };

const root = fileURLToPath(new URL('../', import.meta.url));
const { NO_COLOR, ...environment } = process.env;
const { stdout, stderr, status } = spawnSync(process.execPath, ['examples/start.mjs'], {
  cwd: root,
  encoding: 'utf8',
  env: { ...environment, FORCE_COLOR: '1' },
});
// A warning says that the machine was not quiet.
if (status !== 0 || stderr !== '') throw new Error(stderr);
writeFileSync(`${root}docs/images/start.svg`, drawing(`$ npm start\n\n${stdout.trimEnd()}`));

/** The picture, and the text itself for those who do not see it. */
function drawing(text) {
  const rows = text.split('\n');
  const columns = Math.max(...rows.map((row) => stripVTControlCharacters(row).length));
  const size = [columns * width + 2 * margin, rows.length * height + 2 * margin].map(Math.ceil);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size[0]}" height="${size[1]}" viewBox="0 0 ${size.join(' ')}" role="img">
<title>What npm start prints</title>
<desc>${escaped(stripVTControlCharacters(text))}</desc>
<rect width="100%" height="100%" rx="8" fill="#161b22"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13" fill="${ink.plain}">
${rows.flatMap(words).join('\n')}
</g>
</svg>
`;
}

/** The words of a line, each held to its columns, whatever font there is. No style of ours goes beyond a line. */
function words(row, line) {
  const drawn = [];
  let [fill, bold, column] = [line === 0 ? ink.prompt : ink.plain, false, 0];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
  for (const [part, code, word] of row.matchAll(/\x1b\[(\d+)m|([^\s\x1b]+)| +/g)) {
    if (code !== undefined) {
      bold = code === '1';
      fill = { 2: ink.dim, 32: ink.green }[code] ?? ink.plain;
      continue;
    }
    if (word !== undefined) {
      const place = `x="${round(margin + column * width)}" y="${margin + line * height + 13}" textLength="${round(word.length * width)}"`;
      const look = `${fill === ink.plain ? '' : ` fill="${fill}"`}${bold ? ' font-weight="bold"' : ''}`;
      drawn.push(`<text ${place}${look}>${escaped(word)}</text>`);
    }
    column += part.length;
  }
  return drawn;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function round(pixels) {
  return Number(pixels.toFixed(1));
}

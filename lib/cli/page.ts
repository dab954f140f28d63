/**
 * One HTML page with text, tables and charts in one file, which loads nothing: its policy forbids it to. Charts are
 * drawn by Chart.js, whose source goes into the page; colours follow the reader's light or dark scheme. The data behind
 * everything is in the page as JSON too, in the element `data`.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RepconvError } from '../errors.js';
import { checkReplaceable, writeAtomically } from '../formats/atomicWrite.js';
import { type CheckedPath, checkedPath } from '../formats/filePath.js';
import { runAsync, runSync } from '../formats/steps.js';
import type { Column } from './output.js';
import { checkMayWrite } from './outputFile.js';
import { findPeer } from './peer.js';

/** What a page shows, from the top down. */
export interface Page {
  readonly title: string;
  /** Where, how and with what it was measured; one paragraph each. */
  readonly lines: readonly string[];
  /** What a reader must know before believing the numbers. */
  readonly warnings?: readonly string[];
  readonly sections: readonly Section[];
  readonly data: unknown;
}

export interface Section {
  readonly heading: string;
  readonly text?: string;
  readonly charts: readonly Chart[];
  readonly table?: { readonly columns: readonly Column[]; readonly rows: readonly (readonly string[])[] };
}

interface ChartBase {
  readonly title: string;
  /** What the values are, with their unit; below the title, where long texts find room. */
  readonly values: string;
}
/** Bars beside each other, for each category one of each series. */
export interface BarChart extends ChartBase {
  readonly kind: 'bars';
  readonly categories: readonly string[];
  readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
  /** Bars lie, and those of one category share a row: for many categories with long names. */
  readonly isHorizontal?: boolean;
}
/** Points joined by lines. */
export interface LineChart extends ChartBase {
  readonly kind: 'lines';
  readonly x: string;
  /** Axes on which equal distances are equal ratios. */
  readonly logarithmic?: readonly ('x' | 'y')[];
  readonly series: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[];
}
export type Chart = BarChart | LineChart;

/** A page that can be written: everything that could refuse it has been asked. */
export interface PageFile {
  write(page: Page): Promise<void>;
}

/**
 * @param force replaces the file that is there
 * @throws ERR_UNSUPPORTED where the plotting library is not installed, ERR_PATH, ERR_IO; CommandFailure for a file that
 * is there already
 */
export function pageFile(path: string, force: boolean): PageFile {
  const file = checkedPath(path, 'bench', { files: 'reports', extension: '.html' });
  runSync(checkReplaceable(file.absolute, file.source));
  checkMayWrite(path, force);
  const library = plottingLibrary();
  return { write: (page) => write(file, html(page, library)) };
}

async function write({ absolute, source }: CheckedPath, text: string): Promise<void> {
  await runAsync(writeAtomically(absolute, Buffer.from(text), source));
}

/** The source of Chart.js as a script for browsers. */
function plottingLibrary(): string {
  const { version, file } = findPeer('chart.js', '--html');
  if (!version.startsWith('4.'))
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `bench: --html expects version 4 of the package chart.js, got ${version} at ${file}`,
    );
  const source = readFileSync(join(dirname(file), 'chart.umd.js'), 'utf8');
  // The map is a file of its own, which the page does not have.
  return source.replace(/^\/\/# sourceMappingURL=.*$/m, '');
}

function html({ title, lines, warnings = [], sections, data }: Page, library: string): string {
  const charts = sections.flatMap((section) => section.charts);
  let drawn = 0;
  const body = sections.map((section) => {
    const canvases = section.charts.map((chart) => canvas(chart, drawn++));
    return `<section>
<h2>${escaped(section.heading)}</h2>
${section.text === undefined ? '' : `<p>${escaped(section.text)}</p>`}
<div class="charts">${canvases.join('\n')}</div>
${section.table === undefined ? '' : tableHtml(section.table)}
</section>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
${lines.map((line) => `<p class="place">${escaped(line)}</p>`).join('\n')}
${warnings.length === 0 ? '' : `<ul class="warnings">${warnings.map((warning) => `<li>warning: ${escaped(warning)}</li>`).join('\n')}</ul>`}
${body.join('\n')}
</main>
<script type="application/json" id="data">${jsonText(data)}</script>
<script type="application/json" id="charts">${jsonText(charts)}</script>
<script>${library}</script>
<script>${drawing}</script>
</body>
</html>
`;
}

function canvas(chart: Chart, index: number): string {
  const isLong = chart.kind === 'bars' && chart.isHorizontal === true;
  const height = isLong ? 90 + 18 * chart.categories.length : 300;
  return `<figure${isLong ? ' class="long"' : ''}>
<figcaption>${escaped(chart.title)} <span>${escaped(chart.values)}</span></figcaption>
<div style="height: ${height}px"><canvas id="chart${index}" role="img" aria-label="${escaped(`${chart.title}: ${chart.values}`)}"></canvas></div>
</figure>`;
}

function tableHtml({ columns, rows }: NonNullable<Section['table']>): string {
  const row = (cells: readonly string[]): string => `<tr>${cells.join('')}</tr>`;
  const numeric = columns.map(({ align }) => (align === 'right' ? ' class="number"' : ''));
  const titles = columns.map(({ title }) => escaped(title));
  const head = titles.map((title, i) => `<th${numeric[i]}>${title}</th>`);
  // Where the page is narrow, each cell shows the title of its column.
  const cell = (text: string, i: number): string => `<td${numeric[i]} data-title="${titles[i]}">${escaped(text)}</td>`;
  return `<table><thead>${row(head)}</thead><tbody>
${rows.map((cells) => row(cells.map(cell))).join('\n')}
</tbody></table>`;
}

/** Text as content or attribute of an element. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** JSON that cannot end the element it stands in. */
function jsonText(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

// Series colours: Okabe and Ito's, which readers with any colour vision can tell apart, darkened or lightened for
// contrast with the background.
const style = `
:root {
  --background: #ffffff; --text: #1c2024; --muted: #5c656e; --line: #dfe3e7; --warning: #9c3f00;
  --series: #0063a3 #c25400 #007a5a #a04a80 #8a6d00 #3f4a55;
}
@media (prefers-color-scheme: dark) {
  :root {
    --background: #15181b; --text: #e8ebee; --muted: #9aa4ad; --line: #2f353b; --warning: #f0914d;
    --series: #56b4e9 #f0914d #2fbf95 #dd94c0 #d9bf3f #aab4be;
  }
}
body { background: var(--background); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .6rem; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .2rem 0; max-width: 56rem; }
.place { color: var(--muted); }
.warnings { color: var(--warning); border-left: 3px solid; list-style: none; margin: .8rem 0; padding: 0 0 0 .8rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem 1.5rem; margin: 1rem 0; }
figure { margin: 0; min-width: 0; }
figure.long { grid-column: 1 / -1; }
figcaption { font-weight: 600; margin-bottom: .3rem; }
figcaption span { color: var(--muted); font-weight: 400; margin-left: .3rem; }
figure > div { position: relative; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: left; padding: .2rem 0 .2rem clamp(.5rem, 1.5vw, 1.2rem); border-bottom: 1px solid var(--line); }
:is(th, td):first-child { padding-left: 0; }
td { white-space: nowrap; }
th { color: var(--muted); font-weight: 500; vertical-align: bottom; }
.number { text-align: right; }
@media (max-width: 46rem) {
  table, tbody { display: block; }
  thead { display: none; }
  tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr)); align-items: end; gap: .2rem .8rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  td, td.number { border: 0; padding: 0; text-align: left; white-space: normal; overflow-wrap: anywhere; }
  td:first-child { grid-column: 1 / -1; font-weight: 600; }
  td.number:first-child::before { content: attr(data-title) ': '; font-weight: 400; }
  td:not(:first-child)::before { content: attr(data-title); display: block; color: var(--muted); font-size: .8rem; }
}
`;

/**
 * Runs in the page: makes Chart.js's configuration of each chart, in the colours of the scheme, and again when the
 * scheme changes.
 */
const drawing = `
const specs = JSON.parse(document.getElementById('charts').textContent);
const drawn = [];
function draw() {
  for (const chart of drawn.splice(0)) chart.destroy();
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue('--' + name).trim();
  const series = color('series').split(/\\s+/);
  Object.assign(Chart.defaults, { color: color('muted'), borderColor: color('line'), animation: false, maintainAspectRatio: false });
  Chart.defaults.font.family = 'system-ui, sans-serif';
  specs.forEach((spec, i) => drawn.push(new Chart('chart' + i, spec.kind === 'bars' ? bars(spec, series) : lines(spec, series))));
}
function bars({ categories, series, isHorizontal }, colors) {
  const value = { beginAtZero: true };
  const category = { stacked: Boolean(isHorizontal), grid: { display: false }, ticks: { autoSkip: false } };
  return {
    type: 'bar',
    data: {
      labels: categories,
      datasets: series.map(({ name, values: data }, i) => ({ label: name, data, backgroundColor: colors[i % colors.length], maxBarThickness: 46 })),
    },
    options: {
      indexAxis: isHorizontal ? 'y' : 'x',
      scales: isHorizontal ? { x: { ...value, stacked: true }, y: category } : { x: category, y: value },
      plugins: { legend: { display: series.length > 1, position: 'top', align: 'start', labels: { boxWidth: 12, boxHeight: 12 } } },
    },
  };
}
function lines({ x, series, logarithmic = [] }, colors) {
  const places = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))];
  const axis = (name) => ({
    type: logarithmic.includes(name) ? 'logarithmic' : 'linear',
    beginAtZero: name === 'y',
    title: { display: name === 'x', text: x },
    // Ticks of x stand where something was measured, unless that is everywhere.
    ...(name === 'x' && places.length <= 12
      ? {
          min: Math.min(...places), max: Math.max(...places),
          afterBuildTicks: (scale) => { scale.ticks = places.map((value) => ({ value })); },
          ticks: { autoSkip: !logarithmic.includes('x'), font: { size: 11 }, callback: (value) => String(value) },
        }
      : {}),
  });
  return {
    type: 'scatter',
    data: {
      datasets: series.map(({ name, points }, i) => ({
        label: name, data: points.map(([at, value]) => ({ x: at, y: value })), showLine: true, borderWidth: 2, pointRadius: 3, clip: false,
        borderColor: colors[i % colors.length], backgroundColor: colors[i % colors.length],
      })),
    },
    options: {
      scales: { x: axis('x'), y: axis('y') },
      plugins: { legend: { display: series.length > 1, position: 'top', align: 'start', labels: { boxWidth: 12, boxHeight: 12 } } },
    },
  };
}
draw();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
`;

/**
 * Pages with charts: that one file holds everything, that nothing in the data becomes markup, and that what the charts
 * are given is what was measured.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { NetworkResult } from '../../lib/cli/measure.js';
import { type Page, pageFile } from '../../lib/cli/page.js';
import { repconv, temporaryFolder } from './command.js';

const path = temporaryFolder();
const hostile = `</script><b onload="x">&'`;
const page: Page = {
  title: hostile,
  lines: [hostile],
  warnings: [hostile],
  sections: [
    {
      heading: hostile,
      charts: [
        {
          kind: 'bars',
          title: hostile,
          values: 'ms',
          categories: ['a', hostile],
          series: [{ name: 'one', values: [1, null] }],
        },
        { kind: 'lines', title: 'growth', values: 'ms', x: 'batch', logarithmic: ['x'], series: [{ name: 'one', points: [[1, 2], [8, 9]] }] }, // biome-ignore format: pairs
      ],
      table: { columns: [{ title: 'case' }, { title: 'ms', align: 'right' }], rows: [[hostile, '1.5']] },
    },
  ],
  data: { hostile },
};

describe('a page', () => {
  it('loads nothing, and forbids itself to', async () => {
    const html = await written(page);
    expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"`);
    expect(html).not.toMatch(/<(link|img|iframe|script[^>]* src)\b/);
    expect(html).not.toContain('sourceMappingURL');
  });

  it('shows texts as texts, and keeps the data', async () => {
    const html = await written(page);
    expect(html).not.toContain('<b onload');
    expect(html.match(/&#60;\/script&#62;&#60;b onload=&#34;x&#34;&#62;&#38;&#39;/g)?.length).toBeGreaterThanOrEqual(7);
    expect(jsonIn(html, 'data')).toEqual({ hostile });
  });

  it('gives the plotting library every chart with its numbers, and again when the colours change', async () => {
    const { charts, changeScheme } = draw(await written(page));
    expect(charts.map(({ canvas, type }) => [canvas, type])).toEqual([
      ['chart0', 'bar'],
      ['chart1', 'scatter'],
    ]);
    expect(charts[0].data).toMatchObject({ labels: ['a', hostile], datasets: [{ label: 'one', data: [1, null] }] });
    // biome-ignore format: pairs
    expect(charts[1].data).toMatchObject({ datasets: [{ data: [{ x: 1, y: 2 }, { x: 8, y: 9 }] }] });
    changeScheme();
    expect(charts.map(({ isDestroyed }) => isDestroyed)).toEqual([true, true, false, false]);
  });

  it('says what the values are in text that wraps, not along an axis, and gives every cell the title of its column', async () => {
    const html = await written(page);
    const shown = hostile.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
    expect(html).toContain(`<figcaption>${shown} <span>ms</span></figcaption>`);
    expect(html).toContain(`<td data-title="case">${shown}</td><td class="number" data-title="ms">1.5</td>`);
    const { charts } = draw(html);
    const titles = charts.flatMap(({ options }) =>
      Object.values(options.scales).map(({ title }) => title?.display && title.text),
    );
    expect(titles.filter(Boolean)).toEqual(['batch']);
  });

  it('is refused before anything is measured where it could not be written', () => {
    expect(() => pageFile('report.txt', false)).toThrow(expect.objectContaining({ code: 'ERR_PATH' }));
    const { code, stdout, stderr } = repconv(['bench', '--html', path('report.txt')]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: ERR_PATH bench: .*report\.txt": reports are \.html files/);
    expect(existsSync(path('report.txt'))).toBe(false);
  });
});

describe('repconv bench --html', () => {
  it('shows every case that it measured, and its layers', () => {
    const file = path('report.html');
    const options = [
      '--resolution',
      '32',
      '--rounds',
      '2',
      '--threads',
      '1',
      '--batch',
      '1,2',
      '--layers',
      '--json',
      '--html',
      file,
    ];
    const { code, stdout, stderr } = repconv(['bench', 'mobileone-s0', ...options]);
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as { networks: NetworkResult[]; warnings: string[] };
    const { networks, warnings } = document;
    const html = readFileSync(file, 'utf8');
    expect(jsonIn(html, 'data')).toEqual(document);
    // Whatever stderr warned of.
    expect(stderr.split('\n').filter((line) => line.startsWith('warning: '))).toEqual(
      warnings.map((warning) => `warning: ${warning}`),
    );
    expect(html.match(/<li>warning: [^<]*/g) ?? []).toEqual(warnings.map((warning) => `<li>warning: ${warning}`));
    expect(html).toMatch(
      /<p>Outputs differ by at most \d\.\de-\d \(largest difference over largest output\); the limit is 2e-5\.<\/p>/,
    );
    const { charts } = draw(html);
    // Images per second of all cases, then time and share of the peak of the layers of each.
    expect(charts).toHaveLength(5);
    expect(charts[0].data.datasets.map(({ data }) => data)).toEqual(
      [0, 1, 2].map((form) => networks.map(({ forms }) => forms[form].imagesPerSecond)),
    );
    expect(charts[1].data.labels).toHaveLength(networks[0].layers?.layers.length as number);
  });
});

async function written(shown: Page): Promise<string> {
  await pageFile(path('page.html'), true).write(shown);
  return readFileSync(path('page.html'), 'utf8');
}

/** Content of an element that holds JSON. */
function jsonIn(html: string, id: string): unknown {
  return JSON.parse(elementText(html, id));
}

function elementText(html: string, id: string): string {
  return html.match(new RegExp(`<script type="application/json" id="${id}">(.*?)</script>`, 's'))?.[1] as string;
}

interface DrawnChart {
  readonly canvas: string;
  readonly type: string;
  readonly data: { readonly labels?: string[]; readonly datasets: { readonly data: unknown[] }[] };
  readonly options: { readonly scales: Record<string, { readonly title?: { display: boolean; text: string } }> };
  isDestroyed: boolean;
}

/** Runs the page's own script, the last one, with as much of a browser and of the library as it uses. */
function draw(html: string): { charts: DrawnChart[]; changeScheme: () => void } {
  const charts: DrawnChart[] = [];
  let changeScheme = (): void => {};
  class Chart {
    static readonly defaults = { font: {} };
    private readonly drawn: DrawnChart;
    constructor(canvas: string, configuration: Pick<DrawnChart, 'type' | 'data' | 'options'>) {
      expect(html).toContain(`<canvas id="${canvas}"`);
      this.drawn = { canvas, ...configuration, isDestroyed: false };
      charts.push(this.drawn);
    }
    destroy(): void {
      this.drawn.isDestroyed = true;
    }
  }
  const browser = createContext({
    Chart,
    document: { documentElement: {}, getElementById: (id: string) => ({ textContent: elementText(html, id) }) },
    getComputedStyle: () => ({
      getPropertyValue: (name: string) => (name === '--series' ? ' #111111 #222222' : ' #333333'),
    }),
    matchMedia: () => ({
      addEventListener: (_: string, act: () => void) => {
        changeScheme = act;
      },
    }),
  });
  runInContext(html.match(/<script>((?:(?!<script>).)*)<\/script>\s*<\/body>/s)?.[1] as string, browser);
  return { charts, changeScheme: () => changeScheme() };
}

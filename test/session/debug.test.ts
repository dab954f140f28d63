/** What REPCONV_DEBUG prints, level by level, as docs promise. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BatchNorm2d } from '../../lib/nn/layers/batchNorm2d.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { compile, compileSync } from '../../lib/session/compile.js';

const model = new Sequential(new Conv2d(3, 16, 3), new BatchNorm2d(16), new Conv2d(16, 5, 1)).eval();
const options = { inputs: { x: ['N', 3, 9, 9] }, maxBatch: 2, conv: 'direct' };

describe('REPCONV_DEBUG', () => {
  const saved = process.env.REPCONV_DEBUG;
  afterEach(() => {
    if (saved === undefined) delete process.env.REPCONV_DEBUG;
    else process.env.REPCONV_DEBUG = saved;
    vi.restoreAllMocks();
  });

  const printed = async (level: string, make: typeof compile | typeof compileSync = compileSync): Promise<string> => {
    const lines: string[] = [];
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      lines.push(String(text));
      return true;
    });
    process.env.REPCONV_DEBUG = level;
    await make(model, options);
    vi.restoreAllMocks();
    return lines.join('');
  };
  const time = /in \d+\.\d ms/;
  const graph = 'graph (x: float32 [N,3,9,9])';
  const plan = /memory plan: \d values in \d+ bytes/;

  it('0 prints nothing', async () => {
    expect(await printed('0')).toBe('');
  });

  it.each([
    ['compileSync', compileSync],
    ['compile', compile],
  ])('1 explains choices and times: %s', async (_, make) => {
    const text = await printed('1', make);
    for (const pass of ['foldConstants', 'removeIdentity', 'foldBatchNorm', 'spellOutPadding'])
      expect(text).toMatch(new RegExp(`repconv: ${pass} ${time.source}`));
    expect(text).toMatch(new RegExp(`planned 2,3,9,9 ${time.source}`));
    expect(text).toContain('1 0: direct, as was asked for');
    expect(text).not.toContain(graph);
    expect(text).not.toMatch(plan);
  });

  it('2 shows the graph after each pass too', async () => {
    const text = await printed('2');
    expect(text.split(graph)).toHaveLength(6);
    expect(text).toContain('1 0: direct, as was asked for');
    expect(text).not.toMatch(plan);
  });

  it('3 shows the memory plan too: every value inside, its place and its life', async () => {
    const text = await printed('3');
    expect(text).toContain(graph);
    expect(text).toMatch(plan);
    const rows = [...text.matchAll(/ {2}(\[\S+\]): (\d+) bytes at (\d+), steps (\d+) to (\d+)/g)].map(
      ([, shape, ...numbers]) => [shape, ...numbers.map(Number)] as const,
    );
    // Image, its first convolution and its second, which lies where nobody reads the image any more.
    expect(rows.map(([shape, , , from, to]) => [shape, from, to])).toEqual([
      ['[2,3,9,9]', 0, 1],
      ['[2,16,7,7]', 1, 2],
      ['[2,5,7,7]', 2, 3],
    ]);
    for (const [i, [, bytes, offset, from, to]] of rows.entries())
      for (const [, otherBytes, otherOffset, otherFrom, otherTo] of rows.slice(i + 1))
        expect(
          from > otherTo || to < otherFrom || offset + bytes <= otherOffset || otherOffset + otherBytes <= offset,
        ).toBe(true);
  });
});

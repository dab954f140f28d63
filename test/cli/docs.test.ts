/**
 * docs/cli.md, held to what the commands do: every command in it is understood, and what it shows of their output has
 * the shape of what they print. Networks are measured with as little as possible, so numbers of times differ; numbers
 * that follow from a network alone are compared as they stand.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { seededNetwork } from '../../lib/cli/seededNetwork.js';
import { saveStateDict } from '../../lib/formats/stateDict.js';
import { hasOnnxRuntime } from '../onnx/onnxRuntime.js';
import { repconv, temporaryFolder } from './command.js';

const root = join(import.meta.dirname, '../..');
const [docs, readme, benches] = ['docs/cli.md', 'README.md', 'bench/README.md'].map((file) =>
  readFileSync(join(root, file), 'utf8'),
);
const blocks = [...docs.matchAll(/```(\w*)\n(.*?)```/gs)].map(([, language, code]) => ({ language, code }));
/** Commands and what they print, by their first line. */
const shown = new Map(
  blocks
    .filter(({ code }) => code.startsWith('$ '))
    .map(({ code }) => [code.slice(2, code.indexOf('\n')), code.slice(code.indexOf('\n') + 1)]),
);
const layers = blocks.find(({ code }) => code.startsWith('  layers, '))?.code as string;
const folder = join(temporaryFolder()('.'));
const tiny = ['--resolution', '32', '--rounds', '2'];

describe('commands in docs', () => {
  const commandPattern = /\b(?:repconv|main\.js) (bench|fuse|inspect)\b([^`\n#]*)/g;
  const commands = [docs, readme, benches].flatMap((text) =>
    [...text.matchAll(commandPattern)].map(([, name, rest]) => ({ name, rest })),
  );
  const help = new Map(['bench', 'fuse', 'inspect'].map((name) => [name, repconv([name, '--help']).stdout]));
  const optionsIn = (text: string): string[] =>
    [...text.matchAll(/(?<![\w-])--?[a-z][a-z-]*/g)].map(([option]) => option);

  it('have options that their help has', () => {
    expect(commands.length).toBeGreaterThan(15);
    for (const { name, rest } of commands)
      for (const option of optionsIn(rest)) expect(help.get(name)).toMatch(new RegExp(`  ${option}\\b|, ${option}\\b`));
  });

  it('leave no option of the commands out', () => {
    const options = [...help.values()].flatMap((text) =>
      [...text.matchAll(/^ {2}(?:(-\w), )?(--[a-z]+)/gm)].map(([, ...spellings]) => spellings),
    );
    const isNamed = (spelling: string | undefined): boolean => spelling !== undefined && docs.includes(` ${spelling} `);
    expect(options.filter(([short, long]) => !docs.includes(long) && !isNamed(short))).toEqual([]);
  });
});

describe('what docs/cli.md shows', () => {
  beforeAll(async () => {
    await saveStateDict(join(folder, 'repvgg-a0.safetensors'), seededNetwork('repvgg-a0', 64, 1).stateDict());
  });

  it('has no block that is not looked at here', () => {
    expect([...shown.keys()].map((command) => command.split(' ').slice(0, 2).join(' '))).toEqual([
      ...['repconv bench', 'repconv bench', 'repconv fuse', 'repconv inspect'],
    ]);
    expect(blocks.filter(({ language }) => language !== '').map(({ language }) => language)).toEqual(['js']);
    expect(blocks).toHaveLength(6);
  });

  it('of fuse and inspect is what they print, but for the rounding, and what was written loads', () => {
    for (const [command, text] of shown) {
      const [, name, ...args] = command.split(' ');
      if (name === 'bench') continue;
      const { code, stdout } = repconv([name, ...args], {}, { cwd: folder });
      expect(code).toBe(0);
      expectShape(stdout, text, (line) => line.replace(/\d\.\de-\d+/g, '#'));
    }
    const [{ code }] = blocks.filter(({ language }) => language === 'js');
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules/repconv'), 'junction');
    writeFileSync(join(folder, 'block.mjs'), code);
    execFileSync(process.execPath, ['block.mjs'], { cwd: folder });
  });

  it.skipIf(!hasOnnxRuntime)('of bench has its lines and columns', () => {
    for (const [command, text] of shown) {
      const [, name, ...args] = command.split(' ');
      if (name !== 'bench') continue;
      const { code, stdout } = repconv([name, ...args, ...tiny]);
      expect(code).toBe(0);
      const [warnings, lines] = [true, false].map((is) =>
        text.split('\n').filter((line) => line.startsWith('warning: ') === is),
      );
      for (const warning of warnings)
        expect(warning).toMatch(
          /^warning: repvgg-a0, batch \d, \d threads?: quartiles \d+ % of the median apart, p95 \d\.\d times it: not a quiet machine$/,
        );
      expectShape(withoutPlace(stdout), withoutPlace(lines.join('\n')), withoutNumbers);
    }
  });

  it('of layers has its columns and layers', () => {
    const { stdout } = repconv(['bench', 'repvgg-a0', '--threads', '1', '--layers', ...tiny]);
    const namesIn = (text: string): string[] => text.split('\n').map((line) => line.trim().split(' ')[0]);
    // Conversions between layers depend on the algorithms, and these on the processor.
    const isLayer = (name: string): boolean => /^(stage|linear|…)/.test(name);
    expectShape(namesIn(stdout).filter(isLayer).join('\n'), namesIn(layers).filter(isLayer).join('\n'), (line) => line);
    expectShape(stdout, layers.split('\n').slice(0, 3).join('\n'), (line) =>
      withoutNumbers(line).replace(/kernels [^;]*/, 'kernels #'),
    );
  });
});

/** Lines of `shown` stand in `printed` in this order; a line `…` stands for any number of them. */
function expectShape(printed: string, shownText: string, shapeOf: (line: string) => string): void {
  const whole = printed.split('\n').map(shapeOf).join('\n');
  let from = 0;
  for (const part of shownText.trimEnd().split(/^\s*…\n/m)) {
    const shape = part.trimEnd().split('\n').map(shapeOf).join('\n');
    const at = whole.indexOf(shape, from);
    if (at < 0) expect(whole.slice(from)).toContain(shape);
    from = at + shape.length;
  }
}

/** What a bench prints without the paragraph that says where it was measured. */
function withoutPlace(text: string): string {
  return text.replace(/^repconv \d.* · .*?\n\n/s, '');
}

/** A line without the numbers of times. */
function withoutNumbers(line: string): string {
  return line.replace(/\d+(\.\d+)?(e-\d+)?/g, '#').replace(/ +/g, ' ');
}

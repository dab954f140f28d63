/**
 * The code of README, guides and docstrings, run as users run it: each program in a folder of its own, with the package
 * installed beside it and the files it reads; and compiled under TypeScript's `strict`.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveStateDict } from '../../lib/formats/stateDict.js';
import { createMobileOne } from '../../lib/nn/models/mobileone.js';
import { createRepVGG } from '../../lib/nn/models/repvgg.js';
import type { Module } from '../../lib/nn/module.js';
import type { AnyTensor } from '../../lib/tensor/tensor.js';
import { languagesOf, type Program, programsOfPage, programsOfSource } from './snippets.js';

const root = join(import.meta.dirname, '../..');
const home = mkdtempSync(join(tmpdir(), 'repconv-snippets-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
mkdirSync(join(home, 'node_modules'));
symlinkSync(root, join(home, 'node_modules/repconv'), 'junction');
for (const name of ['esbuild', 'sharp'])
  symlinkSync(join(root, 'node_modules', name), join(home, 'node_modules', name), 'junction');

const text = (file: string): string => readFileSync(join(root, file), 'utf8');
const filesIn = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .sort();
const pages = ['README.md', ...filesIn('docs', '.md')];
const sources = filesIn('lib', '.ts');
const programs = pages.flatMap((page) => programsOfPage(page, text(page)));
const examples = sources.flatMap((file) => programsOfSource(file, text(file)));

/** What programs read: made when the first of them needs it. */
const fixtures: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  'repvgg-a0.safetensors': (path) => saveStateDict(path, createRepVGG('repvgg-a0').stateDict()),
  'fast.safetensors': (path) => saveStateDict(path, createRepVGG('repvgg-a0', { deploy: true }).stateDict()),
  'timm-repvgg.safetensors': (path) => saveStateDict(path, namedByTimm(createRepVGG('repvgg-a0'))),
  'timm-mobileone.safetensors': (path) => saveStateDict(path, namedByTimm(createMobileOne('mobileone-s0'))),
  'photo.jpg': (path) =>
    sharp({ create: { width: 640, height: 480, channels: 3, background: 'teal' } })
      .jpeg()
      .toFile(path),
};

describe('README, guides and docstrings', () => {
  it('have code in the languages that are looked at here, or shells and other systems run', () => {
    const languages = new Set(pages.flatMap((page) => languagesOf(text(page))));
    expect([...languages].sort()).toEqual(['', 'js', 'python', 'sh', 'ts']);
  });

  it.each([
    ...['repconv', 'compile', 'Session', 'createRepVGG', 'createMobileOne', 'loadStateDict', 'saveStateDict'],
    ...['exportOnnx', 'toOnnx', 'trace', 'Module', 'Sequential', 'Conv2d', 'BatchNorm2d', 'Linear', 'convBn'],
    ...['ConvBlock', 'RepVGGBlock', 'MobileOneBlock', 'ReparamBlock', 'Ops', 'Tensor', 'tensor', 'randn'],
    ...['difference', 'RepconvError'],
  ])('show %s, which people meet first, in an example', (name) => {
    const declaration = new RegExp(
      `/\\*\\*((?:(?!\\*/).)*)\\*/\\nexport (?:async |abstract )?(?:function|class|interface) ${name}\\b`,
      's',
    );
    const docstrings = sources.flatMap((file) => declaration.exec(text(file))?.slice(1) ?? []);
    expect(docstrings).toEqual([expect.stringContaining('@example')]);
  });

  it('compile under strict', () => {
    const folder = join(home, 'types');
    mkdirSync(folder);
    for (const [i, { place, code, files }] of [...programs, ...examples].entries()) {
      writeFileSync(join(folder, `${i}.mts`), `// ${place}\n${code}\nexport {};\n`);
      for (const [name, content] of files)
        if (!name.endsWith('.cjs')) writeFileSync(join(folder, `${i}.${name.replace('.mjs', '.mts')}`), content);
    }
    const compilerOptions = {
      ...{ target: 'es2023', lib: ['es2023', 'esnext.disposable'], module: 'nodenext', strict: true, noEmit: true },
      ...{ types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    expect(runNode([join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], folder)).toBe('');
  });

  describe('run, and print what they say', () => {
    it.each(programs.map((program) => [program.place, program] as const))('%s', async (_, program) => {
      expectPrints(program, (await run(program)).trimEnd().split('\n'));
    });

    // Small programs, in one process: Node takes longer to start than they do to run.
    describe('in docstrings', () => {
      const results = new Map<string, ExampleResult>();
      beforeAll(() => runTogether(examples, results), 120_000);
      it.each(examples.map((example) => [example.place, example] as const))('%s', (place, example) => {
        const { lines, failure } = results.get(place) as ExampleResult;
        expect(failure).toBe('');
        expectPrints(example, lines);
      });
    });
  });
});

/** A network's tensors under the names that timm has for them (timm/models/byobnet.py). */
function namedByTimm(network: Module): Iterable<[string, AnyTensor]> {
  const names: readonly (readonly [RegExp, string | ((...found: string[]) => string)])[] = [
    [/^stage0\./, 'stem.'],
    [/^stage(\d)\./, (_, stage) => `stages.${Number(stage) - 1}.`],
    [/\.(rbr_dense|rbr_conv)\./, '.conv_kxk.'],
    [/\.rbr_1x1\./, '.conv_1x1.'],
    [/\.rbr_scale\./, '.conv_scale.'],
    [/\.(rbr_identity|rbr_skip)\./, '.identity.'],
    [/^linear\./, 'head.fc.'],
  ];
  const renamed = (key: string): string => names.reduce((name, [from, to]) => name.replace(from, to as string), key);
  return [...network.stateDict()].map(([key, tensor]) => [renamed(key), tensor]);
}

function expectPrints({ prints }: Program, lines: readonly string[]): void {
  if (prints.length > 0) expect(lines.map(rounded)).toEqual(prints.map(rounded));
}

let folders = 0;

async function run({ code, isTyped, files }: Program): Promise<string> {
  const folder = join(home, `program${folders++}`);
  mkdirSync(folder);
  await provide(code, folder);
  for (const [name, content] of files) writeFileSync(join(folder, name), content);
  const script = isTyped ? withoutTypes(code) : code;
  writeFileSync(join(folder, 'program.mjs'), script.replaceAll(/\b8080\b/g, String(await freePort())));
  return runNode(['program.mjs'], folder);
}

/** Puts the files that a program reads into its folder. */
async function provide(code: string, folder: string): Promise<void> {
  for (const [, name] of code.matchAll(/(?:loadStateDict|readFile)\('([^']+)'\)/g)) {
    const [path, place] = [join(home, name), join(folder, name)];
    if (!(name in fixtures) || existsSync(place)) continue;
    if (!existsSync(path)) await fixtures[name](path);
    linkSync(path, place);
  }
}

/** What an example printed, and what it failed with, if it did. */
interface ExampleResult {
  readonly lines: readonly string[];
  readonly failure: string;
}

/** Runs programs one after the other, and notes by their places what came of each. */
async function runTogether(all: readonly Program[], results: Map<string, ExampleResult>): Promise<void> {
  const folder = join(home, 'examples');
  mkdirSync(folder);
  for (const [i, { code }] of all.entries()) {
    await provide(code, folder);
    writeFileSync(join(folder, `${i}.mjs`), withoutTypes(code));
  }
  writeFileSync(
    join(folder, 'all.mjs'),
    `import { format } from 'node:util';
    for (let i = 0; i < ${all.length}; i++) {
      const lines = [];
      console.log = (...values) => lines.push(...format(...values).split('\\n'));
      const failure = await import(\`./\${i}.mjs\`).then(() => '', String);
      process.stdout.write(JSON.stringify({ lines, failure }) + '\\n');
    }`,
  );
  const outputs = runNode(['all.mjs'], folder).trimEnd().split('\n');
  for (const [i, { place }] of all.entries()) results.set(place, JSON.parse(outputs[i]) as ExampleResult);
}

function withoutTypes(code: string): string {
  return transformSync(code, { loader: 'ts', target: 'node20' }).code;
}

function runNode(args: readonly string[], cwd: string): string {
  try {
    return execFileSync(process.execPath, args, { cwd, encoding: 'utf8', stdio: 'pipe', timeout: 120_000 });
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${stdout ?? ''}${stderr ?? ''}` || message);
  }
}

/** The line without what is a matter of rounding: that it is there is what counts. */
function rounded(line: string): string {
  return line.replaceAll(/\d(\.\d+)?e-\d+/g, '#');
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

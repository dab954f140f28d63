/**
 * The house rules that no compiler checks: imports go down, never sideways or up; Node-API and intrinsics stay in their
 * rooms; the environment is read in one place.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const repository = fileURLToPath(new URL('..', import.meta.url));

/** Rooms from the top down; those in one row do not know each other. */
const libRooms = [
  ['cli'],
  ['index.ts'],
  ['server'],
  ['fusing', 'session'],
  ['nn'],
  ['onnx'],
  ['graph'],
  ['reparam'],
  ['engine'],
  ['ops', 'formats'],
  ['tensor'],
  ['debug.ts', 'options.ts', 'steps.ts'],
  ['checks.ts'],
  ['errors.ts'],
];
const nativeRooms = [['addon'], ['executor'], ['ops'], ['kernels'], ['core']];

interface Dependency {
  readonly from: string;
  readonly to: string;
}

describe('in lib/', () => {
  const files = filesBelow('lib', ['.ts', '.mts']);
  const dependencies = files.flatMap((file) => importsOf(file).map((to): Dependency => ({ from: file, to })));

  it('every file is in a room of the map', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(files.filter((file) => rankOf(file, libRooms) === -1 && file !== 'index.mts')).toEqual([]);
  });

  it('imports only go down, or to the same room', () => {
    expect(dependencies.length).toBeGreaterThan(200);
    expect(wrongWays(dependencies, libRooms)).toEqual([]);
  });

  it('imports of our own are relative, end in .js and name a file that is there', () => {
    for (const { from, to } of dependencies) expect(files, `${from} imports ${to}`).toContain(to);
  });

  it('the environment is read in debug.ts only', () => {
    expect(
      files.filter(
        (file) => file !== 'debug.ts' && /process\s*(\.env|\[)|\benv\b.*from 'node:process'/.test(codeOf('lib', file)),
      ),
    ).toEqual([]);
    expect(codeOf('lib', 'debug.ts')).toContain('process.env');
  });

  it('no import goes in a circle', () => {
    expect(circlesOf(dependencies)).toEqual([]);
  });
});

describe('in native/', () => {
  const files = filesBelow('native', ['.cc', '.h', '.inl', '.c', '.cpp']);
  const including = (pattern: RegExp): string[] =>
    files.filter((file) => includesOf(file).some((name) => pattern.test(name)));

  it('includes only go down, or to the same room', () => {
    const dependencies = files.flatMap((file) =>
      includesOf(file)
        .filter((name) => name.startsWith('"'))
        .map((name): Dependency => ({ from: file, to: name.slice(1, -1) })),
    );
    expect(dependencies.length).toBeGreaterThan(80);
    for (const { from, to } of dependencies) expect(files, `${from} includes ${to}`).toContain(to);
    expect(wrongWays(dependencies, nativeRooms)).toEqual([]);
  });

  it('Node-API is known to addon/ only', () => {
    const knowing = including(/napi\.h|node_api|uv\.h|v8/);
    expect(knowing.filter((file) => roomOf(file) !== 'addon')).toEqual([]);
    expect(knowing).not.toEqual([]);
  });

  it('intrinsics are used in kernels/ only', () => {
    const headers = including(/immintrin|x86intrin|[ex]mmintrin|arm_neon|arm_sve/);
    const calls = files.filter((file) =>
      /\b(_mm\d*_|_tile_|__m(128|256|512)|v(ld|st|fma)\d?q_)/.test(codeOf('native', file)),
    );
    expect([...headers, ...calls].filter((file) => roomOf(file) !== 'kernels')).toEqual([]);
  });

  it('the environment is not read', () => {
    expect(files.filter((file) => /getenv|\benviron\b/.test(codeOf('native', file)))).toEqual([]);
  });

  it('nothing is thrown', () => {
    // One file stands in for a function of the standard library, whose work it is to throw.
    expect(files.filter((file) => /\bthrow\b/.test(codeOf('native', file)))).toEqual(['addon/system_floor.cc']);
  });
});

describe('the rules themselves', () => {
  it('see an import that goes up, sideways or nowhere', () => {
    const wrong = [
      { from: 'ops/add.ts', to: 'graph/graph.ts' },
      { from: 'ops/add.ts', to: 'formats/limits.ts' },
      { from: 'session/lower.ts', to: 'fusing/repconv.ts' },
      { from: 'errors.ts', to: 'debug.ts' },
      { from: 'ops/add.ts', to: 'elsewhere/file.ts' },
    ];
    const right = [
      { from: 'ops/add.ts', to: 'tensor/tensor.ts' },
      { from: 'graph/passes/foldBatchNorm.ts', to: 'graph/graph.ts' },
      { from: 'index.ts', to: 'session/compile.ts' },
    ];
    expect(wrongWays([...wrong, ...right], libRooms)).toHaveLength(wrong.length);
  });

  it('see a circle', () => {
    const chain = ['a', 'b', 'c'].map((from, i, all) => ({ from, to: all[(i + 1) % 3] }));
    expect(circlesOf(chain)).toHaveLength(1);
    expect(circlesOf(chain.slice(0, 2))).toEqual([]);
  });
});

function wrongWays(dependencies: readonly Dependency[], rooms: readonly (readonly string[])[]): string[] {
  return dependencies
    .filter(({ from, to }) => {
      const [above, below] = [rankOf(from, rooms), rankOf(to, rooms)];
      return below === -1 || (roomOf(from) !== roomOf(to) && above >= below);
    })
    .map(({ from, to }) => `${from} → ${to}`);
}

function rankOf(file: string, rooms: readonly (readonly string[])[]): number {
  return rooms.findIndex((row) => row.includes(roomOf(file)));
}

/** The folder just below lib/ or native/, or the file that lies there itself. */
function roomOf(file: string): string {
  return file.split('/')[0];
}

/** Files with one of these endings, relative to the folder. */
function filesBelow(folder: string, endings: readonly string[]): string[] {
  return fs
    .readdirSync(path.join(repository, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => endings.some((ending) => file.endsWith(ending)) && !file.endsWith('.d.ts'))
    .map((file) => file.split(path.sep).join('/'));
}

/** The text without comments; quotes stay, since paths stand in them. */
function codeOf(folder: string, file: string): string {
  return fs
    .readFileSync(path.join(repository, folder, file), 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/\s\/\/ .*$/gm, '');
}

/** Our own files that a file imports or exports from, with types. */
function importsOf(file: string): string[] {
  const statements = codeOf('lib', file).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']*)'/g);
  return [...statements].map(([, target]) =>
    path.posix.join(path.posix.dirname(file), target.replace(/\.js$/, '.ts').replace(/\.mjs$/, '.mts')),
  );
}

function includesOf(file: string): string[] {
  return [...codeOf('native', file).matchAll(/#\s*include\s*(["<][^">]+[">])/g)].map(([, name]) => name);
}

/** One circle of imports for each file that closes one. */
function circlesOf(dependencies: readonly Dependency[]): string[] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of dependencies) targets.set(from, [...(targets.get(from) ?? []), to]);
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) circles.push([...trail.slice(trail.indexOf(file)), file].join(' → '));
    if (trail.includes(file) || done.has(file)) return;
    for (const to of targets.get(file) ?? []) visit(to, [...trail, file]);
    done.add(file);
  };
  for (const file of targets.keys()) visit(file, []);
  return circles;
}

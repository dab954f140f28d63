/** Imports go down, never sideways or up: the floors of lib/README.md and native/README.md, read off the sources. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);

/** From the top. Rooms of one floor do not know each other. */
const libFloors = [
  ['index'],
  ['cli'],
  ['server'],
  ['repconv', 'session'],
  ['nn'],
  ['onnx'],
  ['graph'],
  ['reparam'],
  ['engine'],
  ['ops', 'formats'],
  ['tensor'],
  ['errors', 'debug'],
];
const nativeFloors = [['addon'], ['executor'], ['ops'], ['kernels'], ['core']];
/** The switches of debug.ts are refused with an error of errors.ts. */
const exceptions = ['debug → errors'];

describe('imports go down', () => {
  it('in lib', () => {
    const imports = filesBelow('lib', /\.m?ts$/).flatMap((file) =>
      [...textOf(file).matchAll(/(?:from|import|require)\(? ?'(\.[^']*)\.m?js'/g)].map(([, path]) => {
        const target = new URL(path, new URL(file, root)).pathname.slice(root.pathname.length);
        return { file, from: roomOf(file), to: roomOf(target) };
      }),
    );
    expect(imports.length).toBeGreaterThan(200);
    expect(climbing(imports, libFloors)).toEqual([]);
  });

  it('in native', () => {
    const imports = filesBelow('native', /\.(cc|h|inl)$/).flatMap((file) =>
      [...textOf(file).matchAll(/^#include "([a-z]+)\//gm)].map(([, to]) => ({ file, from: roomOf(file), to })),
    );
    expect(imports.length).toBeGreaterThan(50);
    expect(climbing(imports, nativeFloors)).toEqual([]);
  });

  it('and native code meets Node in native/addon only, intrinsics in native/kernels only', () => {
    const including = (pattern: RegExp): string[] =>
      filesBelow('native', /\.(cc|h|inl)$/)
        .filter((file) => pattern.test(textOf(file)))
        .map(roomOf);
    expect(new Set(including(/#include <(napi|node_api|js_native_api)\.h>/))).toEqual(new Set(['addon']));
    expect(including(/#include <(\w+intrin|arm_neon|cpuid)\.h>/).filter((room) => room !== 'kernels' && room !== 'core')).toEqual([]);
  });
});

function climbing(imports: readonly { file: string; from: string; to: string }[], floors: readonly (readonly string[])[]): string[] {
  const floorOf = (room: string): number => {
    const floor = floors.findIndex((rooms) => rooms.includes(room));
    expect(floor, `${room} is on no floor`).toBeGreaterThanOrEqual(0);
    return floor;
  };
  return imports
    .filter(({ from, to }) => from !== to && floorOf(to) <= floorOf(from) && !exceptions.includes(`${from} → ${to}`))
    .map(({ file, to }) => `${file} imports ${to}`);
}

/** `lib/graph/passes/x.ts` → graph, `lib/repconv.ts` → repconv. */
function roomOf(path: string): string {
  return path.split('/')[1].replace(/\..*/, '');
}

function textOf(file: string): string {
  return readFileSync(new URL(file, root), 'utf8');
}

function filesBelow(folder: string, pattern: RegExp): string[] {
  return readdirSync(new URL(`${folder}/`, root)).flatMap((name) => {
    const path = `${folder}/${name}`;
    return statSync(new URL(path, root)).isDirectory() ? filesBelow(path, pattern) : pattern.test(name) ? [path] : [];
  });
}

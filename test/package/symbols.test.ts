/**
 * What the built addon asks of the system it is loaded into: no newer libraries, and no newer Node-API, than the oldest
 * Node the package supports has.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { dynamicSymbols } from './elf.js';

const addon = new URL('../../build/Release/repconv.node', import.meta.url);

/** Newest versions that may be asked for. Node 20's own binary is built for these systems. */
const floor: Readonly<Record<string, readonly number[]>> = {
  GLIBC: [2, 28],
  GLIBCXX: [3, 4, 25],
  CXXABI: [1, 3, 11],
  GCC: [7, 0, 0],
};

const nodeApiVersion = 8;

/** The functions that each version of Node-API has; the package comes without types. */
const { symbols: nodeApiSymbols } = createRequire(import.meta.url)('node-api-headers') as {
  symbols: Record<`v${number}`, { js_native_api_symbols: string[]; node_api_symbols: string[] }>;
};

describe.runIf(process.platform === 'linux')('the built addon', () => {
  const file = readFileSync(addon);
  const symbols = process.platform === 'linux' ? dynamicSymbols(file) : [];
  const imported = symbols.filter(({ isImported }) => isImported);

  it('imports nothing newer than GLIBC_2.28 and GLIBCXX_3.4.25', () => {
    const versions = new Set(imported.map(({ version }) => version.split('_')[0]));
    expect([...versions], 'the reader sees versions at all').toEqual(expect.arrayContaining(['GLIBC', 'GLIBCXX']));
    const tooNew = imported.filter(({ version }) => version !== '' && isNewerThanFloor(version));
    expect(tooNew.map(({ name, version }) => `${name} wants ${version}`)).toEqual([]);
  });

  it(`calls only functions of Node-API version ${nodeApiVersion}`, () => {
    const known = nodeApiSymbols[`v${nodeApiVersion}`];
    const allowed = new Set([...known.js_native_api_symbols, ...known.node_api_symbols]);
    const called = imported.map(({ name }) => name).filter((name) => /^(napi|node_api)_/.test(name));
    expect(called).toContain('napi_create_promise');
    expect(called.filter((name) => !allowed.has(name))).toEqual([]);
  });

  it.runIf(process.arch === 'x64' || process.arch === 'arm64')(
    `declares Node-API version ${nodeApiVersion} to Node`,
    () => {
      const entry = symbols.find(({ name }) => name === 'node_api_module_get_api_version_v1');
      expect(entry, 'node_api_module_get_api_version_v1').toBeDefined();
      expect(returnedConstant(file.subarray(entry?.fileOffset, (entry?.fileOffset ?? 0) + 32))).toBe(nodeApiVersion);
    },
  );

  it('shows the process its two entry points and nothing else', () => {
    const shown = symbols.filter(({ isImported }) => !isImported).map(({ name }) => name);
    expect(shown.sort()).toEqual(['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
  });
});

function isNewerThanFloor(version: string): boolean {
  const [, library, numbers] = /^([A-Z]+)_([\d.]+)$/.exec(version) ?? [];
  const newest = floor[library];
  // An unknown library, or a private version such as GLIBC_PRIVATE.
  if (newest === undefined) return true;
  const wanted = numbers.split('.').map(Number);
  const difference = newest.map((part, i) => (wanted[i] ?? 0) - part).find((part) => part !== 0) ?? 0;
  return difference > 0;
}

/** The number that a function which does nothing but return one returns: read off its machine code. */
function returnedConstant(code: Buffer): number | undefined {
  const words = Array.from({ length: 4 }, (_, i) => code.readUInt32LE(4 * i));
  // mov w0, #imm16
  if (process.arch === 'arm64')
    return words.filter((word) => (word & 0xffe0001f) === 0x52800000).map((word) => (word >> 5) & 0xffff)[0];
  // mov eax, imm32 (perhaps behind endbr64); ret
  const start = words[0] === 0xfa1e0ff3 ? 4 : 0;
  return code[start] === 0xb8 && code[start + 5] === 0xc3 ? code.readUInt32LE(start + 1) : undefined;
}

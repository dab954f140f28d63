/**
 * What users read where the addon cannot be loaded: what was tried, and what to do. Runs the built package (dist/) in
 * folders of its own.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

it('names both places and the commands of a source build where there is no binary', () => {
  const message = loadingError(packageWithoutBinaries());
  expect(message).toContain('ERR_NATIVE');
  expect(message).toContain(`Node ${process.versions.node}`);
  expect(message).toMatch(/build\/Release\/repconv\.node .*Cannot find module/);
  expect(message).toMatch(
    new RegExp(
      `prebuilds/${process.platform}(musl)?-${process.arch}/repconv\\.node .*(Cannot find module|no prebuilt)`,
    ),
  );
  expect(message).toContain('npm explore repconv -- npm run build:native');
  expect(message).toContain('bundler');
});

it('says so where a binary is there but cannot be loaded, and shows why', () => {
  const folder = packageWithoutBinaries();
  mkdirSync(join(folder, 'build/Release'), { recursive: true });
  writeFileSync(join(folder, 'build/Release/repconv.node'), 'not a library');
  const message = loadingError(folder);
  expect(message).toContain('does not fit this system');
  expect(message).toContain('npm explore repconv -- npm run build:native');
  expect(message).not.toContain('bundler');
});

it('names the option where the permission model keeps addons out', () => {
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
  const message = loadingError(root, [permission, '--allow-fs-read=*']);
  expect(message).toContain('--allow-addons');
  expect(message).not.toContain('build:native');
});

it('is not needed to make tensors and modules: only computing loads it', () => {
  const output = runIn(
    packageWithoutBinaries(),
    `const { ConvBlock, randn } = require('./dist/index.js'); console.log(String(new ConvBlock(4, 4)).length > 0, randn([2]).size)`,
  );
  expect(output.trim()).toBe('true 2');
});

function packageWithoutBinaries(): string {
  const folder = mkdtempSync(join(tmpdir(), 'repconv-loader-'));
  folders.push(folder);
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Code and message of the error that the first computation ends with. */
function loadingError(folder: string, options: readonly string[] = []): string {
  const source = `
    const { Conv2d, randn } = require('./dist/index.js');
    try { new Conv2d(1, 1, 1).forward(randn([1, 1, 2, 2])); console.log('computed'); }
    catch (error) { console.log(error.code, error.message); }`;
  return runIn(folder, source, options);
}

function runIn(folder: string, source: string, options: readonly string[] = []): string {
  return execFileSync(process.execPath, [...options, '--eval', source], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/**
 * Programs of their own, for what a test process cannot do to itself: die, or run under another limit. They run the
 * library as JavaScript.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Compiles `entry` (below lib/) and what it imports for the surrounding `describe`; returns the folder that then stands
 * for lib/.
 */
export function compiledLibrary(entry: string): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repconv-compiled-'));
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  const settings = {
    extends: path.join(repository, 'tsconfig.json'),
    compilerOptions: {
      rootDir: path.join(repository, 'lib'),
      outDir: path.join(folder, 'lib'),
      declaration: false,
      noCheck: true,
      typeRoots: [path.join(repository, 'node_modules/@types')],
    },
    include: [],
    files: [path.join(repository, 'lib', entry)],
  };
  fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(settings));
  execFileSync(process.execPath, [path.join(repository, 'node_modules/typescript/bin/tsc'), '-p', folder]);
  return path.join(folder, 'lib');
}

/** Runs a program to its end, after an optional line of shell. */
export function runNode(source: string, shell = ''): { stdout: string; signal: NodeJS.Signals | null } {
  const { stdout, signal } = spawnSync('bash', ['-c', `${shell}\nexec "$0" -e "$1"`, process.execPath, source], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { stdout, signal };
}

/** Runs a program until it has written something, lets it go on for a while, and kills it. */
export async function killWhileRunning(source: string, thenMs: number): Promise<void> {
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
  await new Promise((resolve) => setTimeout(resolve, thenMs));
  child.kill('SIGKILL');
  await ended;
}

/** The number of a process that existed and does not any more. */
export function deadProcessId(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

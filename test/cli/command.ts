/** Runs the built command in a process of its own, as a user's shell does: its output not on a terminal. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const mainFile = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param extra variables of the environment beside those of the tests */
export function repconv(
  args: readonly string[],
  extra: NodeJS.ProcessEnv = {},
  { cwd = process.cwd(), input = '' as string | Uint8Array } = {},
): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [mainFile, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...extra },
    cwd,
    input,
    maxBuffer: 2 ** 28,
  });
  return { code: status, stdout, stderr };
}

/** The same, with something done as soon as it has written to stdout. */
export function repconvUntilOutput(
  args: readonly string[],
  act: (child: ReturnType<typeof spawn>) => void,
): Promise<Ended> {
  const child = spawn(process.execPath, [mainFile, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.once('data', () => act(child));
  child.stdout.on('data', (part) => {
    stdout += part;
  });
  child.stderr.on('data', (part) => {
    stderr += part;
  });
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** A folder that is gone when the file's tests are over; gives paths in it. */
export function temporaryFolder(): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'repconv-cli-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  return (name) => join(folder, name);
}

/**
 * Life cycle, in processes of their own (they run dist/): memory after a thousand sessions, Workers terminated while
 * they compute.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

describe('in a process of its own', () => {
  it('1 000 × compile, run, dispose grow the process by less than 24 MB', () => {
    const { grownMB, externalMB, sessions } = report('sessionChurn.cjs', ['--expose-gc']);
    console.log(
      `${sessions} sessions: resident memory grew by ${grownMB.toFixed(1)} MB, external memory by ${externalMB.toFixed(2)} MB`,
    );
    expect(sessions).toBe(1000);
    expect(grownMB).toBeLessThan(24);
    // What the engine told the garbage collector, it took back.
    expect(Math.abs(externalMB)).toBeLessThan(1);
  });

  it('200 Workers terminated while they compute end without harm, and the main thread computes on', () => {
    const { terminated, whileRunning, wrong } = report('terminatedWorkers.cjs');
    console.log(`${terminated} Workers terminated, ${whileRunning} of them while a run was under way`);
    expect(terminated).toBe(200);
    expect(whileRunning).toBeGreaterThan(100);
    expect(wrong).toBe(0);
  });
});

/** Runs a program of this folder; throws if it dies in any way, and returns the numbers it prints. */
function report(program: string, flags: readonly string[] = []): Record<string, number> {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const output = execFileSync(process.execPath, [...flags, path], { encoding: 'utf8', timeout: 10 * 60_000 });
  return JSON.parse(output) as Record<string, number>;
}

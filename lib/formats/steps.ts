/**
 * Work with files, written once and run in two ways: waiting (`runSync`) or not (`runAsync`).
 *
 * Its steps (lib/steps.ts) are calls of the operating system. Tests carry them out in another way, and see, fail or cut
 * short any call.
 */
import fs from 'node:fs';
import { types } from 'node:util';
import { printable, RepconvError } from '../errors.js';
import { runSteps, runStepsAsync, type Steps as StepsOf } from '../steps.js';

/** The calls, as `node:fs` has them (with `Sync` or a callback). */
export interface FileCalls {
  open(path: string, flags: number, mode: number): number;
  close(descriptor: number): void;
  read(descriptor: number, bytes: Uint8Array, offset: number, length: number, position: number | null): number;
  write(descriptor: number, bytes: Uint8Array, offset: number, length: number, position: null): number;
  fstat(descriptor: number): fs.Stats;
  fchmod(descriptor: number, mode: number): void;
  fchown(descriptor: number, user: number, group: number): void;
  fsync(descriptor: number): void;
  lstat(path: string): fs.Stats;
  readlink(path: string): string;
  realpath(path: string): string;
  readdir(path: string): string[];
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Lets others run for a moment, in the midst of long computation. */
  pause(): void;
}

/** One call, not yet made. */
export interface Step {
  readonly name: keyof FileCalls;
  readonly args: readonly unknown[];
}

/** Work that ends with a `T`. */
export type Steps<T> = StepsOf<Step, T>;

/** Makes one call: `yield* call('close', descriptor)`. */
export function* call<Name extends keyof FileCalls>(
  name: Name,
  ...args: Parameters<FileCalls[Name]>
): Steps<ReturnType<FileCalls[Name]>> {
  return (yield { name, args }) as ReturnType<FileCalls[Name]>;
}

/** The result of `steps`, or undefined if they fail: for what is tidy to do and no promise. */
export function* attempt<T>(steps: Steps<T>): Steps<T | undefined> {
  try {
    return yield* steps;
  } catch {
    return undefined;
  }
}

/** Gives what the operating system refuses within `steps` its code. @throws ERR_IO with the cause */
export function* withCodedErrors<T>(source: string, steps: Steps<T>): Steps<T> {
  try {
    return yield* steps;
  } catch (cause) {
    if (!types.isNativeError(cause) || cause instanceof RepconvError || !('code' in cause)) throw cause;
    throw new RepconvError('ERR_IO', `${source}: ${printable(cause.message, 600)}`, { cause });
  }
}

/** Runs the steps now, and waits for each. */
export function runSync<T>(steps: Steps<T>, perform: (step: Step) => unknown = performSync): T {
  return runSteps(steps, perform);
}

/** Runs the steps up to the first call at once, and the rest without keeping the thread. */
export function runAsync<T>(steps: Steps<T>, perform: (step: Step) => Promise<unknown> = performAsync): Promise<T> {
  return runStepsAsync(steps, perform);
}

/** Makes a call and waits. */
export function performSync({ name, args }: Step): unknown {
  if (name === 'pause') return undefined;
  return (fs[`${name}Sync`] as (...args: readonly unknown[]) => unknown)(...args);
}

/** Makes a call on a thread of Node's pool. */
export function performAsync({ name, args }: Step): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (error: unknown, result: unknown): void => (error ? reject(error) : resolve(result));
    if (name === 'pause') setImmediate(resolve);
    else (fs[name] as (...args: readonly unknown[]) => void)(...args, settle);
  });
}

/** How tests look at an error. */
import { expect } from 'vitest';
import { type ErrorCode, RepconvError } from '../../lib/errors.js';

/** Runs `act`, which must throw a {@link RepconvError}: that. */
export function refusalOf(act: () => unknown): RepconvError {
  let thrown: unknown;
  try {
    act();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(RepconvError);
  return thrown as RepconvError;
}

/** Runs `act`, which must throw a {@link RepconvError} of this code with exactly this message, or one that matches. */
export function expectRefusal(act: () => unknown, code: ErrorCode, message: string | RegExp): void {
  const { code: found, message: text } = refusalOf(act);
  expect(typeof message === 'string' ? text : '').toBe(typeof message === 'string' ? message : '');
  if (message instanceof RegExp) expect(text).toMatch(message);
  expect(found).toBe(code);
}

/**
 * What every refusal owes its reader: a code, and a message that says what is wrong and where, short and fit for a
 * terminal.
 */
import { expect } from 'vitest';
import { type ErrorCode, RepconvError } from '../../lib/errors.js';

/** Calls, and returns the error that must come. */
export function refusalOf(act: () => unknown): RepconvError {
  try {
    act();
  } catch (error) {
    return checkedRefusal(error);
  }
  throw new Error('expected a refusal, but the call succeeded');
}

/** The same for a promise. */
export async function refusalOfAsync(act: () => Promise<unknown>): Promise<RepconvError> {
  return act().then(
    () => {
      throw new Error('expected a refusal, but the call succeeded');
    },
    (error: unknown) => checkedRefusal(error),
  );
}

/** Checks the code, and that the message has each of `parts`. */
export function expectRefusal(error: RepconvError, code: ErrorCode, ...parts: string[]): void {
  expect({ code: error.code, message: error.message }).toEqual({ code, message: error.message });
  for (const part of parts) expect(error.message).toContain(part);
}

function checkedRefusal(error: unknown): RepconvError {
  if (!(error instanceof RepconvError)) throw new Error('expected a RepconvError', { cause: error });
  expect(error.message.length).toBeLessThanOrEqual(2048);
  expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(error.message.isWellFormed()).toBe(true);
  return error;
}

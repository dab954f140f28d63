/** How a command ends when it does not end well. */

/** What a process of `repconv` returns to its caller. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** A result that is not what it must be: a check that failed, work that was refused. Its message is for people. */
export class CommandFailure extends Error {
  constructor(
    message: string,
    readonly exitCode: number = exitCodes.failed,
  ) {
    super(message);
  }
}

/** The rule for files that commands write: one that is there is replaced only where the user says so. */
import { existsSync } from 'node:fs';
import { printable } from '../errors.js';
import { CommandFailure } from './failure.js';

/** Asked before the work begins. @throws CommandFailure where a file is there and `force` is not given */
export function checkMayWrite(path: string, force: boolean): void {
  if (!force && existsSync(path))
    throw new CommandFailure(
      `${printable(path)} is there already; --force replaces it (at once and whole, or not at all)`,
    );
}

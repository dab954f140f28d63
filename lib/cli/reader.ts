/**
 * Whoever reads stdout may stop before its end (`| head`): that is no fault, and the end of a command, unless it makes
 * something else besides.
 */

let isOutlived = false;

/** Calls `exit` with what happened to stdout. */
export function endWithReader(exit: (error: NodeJS.ErrnoException) => void): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!isOutlived || error.code !== 'EPIPE') exit(error);
  });
}

/** From now on the command goes on without a reader. */
export function outliveReader(): void {
  isOutlived = true;
}

/** What long work shows meanwhile: a progress bar with the stage of the work, on stderr, where that is a terminal. */
import { SingleBar } from 'cli-progress';

/** What a caller may show. */
export interface Progress {
  stage(text: string): void;
  /** @param done from 0 to 1 */
  measured(done: number): void;
}

export class ProgressDisplay implements Progress {
  private bar: SingleBar | null = null;

  start(network: string): void {
    if (!process.stderr.isTTY) return;
    this.bar = new SingleBar({
      format: `  ${network} {bar} {percentage} % {stage}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      // Signals are the command's business.
      gracefulExit: false,
      stream: process.stderr,
    });
    this.bar.start(1, 0, { stage: '' });
  }

  stage(text: string): void {
    this.bar?.update(0, { stage: text });
  }

  measured(done: number): void {
    this.bar?.update(done);
  }

  /** Takes the bar away and gives the cursor back. */
  stop(): void {
    this.bar?.stop();
    this.bar = null;
  }
}

/** Lets signals, timers and the terminal have their turn. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

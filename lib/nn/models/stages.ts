/**
 * What the families of networks share: options with their defaults, and lists of one number for each of four stages.
 */
import { isWholeNumber, listOf } from '../../checks.js';

/** What is taken where nobody says. */
export const networkDefaults = { numClasses: 1000, eps: 1e-5, deploy: false } as const;

/** Multipliers of the channels of each stage. @throws ERR_INPUT */
export function stageWidths(value: unknown, what: string): number[] {
  const isWidth = (entry: unknown): entry is number => Number.isFinite(entry) && (entry as number) > 0;
  return listOf(value, what, [4], 'finite numbers above 0', isWidth);
}

/** Numbers of blocks of each stage. @throws ERR_INPUT */
export function stageBlocks(value: unknown, what: string): number[] {
  const isCount = (entry: unknown): entry is number => isWholeNumber(entry, 1, 1000);
  return listOf(value, what, [4], 'whole numbers from 1 to 1000', isCount);
}

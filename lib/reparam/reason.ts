/**
 * Why something was not folded: a table of its own, since leaving a network as it is is no error.
 *
 * `NOT_PROFITABLE` waits for the merge of whole graphs: a block is merged whatever it costs.
 */

/** Every code a {@link Reason} can carry, with what it means. */
export const reasonCodes = {
  TRAIN_MODE: 'batch norm in training mode uses the statistics of the batch',
  NO_RUNNING_STATISTICS: 'batch norm without running statistics uses those of the batch even in evaluation',
  NONFINITE: 'a parameter is NaN or infinite',
  NEGATIVE_VARIANCE: 'a running variance is negative',
  NONLINEAR: 'something non-linear stands in the way',
  NOT_CONSTANT: 'a weight is computed, not constant',
  DIFFERENT_SOURCES: 'the branches read different values',
  BROADCAST: 'a value is repeated along an axis of the other',
  BORDER_BIAS: 'the second convolution pads with zeros where the first would give its bias',
  BORDER_TAPS: 'the second convolution pads with zeros where the first would give partial sums',
  COUNT_EXCLUDE_PAD: 'average pooling that leaves padding out of its divisor weighs the border differently',
  CEIL_MODE: 'pooling with incomplete windows weighs the border differently',
  STRIDE: 'the branches have different strides',
  PADDING_MODE: 'the branches continue the image differently beyond its border',
  SHAPE_DEPENDENT: 'the branches give maps of equal size for some input sizes only',
  TRANSPOSED: 'a transposed and an ordinary convolution have no common form here',
  NOT_EQUAL: 'the one convolution, rounded to its format, does not compute the same',
  NOT_PROFITABLE: 'one convolution would cost more than its parts',
} as const;

/** One of the keys of {@link reasonCodes}. */
export type ReasonCode = keyof typeof reasonCodes;

/** Why a block was left as it is, with what exactly was found. */
export class Reason {
  constructor(
    /** Says what kind of obstacle it is; {@link reasonCodes} has each in words. */
    readonly code: ReasonCode,
    /** Which layer, which numbers. */
    readonly detail: string,
  ) {}

  /** Code, meaning and detail in one line. */
  toString(): string {
    return `${this.code}: ${reasonCodes[this.code]}${this.detail === '' ? '' : ` (${this.detail})`}`;
  }
}

export function isReason(value: unknown): value is Reason {
  return value instanceof Reason;
}

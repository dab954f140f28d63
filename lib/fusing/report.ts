/** What `repconv` tells of its work: one line for each block, with a certificate or a reason. */
import type { Certificate } from '../reparam/certificate.js';
import type { Reason } from '../reparam/reason.js';
import type { FloatDType } from '../tensor/dtype.js';

/** What became of one block. */
export interface BlockReport {
  /** Path in the model; empty for the model itself. */
  readonly path: string;
  /** Name of the block's class. */
  readonly type: string;
  /** Whether one convolution took the place of the branches, or why none did: it was one already, or see `reason`. */
  readonly status: 'fused' | 'left' | 'already deployed';
  /** Why it was left. */
  readonly reason?: Reason;
  /** The branches in words: `3×3 + 1×1 + identity`. */
  readonly branches?: string;
  /** What took their place: `3×3`, `3×3 in 4 groups`. */
  readonly into?: string;
  /** Trained numbers of the block. */
  readonly parameters?: BeforeAndAfter;
  /** Multiply-accumulates of the block's convolutions, for one run with `inputs`; there where these were given. */
  readonly macs?: BeforeAndAfter;
  /** The number format of the convolution. */
  readonly dtype?: FloatDType;
  /** How far block and convolution are apart. */
  readonly certificate?: Certificate;
}

/** A count before and after fusing. */
export interface BeforeAndAfter {
  /** With the branches. */
  readonly before: number;
  /** With one convolution. */
  readonly after: number;
}

/** What it cost that convolutions were rounded to few bits. */
export interface Rounding {
  /** The format they were rounded to. */
  readonly dtype: 'float16' | 'bfloat16';
  /** The largest difference that a block's certificate shows, relative to what the block answers. */
  readonly relative: number;
  /** What to do for a fused model without this difference, in words. */
  readonly remedy: string;
}

/** What {@link repconv} gives. */
export interface RepconvResult<M> {
  /** The fused model; with `copy: false` the one that was given. */
  readonly model: M;
  /** What became of each of its blocks. */
  readonly report: Report;
}

/** What {@link repconv} did. */
export interface Report {
  /** What became of each block, in the order of the tree. */
  readonly blocks: readonly BlockReport[];
  /** Blocks that became one convolution. */
  readonly fused: number;
  /** Blocks that stayed as they are, each with its reason. */
  readonly left: number;
  /** Whether a copy was put into evaluation mode first. */
  readonly switchedToEval: boolean;
  /** Where convolutions in float16 or bfloat16 were rounded back to their format. */
  readonly rounded?: Rounding;
  /** The state dict that was written. */
  readonly savedTo?: string;
}

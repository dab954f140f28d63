/** What `repconv` tells of its work: one line for each block, with a certificate or a reason. */
import type { Certificate } from '../reparam/certificate.js';
import type { Reason } from '../reparam/reason.js';
import type { FloatDType } from '../tensor/dtype.js';

/** What became of one block. */
export interface BlockReport {
  /** Path in the model; empty for the model itself. */
  readonly path: string;
  readonly type: string;
  readonly status: 'fused' | 'left' | 'already deployed';
  /** Why it was left. */
  readonly reason?: Reason;
  /** `3×3 + 1×1 + identity` */
  readonly branches?: string;
  /** `3×3` */
  readonly into?: string;
  readonly parameters?: { readonly before: number; readonly after: number };
  /** Of the block's convolutions, for the given inputs. */
  readonly macs?: { readonly before: number; readonly after: number };
  /** The number format of the convolution. */
  readonly dtype?: FloatDType;
  readonly certificate?: Certificate;
}

/** What it cost that convolutions were rounded to few bits. */
export interface Rounding {
  readonly dtype: 'float16' | 'bfloat16';
  /** The largest difference that a block's certificate shows, relative to what the block answers. */
  readonly relative: number;
  /** How it can be had without. */
  readonly remedy: string;
}

/** What {@link repconv} did. */
export interface Report {
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

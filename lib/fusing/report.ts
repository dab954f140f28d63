/** What `repconv` tells of its work: one line for each block, with a certificate or a reason. */
import type { Certificate } from '../reparam/certificate.js';
import type { Reason } from '../reparam/reason.js';

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
  readonly certificate?: Certificate;
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
  /** The state dict that was written. */
  readonly savedTo?: string;
}

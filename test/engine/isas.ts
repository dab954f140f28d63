/** What this processor has kernels for, and tests walk over. */
import { debugSettings, isas } from '../../lib/debug.js';
import { nativeAddon } from '../../lib/engine/addon.js';

/** Its instruction sets, whatever REPCONV_ISA says; the others are said to be left out. */
export function usableIsas(): readonly string[] {
  const usable = isas.slice(0, isas.indexOf(nativeAddon().info().isa) + 1);
  for (const isa of isas.slice(usable.length))
    console.warn(`SKIPPED: this processor has no ${isa}; its kernels are not tested here`);
  return usable;
}

/**
 * The kernel of the precisions bfloat16 and bfloat16x3; empty where there is none, or where REPCONV_ISA leaves out the
 * instruction set that it belongs to, the last one.
 */
export function bfloat16Kernel(): string {
  const { isa } = debugSettings();
  return isa === '' || isa === isas.at(-1) ? nativeAddon().info().bfloat16 : '';
}

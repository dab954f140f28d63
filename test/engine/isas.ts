/** The instruction sets that tests walk over. */
import { isas } from '../../lib/debug.js';
import { nativeAddon } from '../../lib/engine/addon.js';

/** Those of this processor; the others are said to be left out. */
export function usableIsas(): readonly string[] {
  const usable = isas.slice(0, isas.indexOf(nativeAddon().info().isa) + 1);
  for (const isa of isas.slice(usable.length))
    console.warn(`SKIPPED: this processor has no ${isa}; its kernels are not tested here`);
  return usable;
}

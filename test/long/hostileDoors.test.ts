/** Every door of the public interface with every hostile value at every place: some 70,000 calls. */
import { expect, it } from 'vitest';
import { describeSweep } from '../doors/sweep.js';

describeSweep(1);

it('asks for little memory, whatever sizes it is told', () => {
  // 0.7 GB when this was written; a tensor of 2^31 elements alone would be 8.
  expect(process.resourceUsage().maxRSS * 1024).toBeLessThan(2 ** 31);
});

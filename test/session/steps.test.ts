/** Why an algorithm was chosen, in words. */
import { expect, it } from 'vitest';
import type { NativeSession, NativeStep } from '../../lib/engine/addon.js';
import { describedSteps } from '../../lib/session/steps.js';

function reasonFor(algorithm: string, costs: NativeStep['costs'], isForced = false): string {
  const step = { label: 'stem', operation: 'conv2d', algorithm, kernel: 'avx2', costs, isForced, macs: 10 };
  const [{ why, ...rest }] = describedSteps({ describe: () => [step] } as Partial<NativeSession> as NativeSession, 0);
  const { isForced: _, ...told } = step;
  expect(rest).toEqual(told);
  return why;
}

it.each<[string, NativeStep['costs'], string]>([
  [
    'winograd4',
    { winograd4: 100, winograd2: 150, im2col: 190, direct: 212 },
    'winograd4, estimated 2.1 times as fast as direct',
  ],
  ['direct', { winograd4: 300, im2col: 121, direct: 100 }, 'direct, estimated 1.2 times as fast as im2col'],
  ['pointwise', { pointwise: 1, direct: 345.6 }, 'pointwise, estimated 350 times as fast as direct'],
  ['depthwise', { depthwise: 100, direct: 104 }, 'depthwise, estimated as fast as direct'],
  ['direct', { direct: 100 }, 'direct, the only one that fits'],
  ['', {}, ''],
  ['transpose', {}, ''],
])('%s of %o', (algorithm, costs, why) => {
  expect(reasonFor(algorithm, costs)).toBe(why);
});

it('somebody forced it', () => {
  expect(reasonFor('im2col', {}, true)).toBe('im2col, as was asked for');
});

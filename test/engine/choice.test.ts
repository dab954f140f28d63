/** What a convolution is computed by follows from costs, which are numbers above 0 whatever the shape. */
import { describe, expect, it } from 'vitest';
import { compileSync } from '../../lib/index.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import type { CompileOptions } from '../../lib/session/options.js';
import type { StepDescription } from '../../lib/session/steps.js';
import { convCases } from '../cases/convCases.js';
import { bfloat16Kernel, usableIsas } from './isas.js';

const precisions = bfloat16Kernel() === '' ? (['float32'] as const) : (['float32', 'bfloat16x3', 'bfloat16'] as const);
const ways = [...usableIsas().map((isa) => ({ isa })), ...precisions.map((precision) => ({ precision }))];
const sides = [1, 2, 3, 4, 5, 7, 14];

/** What was decided about the convolution. */
function choiceOf(conv: Conv2d, shape: readonly number[], options: Partial<CompileOptions>): StepDescription {
  using session = compileSync(conv, { inputs: { x: [...shape] }, ...options });
  return session.describe().find(({ operation }) => operation === 'conv2d') as StepDescription;
}

describe.each(ways)('costs in %o', (options) => {
  const check = (conv: Conv2d, shape: readonly number[]): void => {
    const { costs, algorithm, why } = choiceOf(conv, shape, options);
    const where = JSON.stringify({ shape, costs });
    for (const cost of Object.values(costs)) expect(cost > 0 && Number.isFinite(cost), where).toBe(true);
    expect(costs[algorithm], where).toBe(Math.min(...Object.values(costs)));
    expect(why, where).toMatch(new RegExp(`^${algorithm}, (estimated .*as fast as \\w+|the only one that fits)$`));
  };

  it('are numbers, and the least is chosen: 3×3 over small maps', () => {
    for (const height of sides)
      for (const width of sides)
        for (const stride of [1, 2]) check(new Conv2d(32, 48, 3, { padding: 1, stride }), [1, 32, height, width]);
  });

  it('are numbers, and the least is chosen: the case table', () => {
    for (const { input, weight, options: given } of convCases) {
      if (input.includes(0) || (given.paddingMode ?? 'zeros') !== 'zeros') continue;
      const { groups = 1 } = given;
      check(new Conv2d(weight[1] * groups, weight[0], [weight[2], weight[3]], given as object), input);
    }
  });
});

import { describe, it } from 'vitest';
import { spellOutPadding } from '../../../lib/graph/passes/spellOutPadding.js';
import { trace } from '../../../lib/graph/record.js';
import type { PaddingMode } from '../../../lib/ops/window.js';
import { convAndNorm, expectPass, model } from '../graphs.js';

const image = { x: ['N', 3, 'H', 'W'] };

describe('spellOutPadding', () => {
  it.each<PaddingMode>(['reflect', 'replicate', 'circular'])(
    'puts a pad in front of a convolution that continues the image: %s',
    (paddingMode) => {
      const padded = model(convAndNorm([4, 3, 3, 2]), (f, parameter, x) =>
        f.conv2d(x, parameter('conv.weight'), parameter('conv.bias'), {
          stride: 2,
          padding: [1, 0, 2, 1],
          paddingMode,
        }),
      );
      expectPass(
        spellOutPadding,
        trace(padded, image),
        {
          before: `
          graph (x: float32 [N,3,H,W])
            %0 = conv2d(x, conv.weight, conv.bias) { stride 2,2, padding 1,0,2,1, paddingMode ${paddingMode} } : [N,4,(H+2)//2,(W+1)//2]
            return output = %0
        `,
          after: `
          graph (x: float32 [N,3,H,W])
            %0 = pad(x) { padding 1,0,2,1, mode ${paddingMode}, value 0 } : [N,3,H+3,W+1]
            %1 = conv2d(%0, conv.weight, conv.bias) { stride 2,2 } : [N,4,(H+2)//2,(W+1)//2]
            return output = %1
        `,
        },
        { tolerance: 0 },
      );
    },
  );

  it('keeps borders of zeros', () => {
    const zeros = model(convAndNorm([3, 3, 3, 3]), (f, parameter, x) =>
      f.relu(f.conv2d(x, parameter('conv.weight'), null, { padding: 1 })),
    );
    const text = `
      graph (x: float32 [N,3,H,W])
        %0 = conv2d(x, conv.weight, –) { padding 1,1,1,1 } : [N,3,H,W]
        %1 = relu(%0) : [N,3,H,W]
        return output = %1
    `;
    expectPass(spellOutPadding, trace(zeros, image), { before: text, after: text }, { tolerance: 0 });
  });

  it('adds no step for a mode that has nothing to continue', () => {
    const unpadded = model(convAndNorm([3, 3, 1, 1]), (f, parameter, x) =>
      f.conv2d(x, parameter('conv.weight'), null, { paddingMode: 'reflect' }),
    );
    expectPass(
      spellOutPadding,
      trace(unpadded, image),
      {
        before: `
          graph (x: float32 [N,3,H,W])
            %0 = conv2d(x, conv.weight, –) { paddingMode reflect } : [N,3,H,W]
            return output = %0
        `,
        after: `
          graph (x: float32 [N,3,H,W])
            %0 = conv2d(x, conv.weight, –) : [N,3,H,W]
            return output = %0
        `,
      },
      { tolerance: 0 },
    );
  });
});

/** Parallel branches add: different kernels, paddings, dilations, groups, and where they do not. */
import { describe, expect, it } from 'vitest';
import { expectFolds, expectReason, type Folding, frameOf } from './folding.js';
import { conv, norm, type Part, pad, pool, sum, transposed } from './parts.js';

/** What is summed, what comes out, and where more than the usual comparison is wanted. */
const merges: readonly [string, Part, string, Folding?][] = [
  [
    'RepVGG: 3×3 + 1×1 + identity',
    sum([conv(3, { padding: 1 }), norm()], [conv(1), norm()], norm()),
    '3×3 padding 1,1,1,1',
  ],
  [
    'RepVGG of stride 2',
    sum(conv(3, { padding: 1, stride: 2 }), conv(1, { stride: 2 })),
    '3×3 stride 2×2 padding 1,1,1,1',
  ],
  [
    'three of one kernel',
    sum(conv(3, { padding: 1 }), conv(3, { padding: 1 }), conv(3, { padding: 1 })),
    '3×3 padding 1,1,1,1',
  ],
  [
    'ACNet: 3×3 + 1×3 + 3×1',
    sum(conv(3, { padding: 1 }), conv([1, 3], { padding: [0, 1] }), conv([3, 1], { padding: [1, 0] })),
    '3×3 padding 1,1,1,1',
  ],
  ['only 1×3 + 3×1', sum(conv([1, 3], { padding: [0, 1] }), conv([3, 1], { padding: [1, 0] })), '3×3 padding 1,1,1,1'],
  [
    'RepLKNet: 13×13 + 5×5 depthwise',
    sum(conv(13, { padding: 6, groups: 4 }), conv(5, { padding: 2, groups: 4 })),
    '13×13 padding 6,6,6,6 groups 4',
  ],
  [
    'even 4×4 + 1×1 + identity, the centre where the padding says',
    sum(conv(4, { padding: [1, 1, 2, 2] }), conv(1), []),
    '4×4 padding 1,1,2,2',
  ],
  ['even 4×4 the other way round', sum(conv(4, { padding: [2, 2, 1, 1] }), conv(1), []), '4×4 padding 2,2,1,1'],
  ['2×2 + identity', sum(conv(2, { padding: [0, 1, 1, 0] }), []), '2×2 padding 0,1,1,0'],
  [
    'asymmetric 5×3 + 2×4',
    sum(conv([5, 3], { padding: [2, 1, 2, 1] }), conv([2, 4], { padding: [1, 2, 0, 1] })),
    '5×4 padding 2,2,2,1',
  ],
  [
    'kernels that hardly overlap',
    sum(conv(3, { padding: [2, 0, 0, 2] }), conv(3, { padding: [0, 2, 2, 0] })),
    '5×5 padding 2,2,2,2',
  ],
  ['unpadded 3×3 + 1×1 cut to size', sum(conv(3), conv(3)), '3×3'],
  [
    'dilated 3×3 + 1×1 stays dilated',
    sum(conv(3, { padding: 2, dilation: 2 }), conv(1)),
    '3×3 padding 2,2,2,2 dilation 2×2',
  ],
  [
    'dilated 3×3 + 3×3 + 1×1',
    sum(conv(3, { padding: 2, dilation: 2 }), conv(3, { padding: 1 }), conv(1)),
    '5×5 padding 2,2,2,2',
  ],
  [
    'dilations 2 and 4',
    sum(conv(3, { padding: 4, dilation: 4 }), conv(3, { padding: 2, dilation: 2 })),
    '5×5 padding 4,4,4,4 dilation 2×2',
  ],
  [
    'dilations 2 and 3',
    sum(conv(3, { padding: 3, dilation: 3 }), conv(3, { padding: 2, dilation: 2 })),
    '7×7 padding 3,3,3,3',
  ],
  [
    'dilation along one axis',
    sum(conv(3, { padding: [1, 2], dilation: [1, 2] }), conv([3, 1], { padding: [1, 0] })),
    '3×3 padding 1,2,1,2 dilation 1×2',
  ],
  [
    'UniRepLKNet of 9: 9×9 + dilated 5, 5, 3, 3',
    [
      sum(
        [conv(9, { padding: 4, groups: 4, bias: false }), norm()],
        ...(
          [
            [5, 1],
            [5, 2],
            [3, 3],
            [3, 4],
          ] as const
        ).map(([k, r]) => [conv(k, { padding: (r * (k - 1)) / 2, dilation: r, groups: 4, bias: false }), norm()]),
      ),
      norm(),
    ],
    '9×9 padding 4,4,4,4 groups 4',
  ],
  ['dense + depthwise', sum(conv(3, { padding: 1 }), conv(3, { padding: 1, groups: 4 })), '3×3 padding 1,1,1,1'],
  [
    'groups 4 + groups 2',
    sum(conv(3, { padding: 1, groups: 4 }), conv(1, { groups: 2 })),
    '3×3 padding 1,1,1,1 groups 2',
    { channels: 8 },
  ],
  [
    'groups 2 + groups 3 have nothing in common',
    sum(conv(3, { padding: 1, groups: 2, out: 12 }), conv(1, { groups: 3, out: 12 })),
    '3×3 padding 1,1,1,1',
    { channels: 6 },
  ],
  [
    'groups 4 + groups 6 meet in 2',
    sum(conv(1, { groups: 4, out: 24 }), conv(1, { groups: 6, out: 24 })),
    '1×1 groups 2',
    { channels: 12 },
  ],
  ['grouped + identity', sum(conv(3, { padding: 1, groups: 2 }), []), '3×3 padding 1,1,1,1 groups 2'],
  [
    'more channels out than in',
    sum(conv(3, { padding: 1, out: 10 }), conv(1, { out: 10 })),
    '3×3 padding 1,1,1,1',
    { channels: 3 },
  ],
  ['identity + identity', sum([], []), '1×1 groups 4'],
  ['a branch of scales only', sum(conv(3, { padding: 1 }), { kind: 'mul', shape: 'channel' }), '3×3 padding 1,1,1,1'],
  [
    'a reflected border is carried',
    sum(conv(3, { padding: 1, paddingMode: 'reflect' }), conv(1), []),
    '3×3 padding 1,1,1,1 reflect',
  ],
  [
    'a continued border is carried',
    sum(
      conv(1),
      conv(3, { padding: 1, paddingMode: 'replicate' }),
      conv([1, 3], { padding: [0, 1], paddingMode: 'replicate' }),
    ),
    '3×3 padding 1,1,1,1 replicate',
  ],
  [
    'a circular border is carried',
    sum([], conv(5, { padding: 2, paddingMode: 'circular', groups: 4 })),
    '5×5 padding 2,2,2,2 groups 4 circular',
  ],
  [
    'a border of its own before an unpadded convolution',
    sum([pad({ padding: 1, mode: 'replicate' }), conv(3)], conv(1)),
    '3×3 padding 1,1,1,1 replicate',
  ],
  [
    'a Pad step and a padded convolution',
    sum(
      [pad({ padding: [1, 0, 0, 2] }), conv(2, { padding: [0, 1, 1, 0] })],
      [pad({ padding: [1, 1, 0, 3] }), conv([1, 3])],
    ),
    '2×3 padding 1,1,1,3',
  ],
  [
    'an average pool',
    sum(conv(3, { padding: 1 }), pool({ kernelSize: 3, stride: 1, padding: 1 })),
    '3×3 padding 1,1,1,1',
  ],
  [
    'an average pool that leaves nothing out, as there is no padding',
    sum(conv(3, { stride: 2 }), pool({ kernelSize: 3, stride: 2, countIncludePad: false })),
    '3×3 stride 2×2',
  ],
  [
    'DBB: 1×1, then the mean',
    sum(conv(3, { padding: 1 }), [conv(1, { bias: false }), pool({ kernelSize: 3, stride: 1, padding: 1 }), norm()]),
    '3×3 padding 1,1,1,1',
  ],
  [
    'average pools of 2×4 and 4×2',
    sum(
      pool({ kernelSize: [2, 4], stride: 1, padding: [0, 1, 1, 2] }),
      pool({ kernelSize: [4, 2], stride: 1, padding: [1, 0, 2, 1] }),
    ),
    '4×4 padding 1,1,2,2 groups 4',
  ],
  [
    '3×3 + average pool of 2×2, of stride 2, where the size is even',
    sum(conv(3, { padding: 1, stride: 2 }), pool({ kernelSize: 2, stride: 2 })),
    '3×3 stride 2×2 padding 1,1,0,0',
    { knowsSize: true, sizes: [[10, 12]] },
  ],
  [
    'unequal for some sizes, but equal for this one',
    sum(conv(3, { padding: 1, stride: 2, paddingMode: 'reflect' }), conv(2, { stride: 2 })),
    '3×3 stride 2×2 padding 1,1,0,0 reflect',
    { knowsSize: true, sizes: [[10, 8]] },
  ],
  [
    'one axis equal always, one for this size',
    sum(conv([3, 1], { padding: [1, 0], stride: [1, 3] }), conv([1, 2], { stride: [1, 3] })),
    '3×2 stride 1×3 padding 1,0,1,0',
    { knowsSize: true, sizes: [[9, 11]] },
  ],
];

describe('branches merge', () => {
  it.each([...merges])('%s', (_, part, frame, folding) => {
    expect(frameOf(expectFolds(part, folding))).toBe(frame);
  });
});

describe('transposed branches merge', () => {
  it.each<[string, Part, string, Folding?]>([
    [
      '4×4 + 2×2 of stride 2',
      sum(transposed(4, { stride: 2, padding: 1 }), transposed(2, { stride: 2 })),
      'transposed 4×4 stride 2×2 padding 1,1,1,1',
    ],
    [
      'in groups',
      sum(transposed(4, { stride: 2, padding: 1, groups: 2, out: 6 }), transposed(2, { stride: 2, groups: 2, out: 6 })),
      'transposed 4×4 stride 2×2 padding 1,1,1,1 groups 2',
    ],
    [
      'groups 4 + groups 2',
      sum(transposed(3, { stride: 2, groups: 4 }), transposed(3, { stride: 2, groups: 2 })),
      'transposed 3×3 stride 2×2 groups 2',
    ],
    [
      'with output padding',
      sum(transposed(3, { stride: 2, padding: 1, outputPadding: 1 }), transposed(2, { stride: 2 })),
      'transposed 3×3 stride 2×2 padding 1,1,0,0',
    ],
    [
      'with output padding beyond every kernel',
      sum(transposed(1, { stride: 3, outputPadding: [2, 1] }), transposed([2, 1], { stride: 3, outputPadding: 1 })),
      'transposed 2×1 stride 3×3 output padding 1×1',
    ],
    [
      'dilated',
      sum(transposed(2, { stride: 3, dilation: 2 }), transposed(3, { stride: 3 })),
      'transposed 3×3 stride 3×3',
    ],
    [
      'asymmetric',
      sum(transposed([3, 4], { stride: 2, padding: [0, 1, 1, 0] }), transposed([2, 3], { stride: 2 })),
      'transposed 3×4 stride 2×2 padding 0,1,1,0',
    ],
    ['of stride 1, and the identity', sum(transposed(3, { padding: 1 }), []), '3×3 padding 1,1,1,1'],
    [
      'of stride 1, and an ordinary 3×3',
      sum(conv(3, { padding: 1 }), transposed([3, 5], { padding: [1, 2], groups: 2 })),
      '3×5 padding 1,2,1,2',
    ],
    [
      'of stride 1 with output padding and dilation',
      sum(transposed(2, { dilation: 2, padding: [1, 1, 1, 1], outputPadding: 1 }), conv(2, { padding: [1, 1, 1, 1] })),
      '3×3 padding 1,1,2,2',
      { sizes: [[6, 5]] },
    ],
  ])('%s', (_, part, frame, folding) => {
    expect(frameOf(expectFolds(part, folding))).toBe(frame);
  });
});

describe('branches stay apart', () => {
  it('when strides differ', () => {
    expectReason(sum(conv(1), conv(1, { stride: 2, padding: 4 })), 'STRIDE', { size: [8, 8] });
  });

  it('when one continues the image otherwise', () => {
    expectReason(sum(conv(3, { padding: 1, paddingMode: 'reflect' }), conv(3, { padding: 1 })), 'PADDING_MODE');
  });

  it('when their sizes agree for some images only, and the size is open', () => {
    const part = sum(conv(3, { padding: 1, stride: 2 }), pool({ kernelSize: 2, stride: 2 }));
    expectReason(part, 'SHAPE_DEPENDENT');
    expectReason(part, 'SHAPE_DEPENDENT', { size: ['H', 12] });
    expectReason(sum(conv(3, { stride: 2 }), conv(1, { stride: 2 })), 'SHAPE_DEPENDENT');
    expectReason(sum(transposed(2, { stride: 2 }), transposed(2, { stride: 2, outputPadding: 1 })), 'SHAPE_DEPENDENT');
  });

  it('when an average pool weighs its border otherwise', () => {
    expectReason(
      sum(conv(3, { padding: 1 }), pool({ kernelSize: 3, stride: 1, padding: 1, countIncludePad: false })),
      'COUNT_EXCLUDE_PAD',
    );
    expectReason(pool({ kernelSize: 3, stride: 2, ceilMode: true }), 'CEIL_MODE');
  });

  it('when one is transposed with a stride and the other is not', () => {
    expectReason(sum(conv(1, { stride: 1 }), [conv(2, { stride: 2 }), transposed(2, { stride: 2 })]), 'TRANSPOSED', {
      size: [8, 8],
    });
  });
});

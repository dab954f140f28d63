/** Sequences compose, where the border allows it. */
import { describe, expect, it } from 'vitest';
import { expectFolds, expectReason, type Folding, frameOf } from './folding.js';
import { conv, norm, type Part, pad, pool, sum, transposed } from './parts.js';

describe('1×1 then k×k', () => {
  it.each<[string, Part, string, Folding?]>([
    ['without padding', [conv(1, { out: 7 }), conv(3, { out: 5 })], '3×3'],
    ['with padding, without bias', [conv(1, { out: 7, bias: false }), conv(3, { padding: 1 })], '3×3 padding 1,1,1,1'],
    [
      'with a continued border',
      [conv(1), conv(3, { padding: [1, 0, 2, 1], paddingMode: 'replicate' })],
      '3×3 padding 1,0,2,1 replicate',
    ],
    [
      'with a reflected border',
      [conv(1), norm(), conv([4, 3], { padding: [2, 1, 1, 1], paddingMode: 'reflect' })],
      '4×3 padding 2,1,1,1 reflect',
    ],
    [
      'with a circular border',
      [norm(), conv(5, { padding: 2, paddingMode: 'circular', groups: 4 })],
      '5×5 padding 2,2,2,2 groups 4 circular',
    ],
    [
      'of stride 2, before padding',
      [conv(1, { stride: 2, bias: false }), conv(3, { padding: 1 })],
      '3×3 stride 2×2 padding 2,2,2,2 dilation 2×2',
    ],
    [
      'of stride 2, then stride 3',
      [conv(1, { stride: 2 }), conv(2, { stride: 3 })],
      '2×2 stride 6×6 dilation 2×2',
      { sizes: [[14, 17]] },
    ],
    [
      'that pads itself',
      [conv(1, { padding: [1, 2, 0, 1], bias: false }), conv(3, { padding: 1 })],
      '3×3 padding 2,3,1,2',
    ],
    ['both in 2 groups', [conv(1, { groups: 2, out: 6 }), conv(3, { groups: 2, out: 8 })], '3×3 groups 2'],
    ['in 2 groups, then dense', [conv(1, { groups: 2 }), conv(3)], '3×3'],
    [
      'dense, then depthwise',
      [conv(1, { out: 6, bias: false }), conv(3, { groups: 6, padding: 1 })],
      '3×3 padding 1,1,1,1',
    ],
    [
      'DBB: 1×1, border of its own value, k×k',
      [conv(1), norm(), pad({ padding: 1, mode: 'replicate' }), conv(3)],
      '3×3 padding 1,1,1,1 replicate',
    ],
    ['a border of zeros before the bias', [pad({ padding: 1 }), conv(1), norm(), conv(3)], '3×3 padding 1,1,1,1'],
    ['then an average pool', [conv(1, { out: 6 }), pool({ kernelSize: 2, stride: 2 })], '2×2 stride 2×2'],
  ])('%s', (_, part, frame, folding) => {
    expect(frameOf(expectFolds(part, folding))).toBe(frame);
  });

  it('with a bias does not fold before zeros', () => {
    expectReason([conv(1), conv(3, { padding: 1 })], 'BORDER_BIAS');
    expectReason([conv(1), conv(3, { padding: [0, 0, 0, 1] })], 'BORDER_BIAS');
    expectReason([conv(1), pool({ kernelSize: 3, stride: 1, padding: 1 })], 'BORDER_BIAS');
    expectReason([conv(1), pad({ padding: 1 }), conv(3)], 'BORDER_BIAS');
  });

  it('does not fold a continued border inside zeros, nor a border continued twice', () => {
    expectReason([pad({ padding: 1, mode: 'reflect' }), conv(3, { padding: 1 })], 'PADDING_MODE');
    expectReason(
      [pad({ padding: 1, mode: 'circular' }), conv(3, { padding: 1, paddingMode: 'circular' })],
      'PADDING_MODE',
    );
    expectReason([conv(1, { stride: 2 }), conv(3, { padding: 1, paddingMode: 'reflect' })], 'PADDING_MODE');
  });

  it('does not fold a border that is not zero', () => {
    expectReason([pad({ padding: 1, value: 0.5 }), conv(3)], 'BORDER_BIAS');
  });
});

describe('k×k then 1×1', () => {
  it.each<[string, Part, string, Folding?]>([
    ['with padding and biases', [conv(3, { padding: 1, out: 6 }), conv(1, { out: 5 })], '3×3 padding 1,1,1,1'],
    [
      'with a reflected border',
      [conv(3, { padding: 1, paddingMode: 'reflect' }), conv(1)],
      '3×3 padding 1,1,1,1 reflect',
    ],
    ['depthwise, then pointwise', [conv(3, { padding: 1, groups: 4 }), conv(1, { out: 9 })], '3×3 padding 1,1,1,1'],
    [
      'of stride 2, then of stride 2',
      [conv(3, { padding: 1, stride: 2 }), conv(1, { stride: 2 })],
      '3×3 stride 4×4 padding 1,1,1,1',
    ],
    [
      'in 4 groups, then in 2',
      [conv(3, { padding: 1, groups: 4, out: 8 }), conv(1, { groups: 2 })],
      '3×3 padding 1,1,1,1 groups 2',
    ],
    [
      'a pool, then pointwise',
      [pool({ kernelSize: 3, stride: 2, padding: 1 }), conv(1, { out: 3 })],
      '3×3 stride 2×2 padding 1,1,1,1',
    ],
    [
      'a transposed one in groups',
      [transposed(4, { stride: 2, padding: 1, groups: 2, out: 6 }), conv(1, { out: 5 })],
      'transposed 4×4 stride 2×2 padding 1,1,1,1',
    ],
    [
      'a transposed one and a batch norm',
      [transposed(3, { stride: 2, groups: 2, outputPadding: 1, padding: 1 }), norm()],
      'transposed 3×3 stride 2×2 padding 1,1,1,1 groups 2 output padding 1×1',
    ],
  ])('%s', (_, part, frame, folding) => {
    expect(frameOf(expectFolds(part, folding))).toBe(frame);
  });
});

describe('j×j then k×k', () => {
  it.each<[string, Part, string, Folding?]>([
    ['unpadded: sizes add up', [conv(3), conv(3)], '5×5'],
    ['the first padded', [conv(3, { padding: 2 }), conv([2, 3])], '4×5 padding 2,2,2,2'],
    ['the first strided: taps lie a stride apart', [conv(2, { stride: 2 }), conv(3)], '6×6 stride 2×2'],
    ['the first dilated', [conv(2, { dilation: 2 }), conv(3, { dilation: 2 })], '4×4 dilation 2×2'],
    [
      'a mean of a mean',
      [pool({ kernelSize: 2, stride: 2 }), pool({ kernelSize: 2, stride: 2 })],
      '4×4 stride 4×4 groups 4',
    ],
    [
      'a mean of a reflected border',
      [pad({ padding: 1, mode: 'reflect' }), pool({ kernelSize: 3, stride: 1 })],
      '3×3 padding 1,1,1,1 groups 4 reflect',
    ],
    ['three in a row', [conv(2), conv(2, { groups: 2 }), conv(2)], '4×4'],
    ['inside a sum', sum([conv(3, { padding: 2 }), conv(3)], conv(1), []), '5×5 padding 2,2,2,2'],
  ])('%s', (_, part, frame, folding) => {
    expect(frameOf(expectFolds(part, folding))).toBe(frame);
  });

  it('does not fold where the second pads', () => {
    expectReason([conv(3), conv(3, { padding: 1 })], 'BORDER_TAPS');
    expectReason([conv(3, { bias: false }), conv(3, { padding: 1, paddingMode: 'reflect' })], 'BORDER_TAPS');
    expectReason([conv(3), pad({ padding: 1 }), conv(3)], 'BORDER_TAPS');
  });
});

describe('something before a transposed convolution', () => {
  it('folds if it is 1×1 without bias', () => {
    const map = expectFolds([
      conv(1, { out: 6, bias: false }),
      transposed(4, { stride: 2, padding: 1, groups: 2, out: 8 }),
    ]);
    expect(frameOf(map)).toBe('transposed 4×4 stride 2×2 padding 1,1,1,1');
    expectFolds([{ kind: 'mul', shape: 'channel' }, transposed(3, { stride: 2, groups: 2 })]);
  });

  it('does not fold with a bias, which the border would not see', () => {
    expectReason([norm(), transposed(3, { stride: 2 })], 'BORDER_BIAS');
  });

  it('does not fold with taps, strides or padding', () => {
    expectReason([conv(3, { bias: false }), transposed(2, { stride: 2 })], 'TRANSPOSED');
    expectReason([conv(1, { stride: 2, bias: false }), transposed(2, { stride: 2 })], 'TRANSPOSED');
    expectReason([pad({ padding: 1 }), transposed(2, { stride: 2 })], 'TRANSPOSED');
    expectReason([transposed(2, { stride: 2 }), conv(3)], 'TRANSPOSED');
    expectReason([transposed(2, { stride: 2 }), transposed(1)], 'TRANSPOSED');
  });
});

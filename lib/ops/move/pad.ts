/**
 * pad: a border around the two image axes, filled with a constant or continued from the image.
 *
 *     zeros      0 0 | a b c d | 0 0        (or another constant)
 *     reflect    c b | a b c d | c b        (padding < extent)
 *     replicate  a a | a b c d | d d
 *     circular   c d | a b c d | a b        (padding ≤ extent)
 */
import { anyNumber } from '../../checks.js';
import { RepconvError } from '../../errors.js';
import { optionsOf } from '../../options.js';
import { type Extent, plus } from '../../tensor/extent.js';
import { showShape, sizeOf } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { type Operator, requiredRank } from '../operator.js';
import { type Padding, type PaddingLike, type PaddingMode, paddingModeOf, paddingOf } from '../window.js';

export interface PadAttributes {
  readonly padding: Padding;
  readonly mode: PaddingMode;
  /** The constant of mode `zeros`. */
  readonly value: number;
}

/** A border around height and width. */
export interface PadOptions {
  /** Pixels on each side. */
  padding: PaddingLike;
  /** What the border holds; default zeros. */
  mode?: PaddingMode;
  /** The constant of mode `zeros`; default 0. */
  value?: number;
}

export function padAttributes(options: PadOptions): PadAttributes {
  const { padding, mode, value } = optionsOf(options, { padding: undefined, mode: 'zeros', value: 0 }, 'pad');
  return {
    padding: paddingOf(padding, 'pad'),
    mode: paddingModeOf(mode, 'pad: mode'),
    value: anyNumber(value, 'pad: value'),
  };
}

export const pad: Operator<PadAttributes> = {
  name: 'pad',
  inputs: [{ name: 'input' }],
  complete: padAttributes,

  infer(inputs, { padding, mode }) {
    const { dtype, shape } = requiredRank(inputs, 0, 4, 'pad', 'input');
    checkPaddingFits(shape[2], shape[3], padding, mode, 'pad');
    const [top, left, bottom, right] = padding;
    return [
      {
        dtype,
        shape: [shape[0], shape[1], plus(shape[2], top + bottom), plus(shape[3], left + right)],
      },
    ];
  },

  reference([input], { padding, mode, value }) {
    return [padded(input as Tensor<'float64'>, padding, mode, value)];
  },
};

/**
 * The padded image itself; convolutions with a padding mode are defined as this followed by an unpadded convolution.
 */
export function padded(
  input: Tensor<'float64'>,
  [top, left, bottom, right]: Padding,
  mode: PaddingMode,
  value = 0,
): Tensor<'float64'> {
  const [N, C, H, W] = input.shape;
  const output = new Tensor('float64', [N, C, H + top + bottom, W + left + right]);
  const [rows, columns] = [output.shape[2], output.shape[3]];
  const columnSource = Array.from({ length: columns }, (_, x) => borderIndex(x - left, W, mode));
  const [from, into] = [input.data, output.data];
  for (let plane = 0; plane < sizeOf([N, C]); plane++) {
    for (let y = 0; y < rows; y++) {
      const row = borderIndex(y - top, H, mode);
      for (let x = 0; x < columns; x++) {
        const column = columnSource[x];
        into[(plane * rows + y) * columns + x] = row < 0 || column < 0 ? value : from[(plane * H + row) * W + column];
      }
    }
  }
  return output;
}

/** Which index of the image the border position `i` shows; −1 for the constant. */
export function borderIndex(i: number, extent: number, mode: PaddingMode): number {
  if (i >= 0 && i < extent) return i;
  switch (mode) {
    case 'zeros':
      return -1;
    case 'replicate':
      return i < 0 ? 0 : extent - 1;
    case 'reflect':
      return i < 0 ? -i : 2 * (extent - 1) - i;
    case 'circular':
      return i < 0 ? i + extent : i - extent;
  }
}

/**
 * reflect reaches at most extent − 1 beyond the border, circular at most extent, replicate needs one element. @throws
 * ERR_SHAPE
 */
export function checkPaddingFits(H: Extent, W: Extent, padding: Padding, mode: PaddingMode, operation: string): void {
  if (mode === 'zeros') return;
  for (const [axis, extent] of [H, W].entries()) {
    if (typeof extent !== 'number') continue;
    const most = mode === 'reflect' ? extent - 1 : mode === 'circular' ? extent : extent === 0 ? 0 : Infinity;
    if (padding[axis] > most || padding[axis + 2] > most) {
      throw new RepconvError(
        'ERR_SHAPE',
        `${operation}: ${mode} padding ${showShape(padding)} expects at most ${most} on ${axis === 0 ? 'height' : 'width'} ${extent}`,
      );
    }
  }
}

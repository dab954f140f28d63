/**
 * averagePool2d: the mean of every window. input [N, C, H, W].
 *
 * With `countIncludePad` (PyTorch's default) the divisor is the window's size inside the padded input; without (ONNX's
 * default) the number of real elements.
 */
import { flag } from '../../checks.js';
import { optionsOf } from '../../options.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { Operator } from '../operator.js';
import {
  inferPooling,
  type PoolingAttributes,
  type PoolingOptions,
  pooled,
  poolingAttributes,
  poolingDefaults,
  spanLength,
  windowSpans,
} from './pooling.js';

/** How a window of means slides, complete. */
export interface AveragePool2dAttributes extends PoolingAttributes {
  /** Whether padding counts among the pixels that the sum is divided by. */
  readonly countIncludePad: boolean;
}

/** How a window of means slides over an image. */
export interface AveragePool2dOptions extends PoolingOptions {
  /** Whether padding counts among the pixels that the sum is divided by; default true. */
  countIncludePad?: boolean;
}

export function averagePool2dAttributes(options: AveragePool2dOptions): AveragePool2dAttributes {
  const { countIncludePad, ...window } = optionsOf(
    options,
    { ...poolingDefaults, countIncludePad: true },
    'averagePool2d',
  );
  return {
    ...poolingAttributes(window, 'averagePool2d'),
    countIncludePad: flag(countIncludePad, 'averagePool2d: countIncludePad'),
  };
}

export const averagePool2d: Operator<AveragePool2dAttributes> = {
  name: 'averagePool2d',
  inputs: [{ name: 'input' }],
  complete: averagePool2dAttributes,

  infer: (inputs, attributes) => [inferPooling(inputs, attributes, 'averagePool2d')],

  reference([input], attributes) {
    const x = input as Tensor<'float64'>;
    const [, , rows, columns] = inferPooling([x], attributes, 'averagePool2d').shape as number[];
    return [
      pooled(
        x,
        windowSpans(x.shape[2], rows, 0, attributes),
        windowSpans(x.shape[3], columns, 1, attributes),
        0,
        (sum, value) => sum + value,
        (sum, row, column) =>
          sum / (attributes.countIncludePad ? row.bound * column.bound : spanLength(row) * spanLength(column)),
      ),
    ];
  },
};

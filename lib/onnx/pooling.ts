/**
 * How pooling is spelled in ONNX.
 *
 * A last, incomplete window (`ceilMode`) is where ONNX's versions and runtimes differ: whether it may begin in the
 * padding, and by what its mean is divided. So where the image's size is known it is spelled without: with as much more
 * padding behind as completes that window.
 */

import type { AveragePool2dAttributes } from '../ops/pool/averagePool2d.js';
import type { MaxPool2dAttributes } from '../ops/pool/maxPool2d.js';
import { adaptiveSpans, type PoolingAttributes } from '../ops/pool/pooling.js';
import type { Padding, Pair } from '../ops/window.js';
import type { Extent } from '../tensor/extent.js';
import { isConcrete, type Shape } from '../tensor/shape.js';
import type { Attributes, NodeScope } from './modelWriter.js';
import { slice } from './movement.js';
import type { Application } from './row.js';

export function writeMaxPool(
  f: NodeScope,
  { inputs, shapes, result, attributes }: Application<MaxPool2dAttributes>,
): string {
  const [top, left, bottom, right] = attributes.padding;
  const missing = missingBehind(shapes[0], result, attributes, attributes.dilation);
  // Runtimes take no padding as wide as the kernel; what completes a dilated window may be.
  const completed: Padding | undefined = missing && [top, left, bottom + missing[0], right + missing[1]];
  const isTaken = completed?.every((p, side) => p < attributes.kernelSize[side % 2]);
  return f.node('MaxPool', inputs, {
    ...windowAttributes(attributes, isTaken ? completed : undefined),
    dilations: attributes.dilation,
  });
}

export function writeAveragePool(
  f: NodeScope,
  { inputs: [x], shapes, result, attributes }: Application<AveragePool2dAttributes>,
): string {
  const missing = missingBehind(shapes[0], result, attributes);
  const [top, left, bottom, right] = attributes.padding;
  if (missing === undefined || (missing[0] === 0 && missing[1] === 0) || !attributes.countIncludePad) {
    const completed: Padding | undefined = missing && [top, left, bottom + missing[0], right + missing[1]];
    return f.node('AveragePool', [x], {
      ...windowAttributes(attributes, completed),
      count_include_pad: attributes.countIncludePad ? 1 : 0,
    });
  }
  // The border counts, what completes the window does not: the one becomes part of the image, the other is padding.
  const pads = f.integers('pads', [0, 0, top, left, 0, 0, bottom, right]);
  const bordered = f.node('Pad', [x, pads, f.numbers('value', 0)], { mode: 'constant' });
  return f.node('AveragePool', [bordered], {
    ...windowAttributes(attributes, [0, 0, ...missing]),
    count_include_pad: 0,
  });
}

/** With complete windows, or, where the padding that completes them is not known, with `ceil_mode`. */
function windowAttributes(
  { kernelSize, stride, padding, ceilMode }: PoolingAttributes,
  completed: Padding | undefined,
): Attributes {
  return {
    ceil_mode: ceilMode && completed === undefined ? 1 : 0,
    kernel_shape: kernelSize,
    pads: completed ?? padding,
    strides: stride,
  };
}

/**
 * By how much the last windows reach beyond the padded image, at the bottom and on the right; undefined where the size
 * is not known.
 */
function missingBehind(
  input: Shape,
  output: Shape,
  { kernelSize, stride, padding, ceilMode }: PoolingAttributes,
  dilation: Pair = [1, 1],
): Pair | undefined {
  if (!ceilMode) return [0, 0];
  const [from, to] = [input.slice(2), output.slice(2)];
  if (!isConcrete(from) || !isConcrete(to)) return undefined;
  const missing = [0, 1].map((axis) => {
    const end = (to[axis] - 1) * stride[axis] + dilation[axis] * (kernelSize[axis] - 1) + 1;
    return Math.max(0, end - (from[axis] + padding[axis] + padding[axis + 2]));
  });
  return [missing[0], missing[1]];
}

/**
 * One bin is global pooling, equal ones are windows; bins of unequal size are cut out and reduced one by one, rows
 * first, then columns. Where the image's size is open, so are the places to cut, and the model computes them.
 */
export function writeAdaptivePooling(
  f: NodeScope,
  { inputs: [x], shapes, attributes: { outputSize } }: Application<{ outputSize: Pair }>,
  kind: 'average' | 'max',
): string {
  const words = {
    average: { global: 'GlobalAveragePool', windows: 'AveragePool', reduce: 'ReduceMean' },
    max: { global: 'GlobalMaxPool', windows: 'MaxPool', reduce: 'ReduceMax' },
  }[kind];
  if (outputSize.every((extent) => extent === 1)) return f.node(words.global, [x]);
  const size = shapes[0].slice(2);
  const window = size.map((extent, axis) => (typeof extent === 'number' ? extent / outputSize[axis] : Number.NaN));
  if (window.every(Number.isInteger)) return f.node(words.windows, [x], { kernel_shape: window, strides: window });
  const rows = pooledAxis(f, x, 2, size[0], outputSize[0], words.reduce);
  return pooledAxis(f, rows, 3, size[1], outputSize[1], words.reduce);
}

function pooledAxis(f: NodeScope, x: string, axis: number, extent: Extent, count: number, reduce: string): string {
  if (extent === count) return x;
  const binOf = bins(f, x, axis, extent, count);
  const pooled = Array.from({ length: count }, (_, i) => {
    const bin = binOf(i);
    return f.opset >= 18
      ? f.node(reduce, [bin, f.integers('axes', [axis])], { keepdims: 1 })
      : f.node(reduce, [bin], { axes: [axis], keepdims: 1 });
  });
  return pooled.length === 1 ? pooled[0] : f.node('Concat', pooled, { axis });
}

/** Cuts out the parts of the image that become one number along an axis: ⌊i·extent/count⌋ … ⌈(i + 1)·extent/count⌉. */
function bins(f: NodeScope, x: string, axis: number, extent: Extent, count: number): (i: number) => string {
  if (count === 1) return () => x;
  if (typeof extent === 'number') {
    const spans = adaptiveSpans(extent, count);
    return (i) => slice(f, x, axis, spans[i].from, spans[i].to);
  }
  const length = slice(f, f.node('Shape', [x]), 0, axis, axis + 1);
  const share = (parts: number, more: number): string => {
    const scaled = f.node('Mul', [length, f.integers('parts', [parts])]);
    const raised = more === 0 ? scaled : f.node('Add', [scaled, f.integers('more', [more])]);
    return f.node('Div', [raised, f.integers('count', [count])]);
  };
  return (i) => f.node('Slice', [x, share(i, 0), share(i + 1, count - 1), f.integers('axes', [axis])]);
}

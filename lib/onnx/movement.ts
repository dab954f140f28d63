/** How borders, flattening and reshaping are spelled in ONNX. */
import type { FlattenAttributes } from '../ops/move/flatten.js';
import type { PadAttributes } from '../ops/move/pad.js';
import type { ReshapeAttributes } from '../ops/move/reshape.js';
import { checkedAxis } from '../ops/operator.js';
import type { Shape } from '../tensor/shape.js';
import type { NodeScope } from './modelWriter.js';
import type { Application } from './row.js';

/** As far as a slice can reach; ONNX cuts it to the extent. */
const toTheEnd = 2 ** 31 - 1;

/** Our modes, in ONNX's words. */
const padModes = { zeros: 'constant', reflect: 'reflect', replicate: 'edge', circular: 'wrap' } as const;

export function writePad(f: NodeScope, { inputs: [x], attributes }: Application<PadAttributes>): string {
  const { padding, mode, value } = attributes;
  if (padding.every((p) => p === 0)) return x;
  if (mode === 'circular' && f.opset < 19) return wrapAround(f, x, padding);
  const [top, left, bottom, right] = padding;
  const pads = f.integers('pads', [0, 0, top, left, 0, 0, bottom, right]);
  return f.node('Pad', mode === 'zeros' ? [x, pads, f.numbers('value', value)] : [x, pads], { mode: padModes[mode] });
}

/** One axis after the other: what lies at the far end goes in front, what lies in front goes behind. */
function wrapAround(f: NodeScope, x: string, padding: readonly number[]): string {
  return [2, 3].reduce((image, axis) => {
    const [before, after] = [padding[axis - 2], padding[axis]];
    if (before + after === 0) return image;
    return f.node(
      'Concat',
      [
        ...(before === 0 ? [] : [slice(f, image, axis, -before, toTheEnd)]),
        image,
        ...(after === 0 ? [] : [slice(f, image, axis, 0, after)]),
      ],
      { axis },
    );
  }, x);
}

/** Positions `from` … below `to` of one axis; negative ones count from its end. */
export function slice(f: NodeScope, x: string, axis: number, from: number, to: number): string {
  return f.node('Slice', [x, f.integers('starts', [from]), f.integers('ends', [to]), f.integers('axes', [axis])]);
}

export function writeFlatten(
  f: NodeScope,
  { inputs: [x], shapes, result, attributes }: Application<FlattenAttributes>,
): string {
  const from = shapes[0];
  const rank = Math.max(from.length, 1);
  const [start, end] = [attributes.startAxis, attributes.endAxis].map((axis) => checkedAxis(axis, rank, 'flatten'));
  if (start === end && from.length > 0) return x;
  // ONNX's own Flatten always makes a matrix.
  if (end === rank - 1 && start === 1) return f.node('Flatten', [x], { axis: 1 });
  const known = knownShape(from, result);
  if (known !== undefined) return f.node('Reshape', [x, f.integers('shape', known)]);
  const shape = f.node('Shape', [x]);
  const parts = [
    ...(start === 0 ? [] : [slice(f, shape, 0, 0, start)]),
    f.integers('joined', [-1]),
    ...(end === rank - 1 ? [] : [slice(f, shape, 0, end + 1, toTheEnd)]),
  ];
  return f.node('Reshape', [x, f.node('Concat', parts, { axis: 0 })]);
}

/**
 * The attribute means in ONNX what it means here. Numbers that are known are written out all the same: −1 is not
 * defined for empty tensors.
 */
export function writeReshape(
  f: NodeScope,
  { inputs: [x], shapes, result, attributes }: Application<ReshapeAttributes>,
): string {
  const shape = knownShape(shapes[0], result) ?? attributes.shape;
  return f.node('Reshape', [x, f.integers('shape', shape)]);
}

/**
 * A shape as Reshape takes it: numbers where they are known, 0 where the input has that extent on the same axis, −1 for
 * one other. Undefined where more than one would be −1. An extent of 0 counts as not known, because Reshape takes it
 * for a copy.
 */
function knownShape(from: Shape, to: Shape): readonly number[] | undefined {
  const shape = to.map((extent, axis) =>
    typeof extent === 'number' && extent !== 0 ? extent : extent === from[axis] ? 0 : -1,
  );
  return shape.filter((extent) => extent === -1).length <= 1 ? shape : undefined;
}

/**
 * Versions of ONNX's operator set that models are written in, each with the version of the file format it came with:
 * readers that know an operator set know that format, and perhaps no later one.
 */
import { refused } from '../checks.js';
import { RepconvError } from '../errors.js';

/**
 * File format (`ir_version`) by operator set; ONNX's versioning.md. Below 11 paddings and bounds are
 * attributes; 26 is the last that ONNX Runtime 1.30 takes.
 */
const formatVersions: ReadonlyMap<number, number> = new Map([
  [11, 6],
  [12, 7],
  [13, 7],
  [14, 7],
  [15, 8],
  [16, 8],
  [17, 8],
  [18, 8],
  [19, 9],
  [20, 9],
  [21, 10],
  [22, 10],
  [23, 11],
  [24, 12],
  [25, 13],
  [26, 13],
]);

/** What a model is written in when nobody asks for another: every runtime of the last years reads it. */
export const defaultOpset = 17;

/** Operator sets that models can be written in. */
export const opsets: readonly number[] = [...formatVersions.keys()];

/**
 * The file format for an operator set. @throws ERR_INPUT for what is no whole number, ERR_UNSUPPORTED for a version not
 * in the table
 */
export function formatVersionOf(opset: number, operation: string): number {
  if (!Number.isInteger(opset)) throw refused(`${operation}: opset`, 'a whole number', opset);
  const version = formatVersions.get(opset);
  if (version === undefined)
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${operation}: opset expects ${opsets[0]} to ${opsets.at(-1)}, got ${opset}`,
    );
  return version;
}

/**
 * hardSigmoid: min(max(x + 3, 0), 6) / 6 (PyTorch and MobileNetV3; ONNX's default slope of 0.2 is another function).
 */
import { elementwise } from './elementwise.js';
import type { NoAttributes, Operator } from './operator.js';

export const hardSigmoid: Operator<NoAttributes> = elementwise(
  'hardSigmoid',
  (x) => Math.min(Math.max(x + 3, 0), 6) / 6,
);

/** The number format of a fused model, and what rounding to it costs. */
import { printable, RepconvError } from '../errors.js';
import type { Module } from '../nn/module.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { AnyTensor } from '../tensor/tensor.js';
import type { BlockReport, Rounding } from './report.js';

/** Converts all parameters and buffers. @throws ERR_UNSUPPORTED where a number is too large for the format */
export function convertAll(model: Module, dtype: FloatDType, operation: string): void {
  const before = model.stateDict();
  model.to(dtype);
  for (const [key, tensor] of model.stateDict()) {
    const from = before.get(key) as AnyTensor;
    if (from.dtype === tensor.dtype) continue;
    const [old, converted] = [from.to('float64').data, tensor.to('float64').data];
    const lost = old.findIndex((value, i) => Number.isFinite(value) && !Number.isFinite(converted[i]));
    if (lost >= 0)
      throw new RepconvError(
        'ERR_UNSUPPORTED',
        `${operation}: ${printable(key)} has ${old[lost]}, which is too large for ${dtype}; choose another dtype`,
      );
  }
}

/** What it cost that convolutions were rounded to less than float32; null where none was. */
export function roundingOf(blocks: readonly BlockReport[]): Rounding | null {
  const rounded = blocks.filter(({ dtype }) => dtype === 'float16' || dtype === 'bfloat16');
  if (rounded.length === 0) return null;
  const relative = Math.max(...rounded.map(({ certificate }) => certificate?.relative ?? 0));
  return {
    dtype: rounded[0].dtype as Rounding['dtype'],
    relative,
    remedy: "dtype: 'float32' keeps the convolutions as they were computed",
  };
}

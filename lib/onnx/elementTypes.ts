/** Number formats in ONNX (TensorProto.DataType), and tensors as ONNX stores them: little-endian bytes. */
import { bytesOf } from '../tensor/compare.js';
import type { DType } from '../tensor/dtype.js';
import type { AnyTensor } from '../tensor/tensor.js';
import type { OnnxMessage } from './schema.js';

/** ONNX's number of each format; those that ONNX lacks, or packs otherwise than we do, are not here. */
export const elementTypes: { readonly [D in DType]?: number } = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  bfloat16: 16,
};

/** The message shares the tensor's memory. */
export function tensorProto(name: string, tensor: AnyTensor): OnnxMessage<'TensorProto'> {
  return {
    name,
    dataType: elementTypes[tensor.dtype] as number,
    dims: tensor.shape.map(BigInt),
    rawData: bytesOf(tensor),
  };
}

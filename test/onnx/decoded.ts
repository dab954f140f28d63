/** A file of ours, read back. */
import { fromBinary } from '@bufbuild/protobuf';
import { descriptorOf, type OnnxMessage } from '../../lib/onnx/schema.js';

/** All messages, with every list there. */
export type Decoded<T> = T extends (infer E)[]
  ? Decoded<E>[]
  : T extends Uint8Array | bigint
    ? T
    : T extends object
      ? { [K in keyof T]-?: Decoded<T[K]> }
      : T;

export function decodedModel(bytes: Uint8Array): Decoded<OnnxMessage<'ModelProto'>> {
  return fromBinary(descriptorOf('ModelProto'), bytes) as unknown as Decoded<OnnxMessage<'ModelProto'>>;
}

/** `Conv Relu …` */
export function operatorsOf(bytes: Uint8Array): string {
  return decodedModel(bytes)
    .graph.node.map(({ opType }) => opType)
    .join(' ');
}

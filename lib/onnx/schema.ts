/**
 * The part of ONNX's Protocol Buffers schema that a model without training, sparse tensors and functions uses: field
 * names, numbers and types, as onnx.proto (version 1.23) has them. One table; the descriptor that encodes and decodes,
 * and the TypeScript types, follow from it.
 *
 * Members of a `oneof` are written as plain optional fields, which is the same on the wire; `enum` fields are int32 for
 * the same reason.
 */
import type { DescMessage, Message, Registry } from '@bufbuild/protobuf';
import type { FieldDescriptorProto } from '@bufbuild/protobuf/wkt';

const schema = {
  ModelProto: {
    ir_version: [1, 'int64'],
    opset_import: [8, 'OperatorSetIdProto', 'repeated'],
    producer_name: [2, 'string'],
    producer_version: [3, 'string'],
    domain: [4, 'string'],
    model_version: [5, 'int64'],
    doc_string: [6, 'string'],
    graph: [7, 'GraphProto'],
    metadata_props: [14, 'StringStringEntryProto', 'repeated'],
  },
  OperatorSetIdProto: { domain: [1, 'string'], version: [2, 'int64'] },
  StringStringEntryProto: { key: [1, 'string'], value: [2, 'string'] },
  GraphProto: {
    node: [1, 'NodeProto', 'repeated'],
    name: [2, 'string'],
    initializer: [5, 'TensorProto', 'repeated'],
    doc_string: [10, 'string'],
    input: [11, 'ValueInfoProto', 'repeated'],
    output: [12, 'ValueInfoProto', 'repeated'],
    value_info: [13, 'ValueInfoProto', 'repeated'],
  },
  NodeProto: {
    input: [1, 'string', 'repeated'],
    output: [2, 'string', 'repeated'],
    name: [3, 'string'],
    op_type: [4, 'string'],
    domain: [7, 'string'],
    attribute: [5, 'AttributeProto', 'repeated'],
    doc_string: [6, 'string'],
  },
  AttributeProto: {
    name: [1, 'string'],
    ref_attr_name: [21, 'string'],
    doc_string: [13, 'string'],
    type: [20, 'int32'],
    f: [2, 'float'],
    i: [3, 'int64'],
    s: [4, 'bytes'],
    t: [5, 'TensorProto'],
    g: [6, 'GraphProto'],
    floats: [7, 'float', 'repeated'],
    ints: [8, 'int64', 'repeated'],
    strings: [9, 'bytes', 'repeated'],
    tensors: [10, 'TensorProto', 'repeated'],
    graphs: [11, 'GraphProto', 'repeated'],
  },
  TensorProto: {
    dims: [1, 'int64', 'repeated'],
    data_type: [2, 'int32'],
    float_data: [4, 'float', 'packed'],
    int32_data: [5, 'int32', 'packed'],
    string_data: [6, 'bytes', 'repeated'],
    int64_data: [7, 'int64', 'packed'],
    name: [8, 'string'],
    raw_data: [9, 'bytes'],
    double_data: [10, 'double', 'packed'],
    uint64_data: [11, 'uint64', 'packed'],
    doc_string: [12, 'string'],
    external_data: [13, 'StringStringEntryProto', 'repeated'],
    data_location: [14, 'int32'],
  },
  ValueInfoProto: { name: [1, 'string'], type: [2, 'TypeProto'], doc_string: [3, 'string'] },
  TypeProto: { tensor_type: [1, 'TypeProtoTensor'], denotation: [6, 'string'] },
  TypeProtoTensor: { elem_type: [1, 'int32'], shape: [2, 'TensorShapeProto'] },
  TensorShapeProto: { dim: [1, 'TensorShapeDimension', 'repeated'] },
  TensorShapeDimension: { dim_value: [1, 'int64'], dim_param: [2, 'string'], denotation: [3, 'string'] },
} as const satisfies Record<string, Record<string, Field>>;

type Field = readonly [number: number, type: string, label?: 'repeated' | 'packed'];
type Schema = typeof schema;
export type MessageName = keyof Schema;

interface Scalars {
  int32: number;
  int64: bigint;
  uint64: bigint;
  float: number;
  double: number;
  string: string;
  bytes: Uint8Array;
}
type Camel<S> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S;
type TypeOf<T> = T extends keyof Scalars ? Scalars[T] : T extends MessageName ? OnnxMessage<T> : never;
type FieldOf<F> = F extends readonly [number, infer T, string]
  ? TypeOf<T>[]
  : F extends readonly [number, infer T]
    ? TypeOf<T>
    : never;

/** A message as plain data, fields in camelCase; absent fields are absent. */
export type OnnxMessage<M extends MessageName> = {
  -readonly [F in keyof Schema[M] as Camel<F> & string]?: FieldOf<Schema[M][F]>;
};

/** The bytes of a model. The same message gives the same bytes. */
export function encodeModel(model: OnnxMessage<'ModelProto'>): Uint8Array<ArrayBuffer> {
  const { create, toBinary } = protobuf();
  const descriptor = descriptorOf('ModelProto');
  return toBinary(descriptor, create(descriptor, model as Record<string, unknown>) as Message);
}

/**
 * Loaded when it is first asked for, as it takes a good part of the time that loading this package takes, and most
 * users write no model.
 */
function protobuf(): typeof import('@bufbuild/protobuf') {
  return require('@bufbuild/protobuf');
}

let registry: Registry | undefined;

/** What encodes and decodes a message. */
export function descriptorOf(name: MessageName): DescMessage {
  registry ??= createRegistry();
  return registry.getMessage(`onnx.${name}`) as DescMessage;
}

function createRegistry(): Registry {
  const { create, createFileRegistry } = protobuf();
  const { FileDescriptorProtoSchema } = wellKnownTypes();
  const file = create(FileDescriptorProtoSchema, {
    name: 'onnx.proto',
    package: 'onnx',
    syntax: 'proto2',
    messageType: Object.entries(schema).map(([message, fields]) => ({
      name: message,
      field: Object.entries(fields).map(([field, row]) => fieldDescriptor(field, row)),
    })),
  });
  return createFileRegistry(file, () => undefined);
}

function fieldDescriptor(name: string, [number, type, label]: Field): FieldDescriptorProto {
  const { FieldDescriptorProto_Label, FieldDescriptorProto_Type, FieldDescriptorProtoSchema } = wellKnownTypes();
  const isMessage = Object.hasOwn(schema, type);
  return protobuf().create(FieldDescriptorProtoSchema, {
    name,
    number,
    label: label === undefined ? FieldDescriptorProto_Label.OPTIONAL : FieldDescriptorProto_Label.REPEATED,
    type: FieldDescriptorProto_Type[isMessage ? 'MESSAGE' : (type.toUpperCase() as Uppercase<keyof Scalars>)],
    ...(isMessage ? { typeName: `.onnx.${type}` } : {}),
    ...(label === 'packed' ? { options: { packed: true } } : {}),
  });
}

function wellKnownTypes(): typeof import('@bufbuild/protobuf/wkt') {
  return require('@bufbuild/protobuf/wkt');
}

/** The public names: a table of contents. @module */

// Fusing

export { type RepconvOptions, repconv } from './fusing/repconv.js';
export type { BeforeAndAfter, BlockReport, RepconvResult, Report, Rounding } from './fusing/report.js';
export type { Certificate } from './reparam/certificate.js';
export { Reason, type ReasonCode, reasonCodes } from './reparam/reason.js';

// Compiling and running

export type { AbortSignalLike } from './session/abort.js';
export type { SessionInput, SessionInputs, SessionOutputs } from './session/arguments.js';
export { compile, compileSync } from './session/compile.js';
export type {
  CompileOptions,
  PreprocessOptions,
  PreprocessSpec,
  RunOptions,
  RunSyncOptions,
} from './session/options.js';
// Sessions come from `compile` alone.
export type { Session, SessionMemory, SessionSettings, StepProfile } from './session/session.js';
export type { StepDescription } from './session/steps.js';

// Networks and blocks

export { ConvBlock, type ConvBlockOptions } from './nn/blocks/convBlock.js';
export { type ConvBnOptions, convBn } from './nn/blocks/convBn.js';
export { MobileOneBlock, type MobileOneBlockOptions } from './nn/blocks/mobileOneBlock.js';
export { type DeployedConv, type KernelAndBias, ReparamBlock } from './nn/blocks/reparamBlock.js';
export { RepVGGBlock, type RepVGGBlockOptions } from './nn/blocks/repvggBlock.js';
export { SqueezeExcite, type SqueezeExciteOptions } from './nn/blocks/squeezeExcite.js';
export {
  createMobileOne,
  MobileOne,
  type MobileOneConfig,
  type MobileOneOptions,
  mobileOneConfigs,
} from './nn/models/mobileone.js';
export { createRepVGG, RepVGG, type RepVGGConfig, type RepVGGOptions, repvggConfigs } from './nn/models/repvgg.js';

// Modules

export {
  GELU,
  Hardsigmoid,
  Hardswish,
  Identity,
  LeakyReLU,
  PReLU,
  ReLU,
  ReLU6,
  Sigmoid,
  SiLU,
  Softmax,
  Tanh,
} from './nn/layers/activations.js';
export { BatchNorm2d, type BatchNorm2dOptions } from './nn/layers/batchNorm2d.js';
export { ModuleList, Sequential } from './nn/layers/containers.js';
export { Conv2d, type Conv2dLayerOptions } from './nn/layers/conv2d.js';
export { ConvTranspose2d } from './nn/layers/convTranspose2d.js';
export { Linear } from './nn/layers/linear.js';
export {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  AvgPool2d,
  Flatten,
  MaxPool2d,
  type Pool2dOptions,
} from './nn/layers/pooling.js';
export { type LoadResult, Module, referenceForward } from './nn/module.js';

// Graphs

export type { Condition } from './graph/conditions.js';
export { Graph, type Node, type Value } from './graph/graph.js';
export { printGraph } from './graph/print.js';
export { type InputSpec, trace } from './graph/record.js';
export { exportOnnx, exportOnnxSync } from './onnx/exportOnnx.js';
export { type OnnxOptions, toOnnx } from './onnx/toOnnx.js';
export type { Operator, TensorType } from './ops/operator.js';
export type { KnownOperator, OperatorName } from './ops/registry.js';
export type { Traceable } from './ops/traceable.js';
export type { BatchNormParameters, BatchNormTrainingResult, Ops } from './ops/vocabulary.js';

// Options of words and layers

export type { Conv2dAttributes, Conv2dOptions } from './ops/conv/conv2d.js';
export type { ConvTranspose2dAttributes, ConvTranspose2dOptions } from './ops/conv/convTranspose2d.js';
export type { PadOptions } from './ops/move/pad.js';
export type { AveragePool2dAttributes, AveragePool2dOptions } from './ops/pool/averagePool2d.js';
export type { MaxPool2dAttributes, MaxPool2dOptions } from './ops/pool/maxPool2d.js';
export type { PoolingAttributes, PoolingOptions } from './ops/pool/pooling.js';
export type { Padding, PaddingLike, PaddingMode, Pair, PairLike } from './ops/window.js';

// Files

export type { SafetensorsContent, SafetensorsReadOptions } from './formats/safetensors.js';
export type { SafetensorsLimits } from './formats/safetensorsHeader.js';
export type { SafetensorsWriteOptions } from './formats/serializeSafetensors.js';
export {
  loadSafetensors,
  loadStateDict,
  type StateDict,
  saveStateDict,
  saveStateDictSync,
} from './formats/stateDict.js';

// Numbers

export { type Difference, difference, isIdentical } from './tensor/compare.js';
export type { DataOf, DType, FloatDType } from './tensor/dtype.js';
export type { Extent, Formula } from './tensor/extent.js';
export { manualSeed, Random, rand, randn } from './tensor/random.js';
export type { OpenShape, Shape } from './tensor/shape.js';
export { type AnyTensor, full, type NestedNumbers, ones, Tensor, tensor, zeros } from './tensor/tensor.js';

// Errors

export { type ErrorCode, errorCodes, RepconvError } from './errors.js';

/** ONNX Runtime's package for Node, as far as a comparison needs it, with settings that are equal or in its favour. */
import { Tensor } from '../tensor/tensor.js';
import { findPeer } from './peer.js';

interface RuntimeTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}
interface RuntimeSession {
  run(feeds: Readonly<Record<string, RuntimeTensor>>): Promise<Record<string, RuntimeTensor>>;
  release(): Promise<void>;
}
interface RuntimePackage {
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<RuntimeSession> };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => RuntimeTensor;
}

/** Another engine, found and loaded. */
export interface PeerEngine {
  readonly name: string;
  readonly version: string;
  /** @param model bytes of an ONNX file with one input `images` and one output `output` */
  open(model: Uint8Array, threads: number): Promise<PeerSession>;
}

export interface PeerSession {
  /** A run on these images; making the engine's own tensor of them is not part of it. */
  runner(images: Tensor): () => Promise<Tensor>;
  close(): Promise<void>;
}

/** @throws ERR_UNSUPPORTED where it is not installed, ERR_NATIVE where it cannot be loaded */
export function onnxRuntime(): PeerEngine {
  const name = 'onnxruntime-node';
  const peer = findPeer(name, '--compare onnxruntime');
  const runtime = peer.load() as RuntimePackage;
  return {
    name,
    version: peer.version,
    async open(model, threads) {
      const session = await runtime.InferenceSession.create(model, {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        // Errors only.
        logSeverityLevel: 3,
      });
      return {
        runner: (images) => {
          const feeds = { images: new runtime.Tensor('float32', images.data, images.shape) };
          return async () => {
            const { output } = await session.run(feeds);
            return new Tensor('float32', output.dims, output.data);
          };
        },
        close: () => session.release(),
      };
    },
  };
}

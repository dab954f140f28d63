/**
 * ONNX Runtime, from the folder of the benches: `npm test` installs it there, and without it these tests say loudly
 * that they were left out.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { DataOf } from '../../lib/tensor/dtype.js';
import { Tensor } from '../../lib/tensor/tensor.js';

const folder = new URL('../../bench/', import.meta.url);

export const hasOnnxRuntime = existsSync(new URL('node_modules/onnxruntime-node/package.json', folder));
if (!hasOnnxRuntime)
  console.warn('SKIPPED: onnxruntime-node is not installed (node setup.mjs --peers); exported models are not run here');

type Format = 'float32' | 'float64' | 'float16';
interface RuntimeTensor {
  readonly dims: readonly number[];
  /** float16 as the bits. */
  readonly data: DataOf<Format>;
}
interface Runtime {
  InferenceSession: { create(model: Uint8Array, options: object): Promise<RuntimeSession> };
  Tensor: new (type: Format, data: DataOf<Format>, dims: readonly number[]) => RuntimeTensor;
}
export interface RuntimeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, RuntimeTensor>): Promise<Record<string, RuntimeTensor>>;
  release(): Promise<void>;
}

let runtime: Runtime | undefined;

/** One thread, and only errors on the screen. */
export async function sessionOf(model: Uint8Array): Promise<RuntimeSession> {
  runtime ??= createRequire(fileURLToPath(new URL('package.json', folder)))('onnxruntime-node') as Runtime;
  return runtime.InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
}

/** Feeds `inputs` in the model's format; outputs by name, as float32 (as they are from a float64 model). */
export async function runSession(
  session: RuntimeSession,
  inputs: Readonly<Record<string, Tensor>>,
  format: Format = 'float32',
): Promise<Record<string, Tensor<'float32' | 'float64'>>> {
  const { Tensor: RuntimeInput } = runtime as Runtime;
  const feeds = Object.entries(inputs).map(([name, input]) => [
    name,
    new RuntimeInput(format, input.to(format).data, input.shape),
  ]);
  const results = await session.run(Object.fromEntries(feeds));
  return Object.fromEntries(
    Object.entries(results).map(([name, { data, dims }]) => {
      const found = new Tensor(format, dims, data);
      return [name, found.to(format === 'float64' ? 'float64' : 'float32')];
    }),
  );
}

/** Loads, runs once, lets go. */
export async function runModel(
  model: Uint8Array,
  inputs: Readonly<Record<string, Tensor>>,
  format: Format = 'float32',
) {
  const session = await sessionOf(model);
  try {
    return await runSession(session, inputs, format);
  } finally {
    await session.release();
  }
}

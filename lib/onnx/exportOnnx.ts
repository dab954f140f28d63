/** Writing an ONNX file: the old file or the new one, whole (see formats/atomicWrite.ts). */
import { writeAtomically } from '../formats/atomicWrite.js';
import { checkedPath } from '../formats/filePath.js';
import { runAsync, runSync, type Steps } from '../formats/steps.js';
import type { Graph } from '../graph/graph.js';
import type { Traceable } from '../ops/traceable.js';
import { modelBytes, type OnnxOptions } from './toOnnx.js';

const kind = { files: 'ONNX models', extension: '.onnx' };

/**
 * Writes `model` as it is now to the file at `path`, which it replaces at once and whole; what happens to the model
 * while the file is written does not matter.
 * @throws what {@link toOnnx} throws; ERR_PATH for a path that is no `.onnx` file, ERR_IO when the system refuses
 * @example
 * ```ts
 * import { createMobileOne, exportOnnx } from 'repconv';
 *
 * const model = createMobileOne('mobileone-s0', { deploy: true }).eval();
 * await exportOnnx(model, 'fused.onnx', { inputs: { images: ['N', 3, 224, 224] } });
 * ```
 */
export async function exportOnnx(model: Traceable | Graph, path: string, options: OnnxOptions = {}): Promise<void> {
  await runAsync(save(model, path, options, 'exportOnnx'));
}

/** {@link exportOnnx}, done when it returns. @throws as {@link exportOnnx} */
export function exportOnnxSync(model: Traceable | Graph, path: string, options: OnnxOptions = {}): void {
  runSync(save(model, path, options, 'exportOnnxSync'));
}

function* save(model: Traceable | Graph, path: string, options: OnnxOptions, operation: string): Steps<void> {
  const { absolute, source } = checkedPath(path, operation, kind);
  yield* writeAtomically(absolute, modelBytes(model, options, source), source);
}

/**
 * State dicts as files: `.safetensors`, which PyTorch reads and writes too. There is no second format of our own.
 *
 * Saving replaces the file or leaves it as it was (see atomicWrite.ts), and adds a checksum that loading verifies.
 */
import { optionsOf } from '../options.js';
import type { AnyTensor } from '../tensor/tensor.js';
import { checkReplaceable, writeAtomically } from './atomicWrite.js';
import { checkedPath } from './filePath.js';
import { readRegularFile } from './regularFile.js';
import {
  parsingContext,
  readSafetensors,
  type SafetensorsContent,
  type SafetensorsReadOptions,
} from './safetensors.js';
import { type SafetensorsWriteOptions, serialized } from './serializeSafetensors.js';
import { adviceForName } from './signature.js';
import { runAsync, runSync, type Steps } from './steps.js';

/** Parameters and buffers by PyTorch's keys. */
export type StateDict = Map<string, AnyTensor>;

const kind = { files: 'state dicts', extension: '.safetensors' };

/**
 * The tensors of a `.safetensors` file, by name. They share one piece of memory. A checksum that the file has is
 * verified.
 * @throws ERR_PATH for what is no such file, ERR_IO, ERR_TRUNCATED, ERR_HEADER, ERR_CORRUPT, ERR_LIMIT,
 * ERR_UNSUPPORTED, ERR_OOM
 * @example
 * ```ts
 * import { createRepVGG, loadStateDict } from 'repconv';
 *
 * const model = createRepVGG('repvgg-a0').eval();
 * model.loadStateDict(await loadStateDict('repvgg-a0.safetensors'));
 * ```
 */
export async function loadStateDict(path: string, options: SafetensorsReadOptions = {}): Promise<StateDict> {
  return (await runAsync(load(path, options, 'loadStateDict'))).tensors;
}

/** The tensors and the metadata of a `.safetensors` file. @throws as {@link loadStateDict} */
export async function loadSafetensors(path: string, options: SafetensorsReadOptions = {}): Promise<SafetensorsContent> {
  return runAsync(load(path, options, 'loadSafetensors'));
}

/**
 * Writes tensors by name into a `.safetensors` file, which it replaces at once and whole; with a checksum, which
 * loading verifies. What is written is what `dict` holds now; what happens to its tensors meanwhile does not matter.
 * @throws ERR_PATH, ERR_IO, ERR_INPUT, ERR_UNSUPPORTED, ERR_LIMIT, ERR_OOM
 * @example
 * ```ts
 * import { ConvBlock, loadStateDict, repconv, saveStateDict } from 'repconv';
 *
 * const { model } = repconv(new ConvBlock(3, 8));
 * await saveStateDict('block.safetensors', model.stateDict(), { metadata: { 'trained-on': 'my images' } });
 * console.log((await loadStateDict('block.safetensors')).size); // 2
 * ```
 */
export async function saveStateDict(
  path: string,
  dict: Iterable<readonly [string, AnyTensor]>,
  options: SafetensorsWriteOptions = {},
): Promise<void> {
  await runAsync(save(path, dict, options, 'saveStateDict'));
}

/** {@link saveStateDict}, done when it returns. @throws as {@link saveStateDict} */
export function saveStateDictSync(
  path: string,
  dict: Iterable<readonly [string, AnyTensor]>,
  options: SafetensorsWriteOptions = {},
): void {
  runSync(save(path, dict, options, 'saveStateDictSync'));
}

/**
 * Refuses a path that saving would refuse, before the work whose result is to be saved there.
 * @param operation how the message begins
 * @throws ERR_INPUT, ERR_PATH, ERR_IO
 */
export function checkSavePath(path: string, operation: string): void {
  const { absolute, source } = checkedPath(path, operation, kind);
  runSync(checkReplaceable(absolute, source));
}

function* load(path: string, options: SafetensorsReadOptions, operation: string): Steps<SafetensorsContent> {
  const { absolute, source } = checkedPath(path, operation, kind, (other) => adviceForName(other, 'safetensors'));
  const { limits } = optionsOf(options, { limits: undefined }, source);
  const context = parsingContext(limits, source);
  return yield* readRegularFile(absolute, source, (file) => readSafetensors(file, context));
}

/** Saving, as the steps of it. @param operation how messages begin @internal */
export function* save(
  path: string,
  dict: Iterable<readonly [string, AnyTensor]>,
  options: SafetensorsWriteOptions,
  operation: string,
): Steps<void> {
  const { absolute, source } = checkedPath(path, operation, kind);
  yield* writeAtomically(absolute, yield* serialized(dict, options, source), source);
}

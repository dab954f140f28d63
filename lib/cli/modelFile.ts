/** A `.safetensors` file as commands see it: its tensors, and the network in it as far as the file or the user says which. */

import { RepconvError } from '../errors.js';
import { checksumKindKey } from '../formats/checksum.js';
import { loadSafetensors, type StateDict } from '../formats/stateDict.js';
import { architecture, describedBy, formOf, type ModelDescription } from '../nn/models/architecture.js';

export interface ModelFile {
  readonly tensors: StateDict;
  readonly metadata: ReadonlyMap<string, string>;
  /** Loading verifies the checksum, so there is either none or a right one. */
  readonly hasChecksum: boolean;
  readonly description: (ModelDescription & { readonly from: 'metadata' | 'options' }) | null;
}

export interface ModelOptions {
  /** Name of the network, where the file does not say it. */
  readonly model?: string;
  /** Of its batch norms, where they do not have the published one. */
  readonly eps?: number;
}

/** @throws all that loading throws; ERR_INPUT for options that the file contradicts */
export async function readModelFile(path: string, { model, eps }: ModelOptions): Promise<ModelFile> {
  const { tensors, metadata } = await loadSafetensors(path);
  const stated = describedBy(metadata, path);
  if (stated !== null && model !== undefined && model !== stated.name)
    throw new RepconvError('ERR_INPUT', `--model ${model}: the file's metadata says ${stated.name}`);
  if (stated !== null && eps !== undefined && stated.form === 'training' && eps !== stated.eps)
    throw new RepconvError('ERR_INPUT', `--eps ${eps}: the file's metadata says ${stated.eps}`);
  return { tensors, metadata, hasChecksum: metadata.has(checksumKindKey), description: stated ? { ...stated, from: 'metadata' } : named() };

  function named(): ModelFile['description'] {
    if (model === undefined) return null;
    const row = architecture(model, '--model');
    const name = model as ModelDescription['name'];
    return { name, eps: eps ?? row.eps, form: formOf(tensors, name), from: 'options' };
  }
}

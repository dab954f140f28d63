/**
 * A `.safetensors` file as commands see it: its tensors, and the network in it as far as the file or the user says
 * which.
 */

import { printable } from '../errors.js';
import { checksumKindKey } from '../formats/checksum.js';
import { loadSafetensors, type StateDict } from '../formats/stateDict.js';
import {
  type ArchitectureName,
  architecture,
  architectures,
  describedBy,
  formOf,
  type ModelDescription,
} from '../nn/models/architecture.js';
import { CommandFailure, exitCodes } from './failure.js';

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

/** @throws all that loading throws; CommandFailure for options that are unknown or that the file contradicts */
export async function readModelFile(path: string, { model, eps }: ModelOptions): Promise<ModelFile> {
  const { tensors, metadata } = await loadSafetensors(path);
  const stated = describedBy(metadata, printable(path));
  if (stated !== null && model !== undefined && model !== stated.name)
    throw new CommandFailure(
      `--model ${printable(model, 60)}: the file's metadata says ${stated.name}`,
      exitCodes.usage,
    );
  if (stated !== null && eps !== undefined && stated.form === 'training' && eps !== stated.eps)
    throw new CommandFailure(`--eps ${eps}: the file's metadata says ${stated.eps}`, exitCodes.usage);
  return {
    tensors,
    metadata,
    hasChecksum: metadata.has(checksumKindKey),
    description: stated ? { ...stated, from: 'metadata' } : named(),
  };

  function named(): ModelFile['description'] {
    if (model === undefined) return null;
    const name = checkedArchitecture(model);
    return { name, eps: eps ?? architecture(name, 'model').eps, form: formOf(tensors, name), from: 'options' };
  }
}

/** A network's name as somebody typed it. @throws CommandFailure */
export function checkedArchitecture(name: string): ArchitectureName {
  if (architectures.has(name as ArchitectureName)) return name as ArchitectureName;
  throw new CommandFailure(
    `unknown network "${printable(name, 60)}"; known: ${[...architectures.keys()].join(', ')}`,
    exitCodes.usage,
  );
}

/**
 * A `.safetensors` file as commands see it: its tensors, and the network in it as far as the file or the user says
 * which. In place of a file it may be standard input.
 */
import { statSync } from 'node:fs';
import { printable } from '../errors.js';
import { checksumKindKey } from '../formats/checksum.js';
import { parseSafetensors, type SafetensorsContent } from '../formats/safetensors.js';
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
import { standardInput } from './standardInput.js';

export interface ModelFile {
  /** As messages and reports call it. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly tensors: StateDict;
  readonly metadata: ReadonlyMap<string, string>;
  /** Loading verifies the checksum, so there is either none or a right one. */
  readonly hasChecksum: boolean;
  readonly description: (ModelDescription & { readonly from: 'metadata' | 'options' }) | null;
}

export interface ModelOptions {
  /** Name of the network, where the file does not say it. */
  readonly model?: string;
  /** The epsilon of its batch norms, where that is not the published one. */
  readonly eps?: number;
}

/**
 * @param path `-` means standard input
 * @throws all that loading throws; CommandFailure for options that are unknown or that the file contradicts
 */
export async function readModelFile(path: string, { model, eps }: ModelOptions): Promise<ModelFile> {
  const { name, sizeBytes, tensors, metadata } = await content(path);
  const stated = describedBy(metadata, name);
  const wanted = model === undefined ? undefined : checkedArchitecture(model);
  if (stated !== null && wanted !== undefined && wanted !== stated.name)
    throw new CommandFailure(`--model ${wanted}: the file's metadata says ${stated.name}`, exitCodes.usage);
  if (stated !== null && eps !== undefined && stated.form === 'training' && eps !== stated.eps)
    throw new CommandFailure(`--eps ${eps}: the file's metadata says ${stated.eps}`, exitCodes.usage);
  return {
    name,
    sizeBytes,
    tensors,
    metadata,
    hasChecksum: metadata.has(checksumKindKey),
    description: stated ? { ...stated, from: 'metadata' } : named(),
  };

  function named(): ModelFile['description'] {
    if (wanted === undefined) return null;
    const published = architecture(wanted, 'model');
    return { name: wanted, eps: eps ?? published.eps, form: formOf(tensors, wanted), from: 'options' };
  }
}

/** A network's name as somebody typed it: `RepVGG_A0` and `repvgga0` are repvgg-a0. @throws CommandFailure */
export function checkedArchitecture(typed: string): ArchitectureName {
  const found = [...architectures.keys()].find((name) => lettersOf(name) === lettersOf(typed));
  if (found !== undefined) return found;
  throw new CommandFailure(
    `unknown network "${printable(typed, 60)}"; known: ${[...architectures.keys()].join(', ')}`,
    exitCodes.usage,
  );
}

function lettersOf(name: string): string {
  return name.toLowerCase().replaceAll(/[_-]/g, '');
}

async function content(path: string): Promise<SafetensorsContent & Pick<ModelFile, 'name' | 'sizeBytes'>> {
  if (path !== '-') return { ...(await loadSafetensors(path)), name: printable(path), sizeBytes: statSync(path).size };
  const [name, bytes] = ['standard input', await standardInput()];
  return { ...parseSafetensors(bytes, { name }), name, sizeBytes: bytes.length };
}

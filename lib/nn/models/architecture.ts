/**
 * Published networks by name, and how a file says which of them it holds.
 *
 * A state dict tells shapes, not stride, groups or eps; these are never guessed. They follow from the network's name
 * and eps, which travel in the metadata of a `.safetensors` file:
 *
 *     repconv.model   repvgg-a0                 a key of `architectures`
 *     repconv.eps     0.00001                   of its batch norms; absent: that of the published network
 *     repconv.form    training | deployed
 *
 * The number of classes is not among them: the shape of the last layer tells it.
 */
import { printable, RepconvError } from '../../errors.js';
import type { StateDict } from '../../formats/stateDict.js';
import { type FloatDType, isFloatDType } from '../../tensor/dtype.js';
import type { Module } from '../module.js';
import { createMobileOne, mobileOneConfigs } from './mobileone.js';
import { createRepVGG, repvggConfigs } from './repvgg.js';

export type ArchitectureName = keyof typeof repvggConfigs | keyof typeof mobileOneConfigs;

export interface ArchitectureOptions {
  readonly numClasses?: number;
  readonly eps?: number;
  readonly deploy?: boolean;
}

/** What every network of the table is like. */
interface Architecture {
  create(options?: ArchitectureOptions): Module;
  /** Child of every deployed block that holds its one convolution. */
  readonly deployedKey: string;
  /** Key of the bias with an entry for each class. */
  readonly classesKey: string;
  /** The epsilon of the published checkpoints' batch norms. */
  readonly eps: number;
  /** One image, as the network was published for it. */
  readonly input: readonly [number, number, number, number];
}

const imageNet = { classesKey: 'linear.bias', eps: 1e-5, input: [1, 3, 224, 224] } as const;

/** Every network that can be made by name. */
export const architectures: ReadonlyMap<ArchitectureName, Architecture> = new Map<ArchitectureName, Architecture>([
  ...keysOf(repvggConfigs).map((name) =>
    row(name, { ...imageNet, deployedKey: 'rbr_reparam', create: (options) => createRepVGG(name, options) }),
  ),
  ...keysOf(mobileOneConfigs).map((name) =>
    row(name, { ...imageNet, deployedKey: 'reparam_conv', create: (options) => createMobileOne(name, options) }),
  ),
]);

/** The row of a network. @throws ERR_INPUT for a name that is not in the table */
export function architecture(name: string, operation: string): Architecture {
  const found = architectures.get(name as ArchitectureName);
  if (found !== undefined) return found;
  throw new RepconvError(
    'ERR_INPUT',
    `${operation}: model expects one of ${[...architectures.keys()].join(', ')}; got ${printable(name, 60)}`,
  );
}

/** What is known about a state dict beside its tensors. */
export interface ModelDescription {
  readonly name: ArchitectureName;
  /** The epsilon of the batch norms of a training form. */
  readonly eps: number;
  readonly form: 'training' | 'deployed';
}

/** Where a file's metadata says it. */
export const descriptionKeys: Readonly<Record<'model' | 'eps' | 'form', string>> = {
  model: 'repconv.model',
  eps: 'repconv.eps',
  form: 'repconv.form',
};

/** The entries to write into the metadata of a file that holds such a model. */
export function metadataOf({ name, eps, form }: ModelDescription): Record<string, string> {
  return {
    [descriptionKeys.model]: name,
    [descriptionKeys.form]: form,
    ...(form === 'training' ? { [descriptionKeys.eps]: String(eps) } : {}),
  };
}

/**
 * What a file's metadata says about the model in it, or null where it says nothing.
 * @throws ERR_HEADER for a form or eps that is none, ERR_UNSUPPORTED for a network that this version does not know
 */
export function describedBy(metadata: ReadonlyMap<string, string>, source: string): ModelDescription | null {
  const name = metadata.get(descriptionKeys.model);
  if (name === undefined) return null;
  const known = architectures.get(name as ArchitectureName);
  if (known === undefined)
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `${source}: metadata ${descriptionKeys.model} expects a known network, got "${printable(name, 60)}"`,
    );
  const form = metadata.get(descriptionKeys.form) ?? 'training';
  if (form !== 'training' && form !== 'deployed')
    throw new RepconvError(
      'ERR_HEADER',
      `${source}: metadata ${descriptionKeys.form} expects training or deployed, got "${printable(form, 60)}"`,
    );
  return { name: name as ArchitectureName, eps: parsedEps(metadata.get(descriptionKeys.eps), known.eps, source), form };
}

/** The form that the keys of a state dict show. */
export function formOf(dict: StateDict, name: ArchitectureName): ModelDescription['form'] {
  const { deployedKey } = architecture(name, 'formOf');
  return [...dict.keys()].some((key) => key.split('.').includes(deployedKey)) ? 'deployed' : 'training';
}

/**
 * The network with the numbers of `dict`, in evaluation mode and in the widest floating-point format among them.
 * @throws ERR_STATE_DICT where keys or shapes are not those of the network
 */
export function modelFrom(dict: StateDict, { name, eps, form }: ModelDescription): Module {
  const { create, classesKey } = architecture(name, 'modelFrom');
  const classes = dict.get(classesKey)?.shape;
  const numClasses = classes?.length === 1 && classes[0] > 0 ? { numClasses: classes[0] } : {};
  const model = create({ eps, deploy: form === 'deployed', ...numClasses }).to(formatOf(dict));
  model.loadStateDict(dict);
  return model.eval();
}

function formatOf(dict: StateDict): FloatDType {
  const formats = new Set([...dict.values()].map(({ dtype }) => dtype).filter(isFloatDType));
  if (formats.has('float64')) return 'float64';
  // float16 and bfloat16 together fit into float32 only.
  return formats.size === 1 ? ([...formats][0] as FloatDType) : 'float32';
}

function parsedEps(text: string | undefined, published: number, source: string): number {
  if (text === undefined) return published;
  const eps = /^[\d.eE+-]{1,40}$/.test(text) ? Number(text) : Number.NaN;
  if (!(eps >= 0 && eps <= 1))
    throw new RepconvError(
      'ERR_HEADER',
      `${source}: metadata ${descriptionKeys.eps} expects a number from 0 to 1, got "${printable(text, 60)}"`,
    );
  return eps;
}

function row(name: ArchitectureName, architecture: Architecture): [ArchitectureName, Architecture] {
  return [name, architecture];
}

function keysOf<T extends object>(table: T): (keyof T)[] {
  return Object.keys(table) as (keyof T)[];
}

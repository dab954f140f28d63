/**
 * What a model computes with, found out by listening to it (nn/listening.ts): whether all of that is registered, and
 * whether it does without the branches once it is fused.
 */
import { isInstance } from '../checks.js';
import { listed, printable, RepconvError, shown } from '../errors.js';
import { placeName, type Sight, seenFrom } from '../nn/copy.js';
import type { Outcome } from '../nn/listening.js';
import { Module, moduleNames, ownerOf, tensorNames } from '../nn/module.js';
import type { AnyTensor } from '../tensor/tensor.js';

/** What modules were heard to say. */
export type Outcomes = ReadonlyMap<Module, Outcome>;

/**
 * Refuses parameters that nobody can load, save, convert or put into evaluation mode, since their module is in a field
 * only.
 * @throws ERR_INPUT
 */
export function checkRegistered(model: Module, outcomes: Outcomes, operation: string): void {
  const registered = tensorNames(model);
  const owners = new Set<Module>();
  for (const outcome of outcomes.values()) {
    if ('error' in outcome) continue;
    for (const tensor of outcome.tensors) {
      const owner = registered.has(tensor) ? undefined : ownerOf(tensor);
      if (owner !== undefined) owners.add(owner);
    }
  }
  if (owners.size === 0) return;
  const [sight, paths] = [seenFrom(model), moduleNames(model)];
  const places = new Set(
    [...owners].map((owner) => {
      const path = paths.get(owner);
      if (path !== undefined) return `${path || 'the model'} (${owner.typeName}), which has others in their place now`;
      const outer = outermostAside(owner, sight, paths);
      return outer === null
        ? `a ${owner.typeName} that none of its fields shows`
        : `the ${outer.typeName} in ${placeName(outer, sight, paths)}`;
    }),
  );
  throw new RepconvError(
    'ERR_INPUT',
    `${operation}: ${model.typeName} computes with parameters that are not registered, of ${listed([...places])}; register each module with this.child(name, module)`,
  );
}

/** The outermost module on the way to `part` that is not registered; null where there is none, or no way. */
function outermostAside(part: Module, sight: Sight, paths: ReadonlyMap<object, string>): Module | null {
  let outermost: Module | null = null;
  for (let at: object | undefined = part; at !== undefined && !paths.has(at); at = sight.get(at)?.holder)
    if (isInstance(at, Module) && sight.has(at)) outermost = at;
  return outermost;
}

/** A module that does not do without the branches that were fused, and why. */
export interface Hindrance {
  readonly module: Module;
  /** One of the branches' tensors that it computes with, or the error with which its sentence ends. */
  readonly tensor?: AnyTensor;
  readonly error?: unknown;
}

/** The first module that lifts a tensor that is gone, or cannot be read though it could before. */
export function hindranceIn(
  outcomes: Outcomes,
  before: Outcomes,
  isGone: (tensor: AnyTensor) => boolean,
): Hindrance | null {
  for (const [module, outcome] of outcomes) {
    if ('error' in outcome) {
      if (!('error' in (before.get(module) ?? {}))) return { module, error: outcome.error };
      continue;
    }
    const tensor = [...outcome.tensors].find(isGone);
    if (tensor !== undefined) return { module, tensor };
  }
  return null;
}

/**
 * What the {@link Hindrance} is, for who wrote the model.
 * @param root the fused copy, whose fields are looked at
 * @param inRoot the module of it that stands for one that was read
 */
export function hindered(
  { module, tensor, error }: Hindrance,
  root: Module,
  inRoot: (module: Module) => Module,
  names: ReadonlyMap<AnyTensor, string>,
  operation: string,
): RepconvError {
  const paths = moduleNames(root);
  const path = paths.get(inRoot(module));
  const who = printable(path ? `${path} (${module.typeName})` : module.typeName, 100);
  if (tensor === undefined) {
    const found = printable(error instanceof Error ? error.message : shown(error));
    return new RepconvError(
      'ERR_UNSUPPORTED',
      `${operation}: ${who} could not compute without the branches of its blocks: ${found}; let it compute with the blocks alone`,
      { cause: error },
    );
  }
  const [owner, sight] = [ownerOf(tensor), seenFrom(root)];
  const aside = owner === undefined ? null : outermostAside(inRoot(owner), sight, paths);
  const way = aside === null ? '' : `, through ${placeName(aside, sight, paths)}`;
  return new RepconvError(
    'ERR_UNSUPPORTED',
    `${operation}: ${who} would go on computing with ${printable(names.get(tensor) ?? String(tensor), 100)}, which is fused${way}; let it compute with the block itself`,
  );
}

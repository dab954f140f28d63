/**
 * The module tree: PyTorch's, in names, keys, order and print.
 *
 * A module registers its parts with `child`, `parameter` and `buffer`, and says what it computes once, in `compute`.
 * Forward passes, graphs, ONNX files and folding are readings of that sentence.
 */
import { inspect, types } from 'node:util';
import { flag, isInstance, oneOf, refused, text } from '../checks.js';
import { nativeOps } from '../engine/eager.js';
import { printable, RepconvError } from '../errors.js';
import type { StateDict } from '../formats/stateDict.js';
import { referenceOps } from '../ops/reference.js';
import { type Traceable, withinStack } from '../ops/traceable.js';
import type { Ops } from '../ops/vocabulary.js';
import { isPlainObject, optionsOf } from '../options.js';
import type { DType, FloatDType } from '../tensor/dtype.js';
import { sameShape, showShape } from '../tensor/shape.js';
import { type AnyTensor, checkIntact, isTensor, setNumbers, Tensor } from '../tensor/tensor.js';
import { type Copied, copied } from './copy.js';
import { type CopiedModule, checkMethods, checkOwn } from './ownership.js';
import { treeText } from './treeText.js';

/** What {@link Module.loadStateDict} found beside the matching keys. */
export interface LoadResult {
  /** Keys of the module that the state dict does not have. */
  readonly missing: readonly string[];
  /** Keys of the state dict that the module does not have. */
  readonly unexpected: readonly string[];
}

/**
 * What every layer, block and network is: named parameters, buffers and children, as in PyTorch, and `compute`, which
 * says what it computes. Running it, compiling, exporting and folding all follow from that.
 *
 * @example
 * ```ts
 * import { ConvBlock, Linear, Module, type Ops, randn } from 'repconv';
 *
 * class Classifier extends Module {
 *   block = this.child('block', new ConvBlock(3, 16, { stride: 2 }));
 *   head = this.child('head', new Linear(16, 10));
 *
 *   compute<X>(f: Ops<X>, x: X): X {
 *     return this.head.compute(f, f.flatten(f.globalAveragePool2d(this.block.compute(f, x))));
 *   }
 * }
 * const model = new Classifier().eval();
 * console.log(model.forward(randn([2, 3, 32, 32])).shape); // [ 2, 10 ]
 * ```
 */
export abstract class Module implements Traceable {
  /**
   * Whether batch norms use the statistics of the batch and update their own. Set by {@link train} and {@link eval}.
   */
  training = true;
  private readonly children_ = new Map<string, Module>();
  private readonly parameters_ = new Map<string, AnyTensor>();
  private readonly buffers_ = new Map<string, AnyTensor>();
  /** Whether another module has, or had, this one below it: whoever nobody has cannot close a cycle. */
  private isChild_ = false;

  /**
   * What the module computes, in the words of `f`: takes values and returns one. It must not branch on extents, and
   * reads its parameters through `f.lift`.
   */
  abstract compute<X>(f: Ops<X>, ...inputs: X[]): X;

  /**
   * Computes on the CPU, at once, in float32, on the calling thread and the pool's. In training mode batch norms update
   * their statistics. For more than a few runs, `compile` is faster.
   * @throws ERR_SHAPE, ERR_INPUT, ERR_UNSUPPORTED for parameters in another format than float32, ERR_LIMIT for modules
   * nested deeper than the stack, ERR_OOM, ERR_NATIVE
   */
  forward(...inputs: Tensor[]): Tensor {
    return withinStack(this, 'forward', () => this.compute(nativeOps(), ...inputs));
  }

  /**
   * Registers a child module under PyTorch's name for it, and returns it. A module may be the child of several, but of
   * none that is below it.
   * @throws ERR_INPUT
   */
  protected child<M extends Module>(name: string, module: M): M {
    const checked = checkedName(name, this.typeName);
    if (!isInstance(module, Module))
      throw refused(`${this.typeName}: child ${printable(name, 60)}`, 'a Module', module);
    const [self, given]: Module[] = [this, module];
    const mayBeBelow = self.isChild_ || Object.isFrozen(self);
    if (given === self || (mayBeBelow && [...given.namedModules()].some(([, below]) => below === self)))
      throw new RepconvError(
        'ERR_INPUT',
        `${this.typeName}: child ${printable(name, 60)} expects a module that does not contain this one, got a ${given.typeName} that ${given === self ? 'is it' : 'does'}`,
      );
    this.children_.set(checked, module);
    if (!Object.isFrozen(given)) given.isChild_ = true;
    return module;
  }

  /** Takes a child away; its keys go with it. */
  protected removeChild(name: string): void {
    this.children_.delete(name);
  }

  /**
   * Registers a parameter under PyTorch's name. Read it back with {@link Module.tensor}: loading and `to` may put
   * another in its place.
   */
  protected parameter(name: string, tensor: AnyTensor): void {
    const checked = checkedTensor(tensor, `${this.typeName}: parameter`);
    this.parameters_.set(checkedName(name, this.typeName), checked);
    owners.set(checked, this);
  }

  /** Registers a tensor that belongs to the state but is not trained, such as running statistics. */
  protected buffer(name: string, tensor: AnyTensor): void {
    const checked = checkedTensor(tensor, `${this.typeName}: buffer`);
    this.buffers_.set(checkedName(name, this.typeName), checked);
    owners.set(checked, this);
  }

  /** A parameter or buffer of this module by name, or null. */
  protected tensor(name: string): AnyTensor | null {
    return this.parameters_.get(name) ?? this.buffers_.get(name) ?? null;
  }

  /** Name of the module's class, as PyTorch prints it. */
  get typeName(): string {
    return this.constructor.name;
  }

  /** What stands in the parentheses when the module is printed. */
  protected extraRepr(): string {
    return '';
  }

  /** Sets training mode for the module and all below it. @throws ERR_UNSUPPORTED where one is frozen in the other */
  train(mode = true): this {
    flag(mode, `${this.typeName}.train: mode`);
    const changing = [...this.namedModules()].filter(([, { training }]) => training !== mode);
    for (const [path, module] of changing) {
      if (Object.isFrozen(module))
        throw new RepconvError(
          'ERR_UNSUPPORTED',
          `${this.typeName}.${mode ? 'train' : 'eval'}: ${printable(path)} (${module.typeName}) is frozen in ${mode ? 'evaluation' : 'training'} mode`,
        );
    }
    for (const [, module] of changing) module.training = mode;
    return this;
  }

  /** Sets evaluation mode: `train(false)`. */
  eval(): this {
    return this.train(false);
  }

  /** Direct children with their names, in order. */
  namedChildren(): IterableIterator<[string, Module]> {
    return this.children_.entries();
  }

  /** This module and all below it with their paths, in order, each once. */
  *namedModules(prefix = ''): Generator<[string, Module]> {
    const seen = new Set<Module>();
    const waiting: [string, Module][] = [[text(prefix, 'namedModules: prefix'), this]];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [path, module] = next;
      if (seen.has(module)) continue;
      seen.add(module);
      yield next;
      for (const child of module.childrenBackwards(path)) waiting.push(child);
    }
  }

  /** Parameters with their keys. */
  *namedParameters(): Generator<[string, AnyTensor]> {
    for (const [path, module] of this.namedModules())
      for (const [name, tensor] of module.parameters_) yield [joined(path, name), tensor];
  }

  /** Buffers with their keys. */
  *namedBuffers(): Generator<[string, AnyTensor]> {
    for (const [path, module] of this.namedModules())
      for (const [name, tensor] of module.buffers_) yield [joined(path, name), tensor];
  }

  /** Parameters and buffers with their keys, as in a state dict. A module that occurs twice has its keys twice. */
  *namedTensors(prefix = ''): Generator<[string, AnyTensor]> {
    const waiting: [string, Module][] = [[text(prefix, 'namedTensors: prefix'), this]];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [path, module] = next;
      for (const [name, tensor] of module.parameters_) yield [joined(path, name), tensor];
      for (const [name, tensor] of module.buffers_) yield [joined(path, name), tensor];
      for (const child of module.childrenBackwards(path)) waiting.push(child);
    }
  }

  /** The children with their paths, the last first: as a list of what still waits takes them. */
  private childrenBackwards(path: string): [string, Module][] {
    return [...this.children_].map(([name, module]): [string, Module] => [joined(path, name), module]).reverse();
  }

  /** Number of trained numbers, shared ones once. */
  parameterCount(): number {
    return [...new Set([...this.namedParameters()].map(([, tensor]) => tensor))].reduce(
      (sum, tensor) => sum + tensor.size,
      0,
    );
  }

  /** All parameters and buffers by key. The tensors are the module's own: writing into them changes it. */
  stateDict(): StateDict {
    return new Map(this.namedTensors());
  }

  /**
   * Copies the numbers of `dict` into the module's tensors, converting to their formats. A missing
   * `num_batches_tracked` is no fault, as in PyTorch: old files and many tools leave it out.
   * @throws ERR_STATE_DICT naming all missing, unexpected and misshapen keys (with `strict: false`: misshapen ones
   * only); nothing is changed then
   */
  loadStateDict(
    dict: ReadonlyMap<string, AnyTensor> | Readonly<Record<string, AnyTensor>>,
    options: { strict?: boolean } = {},
  ): LoadResult {
    const operation = `${this.typeName}.loadStateDict`;
    const { strict } = optionsOf(options, { strict: true }, operation);
    flag(strict, `${operation}: strict`);
    const given = tensorsByKey(dict, operation);
    const own = this.stateDict();
    const missing = [...own.keys()].filter((key) => !given.has(key) && !key.endsWith('num_batches_tracked'));
    const unexpected = [...given.keys()].filter((key) => !own.has(key));
    const shared = [...own].flatMap(([key, tensor]) =>
      given.has(key) ? [{ key, tensor, from: given.get(key) as AnyTensor }] : [],
    );
    const misshapen = shared.filter(({ tensor, from }) => !isTensor(from) || !sameShape(tensor.shape, from.shape));
    if (misshapen.length > 0 || (strict && missing.length + unexpected.length > 0)) {
      throw new RepconvError(
        'ERR_STATE_DICT',
        mismatchMessage(this.typeName, strict ? missing : [], strict ? unexpected : [], misshapen),
      );
    }
    for (const { key, tensor, from } of shared) {
      const what = `${operation}: ${printable(key)}`;
      checkIntact(from, () => what);
      checkIntact(tensor, () => `${what} of the module`);
    }
    // All conversions first, so that one that fails changes nothing.
    const converted = shared.map(({ tensor, from }) => [tensor, from.to(tensor.dtype)] as const);
    for (const [tensor, from] of converted) setNumbers(tensor, from.data);
    return { missing, unexpected };
  }

  /**
   * Converts all floating-point parameters and buffers to `dtype`, in place of the old ones; all of them or, where one
   * cannot be, none. Files and ONNX models then have that format; `forward` and sessions compute in float32.
   * @throws ERR_INPUT
   */
  to(dtype: FloatDType): this {
    oneOf(dtype, ['float64', 'float32', 'float16', 'bfloat16'], `${this.typeName}.to: dtype`);
    const converted = new Map<AnyTensor, AnyTensor>();
    for (const [key, tensor] of this.namedTensors()) {
      if (!isFloat(tensor.dtype) || converted.has(tensor)) continue;
      checkIntact(tensor, () => `${this.typeName}.to: ${printable(key)}`);
      converted.set(tensor, tensor.to(dtype));
    }
    for (const [, module] of this.namedModules())
      for (const tensors of [module.parameters_, module.buffers_])
        for (const [name, tensor] of tensors) tensors.set(name, converted.get(tensor) ?? tensor);
    for (const [from, into] of converted) owners.set(into, owners.get(from) ?? this);
    return this;
  }

  /**
   * A deep copy: its own tensors and modules, shared among themselves exactly where the original's are. Fields are
   * followed through arrays, maps, sets, plain objects, and objects of classes that lead to a module or a tensor; other
   * values (functions, a Date, a session) are shared.
   * @throws ERR_UNSUPPORTED where the copy would still compute with the original's tensors, or could not compute:
   * through a function in a field that was made for the original, or a `#` field
   */
  copy(): this {
    return ownCopy(this, `${this.typeName}.copy`).root;
  }

  /** Whether neighbours among the children that print alike stand once in the text of the tree: `(0-3): 4 x …`. */
  protected get printsAsList(): boolean {
    return false;
  }

  /** The tree as PyTorch prints it. */
  toString(): string {
    return treeText<Module>(this, (module) => ({
      type: module.typeName,
      extra: module.extraRepr(),
      children: [...module.children_],
      isList: module.printsAsList,
    }));
  }

  /** What `console.log` shows. @internal */
  [inspect.custom](): string {
    return this.toString();
  }
}

/**
 * What a module computes in plain float64, without native code: slow, and exact to 1e-15 or so. For checks, and for
 * float64 models. Inputs of any format are taken; statistics of training batch norms are not updated.
 * @throws ERR_SHAPE, ERR_INPUT, ERR_LIMIT
 */
export function referenceForward(module: Module, ...inputs: AnyTensor[]): Tensor<'float64'> {
  if (!isInstance(module, Module)) throw refused('referenceForward: the model', 'a Module', module);
  const exact = inputs.map((input) => checkedTensor(input, 'referenceForward: an input').to('float64'));
  return withinStack(module, 'referenceForward', () => module.compute(referenceOps, ...exact));
}

/**
 * A copy of a module that computes with tensors of its own alone; see {@link Module.copy}.
 * @param operation how messages begin
 * @param otherwise how they end: what else the caller may do
 */
export function ownCopy<M extends Module>(model: M, operation: string, otherwise = ''): Copied<M> {
  const copy = copied(model, { isModule, names: moduleNames(model), operation });
  for (const [original, own] of copy.copies) {
    const owner = original instanceof Tensor && copy.copies.get(owners.get(original) ?? original);
    if (owner instanceof Module) owners.set(own as AnyTensor, owner);
  }
  const [pairs, options] = [pairsOf(model, copy), { operation, otherwise, tensorNames: tensorNames(model) }];
  checkOwn(pairs, pairs.slice(0, 1), copy, options);
  checkMethods(pairs, options);
  return copy;
}

/**
 * A copy of the tree over the same tensors: what is exchanged in one stays in the other, what is written into a tensor
 * shows in both. Nobody has looked whether it can compute.
 * @param operation how messages begin
 */
export function treeCopy<M extends Module>(model: M, operation: string): Copied<M> {
  return copied(model, { isModule, names: moduleNames(model), operation, sharesNumbers: true });
}

/** The modules of a tree, each with its copy. */
export function pairsOf(model: Module, { copies }: Copied<Module>): CopiedModule[] {
  return [...model.namedModules()].map(([path, original]) => ({
    path,
    original,
    copy: copies.get(original) as Module,
  }));
}

/** The module that registered a tensor last; undefined for one that none has. */
export function ownerOf(tensor: AnyTensor): Module | undefined {
  return owners.get(tensor);
}

const owners = new WeakMap<AnyTensor, Module>();

function isModule(value: object): value is Module {
  return isInstance(value, Module);
}

/** The paths of all modules of a tree; empty for its root. */
export function moduleNames(model: Module): ReadonlyMap<object, string> {
  return new Map([...model.namedModules()].map(([path, module]) => [module, path]));
}

/** Tensors by their first names. */
export function tensorNames(model: Module): ReadonlyMap<AnyTensor, string> {
  return new Map([...model.namedTensors()].reverse().map(([name, tensor]) => [tensor, name]));
}

function joined(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}.${name}`;
}

function checkedName(name: string, type: string): string {
  if (typeof name !== 'string' || name === '' || name.includes('.'))
    throw refused(`${type}: a name`, 'text without a dot', name);
  return name;
}

/** @throws ERR_INPUT */
function checkedTensor(tensor: AnyTensor, what: string): AnyTensor {
  if (!isTensor(tensor)) throw refused(what, 'a Tensor', tensor);
  return tensor;
}

/** What a map or a record holds, whatever that is. @throws ERR_INPUT */
function tensorsByKey(dict: unknown, operation: string): Map<string, AnyTensor> {
  const isRecord = isPlainObject(dict);
  if (!isRecord && !types.isMap(dict)) throw refused(`${operation}:`, 'a Map or a record of tensors by key', dict);
  const given = new Map<unknown, unknown>(isRecord ? Object.entries(dict) : dict);
  for (const key of given.keys()) text(key, `${operation}: a key`);
  return given as Map<string, AnyTensor>;
}

function isFloat(dtype: DType): boolean {
  return dtype === 'float64' || dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';
}

function mismatchMessage(
  type: string,
  missing: readonly string[],
  unexpected: readonly string[],
  misshapen: readonly { key: string; tensor: AnyTensor; from: AnyTensor }[],
): string {
  const list = (title: string, entries: readonly string[], separator = ', '): string[] => {
    if (entries.length === 0) return [];
    const shown = entries.slice(0, 20).map((entry) => printable(entry));
    return [
      `${title}: ${[...shown, ...(entries.length > shown.length ? [`… (${entries.length} in all)`] : [])].join(separator)}`,
    ];
  };
  const shapes = misshapen.map(
    ({ key, tensor, from }) =>
      `${key} expects ${showShape(tensor.shape)}, got ${isTensor(from) ? showShape(from.shape) : typeof from}`,
  );
  return [
    `${type}: the state dict does not match`,
    ...list('missing', missing),
    ...list('unexpected', unexpected),
    ...list('misshapen', shapes, '; '),
  ].join('\n  ');
}

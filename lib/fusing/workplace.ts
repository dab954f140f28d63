/**
 * Where fusing is done: on a copy that is handed out, or on a copy of the tree, before the model itself is changed.
 * Either way the original stays as it is until all has gone well.
 */
import { ReparamBlock } from '../nn/blocks/reparamBlock.js';
import type { Copied } from '../nn/copy.js';
import { listenBelow } from '../nn/listening.js';
import { type Module, ownCopy, pairsOf, tensorNames, treeCopy } from '../nn/module.js';
import { checkOwn } from '../nn/ownership.js';
import { remembered } from '../nn/remembered.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { AnyTensor } from '../tensor/tensor.js';
import { replaceBranches } from './blocks.js';
import { checkRegistered, hindered, hindranceIn, type Outcomes } from './reading.js';

export interface Workplace<M extends Module> {
  /** The copy whose blocks are fused. */
  readonly copied: Copied<M>;
  /** What `read` finds in the model before anything is fused. */
  readBefore<T>(read: (model: Module) => T): T;
  /** Looks whether the model will do without the branches that were fused. @throws ERR_UNSUPPORTED */
  checkFused(): void;
  /** What `read` finds in the model as it will be; after {@link checkFused}. */
  readAfter<T>(read: (model: Module) => T): T;
  /** The fused model. */
  commit(dtype: FloatDType | undefined): M;
}

/** A copy is fused, and handed out. */
export class OnCopy<M extends Module> implements Workplace<M> {
  readonly copied: Copied<M>;
  private readonly before: Outcomes;
  private readonly names: ReadonlyMap<AnyTensor, string>;

  /** @throws ERR_UNSUPPORTED where the copy would not be its own, ERR_INPUT for parameters that are not registered */
  constructor(
    model: M,
    private readonly operation: string,
  ) {
    this.copied = ownCopy(model, operation, '; or fuse the model itself, with copy: false');
    const copy = this.copied.root.eval();
    this.before = listenBelow<Module>(copy, operation);
    this.names = tensorNames(copy);
    checkRegistered(copy, this.before, operation);
  }

  readBefore<T>(read: (model: Module) => T): T {
    return read(this.copied.root);
  }

  checkFused(): void {
    const { root } = this.copied;
    const isGone = goneFrom(this.names, root);
    const hindrance = hindranceIn(listenBelow<Module>(root, this.operation), this.before, isGone);
    if (hindrance !== null) throw hindered(hindrance, root, (module) => module, this.names, this.operation);
  }

  readAfter<T>(read: (model: Module) => T): T {
    return read(this.copied.root);
  }

  commit(): M {
    return this.copied.root;
  }
}

/** The model itself is fused, after a copy of its tree over the same tensors. */
export class InPlace<M extends Module> implements Workplace<M> {
  readonly copied: Copied<M>;
  private readonly before: Outcomes;
  private readonly names: ReadonlyMap<AnyTensor, string>;
  /** Whether the copy of the tree shows what the fused model will be, and the model itself does not. */
  private readsTree = false;

  /** @throws ERR_UNSUPPORTED where a block cannot be copied, ERR_INPUT for parameters that are not registered */
  constructor(
    private readonly model: M,
    private readonly operation: string,
  ) {
    this.copied = treeCopy(model, operation);
    const pairs = pairsOf(model, this.copied);
    const blocks = pairs.filter(({ original }) => original instanceof ReparamBlock);
    this.names = tensorNames(model);
    checkOwn(pairs, blocks, this.copied, { operation, tensorNames: this.names });
    this.before = this.untouched(() => listenBelow<Module>(model, operation));
    checkRegistered(model, this.before, operation);
  }

  readBefore<T>(read: (model: Module) => T): T {
    return this.untouched(() => read(this.model));
  }

  checkFused(): void {
    const { copies, root } = this.copied;
    const isGone = goneFrom(this.names, root);
    const copyOf = (module: Module): Module => (copies.get(module) ?? module) as Module;
    const left = new Set([...root.namedModules()].map(([, module]) => module));
    const hindrance = hindranceIn(
      this.asFused(() => listenBelow<Module>(this.model, this.operation, (module) => left.has(copyOf(module)))),
      this.before,
      isGone,
    );
    if (hindrance === null) return;
    // A block that asks its fields whether it is fused shows it on the copy only.
    this.readsTree = true;
    const onTree = hindranceIn(
      listenBelow<Module>(root, this.operation),
      new Map([...this.before].map(([module, outcome]) => [copyOf(module), outcome])),
      isGone,
    );
    if (onTree !== null) throw hindered(hindrance, root, copyOf, this.names, this.operation);
  }

  readAfter<T>(read: (model: Module) => T): T {
    return this.readsTree ? read(this.copied.root) : this.asFused(() => read(this.model));
  }

  /** Puts into every block the convolution that its copy has. */
  commit(dtype: FloatDType | undefined): M {
    const state = remembered(this.copied.copies.keys());
    try {
      for (const [block, conv] of this.deployments()) replaceBranches(block, conv, block.typeName, this.operation);
      return dtype === undefined ? this.model : this.model.to(dtype);
    } catch (error) {
      state.restore();
      throw error;
    }
  }

  private *deployments(): Generator<[ReparamBlock, NonNullable<ReparamBlock['deployed']>]> {
    for (const [original, copy] of this.copied.copies) {
      if (!(original instanceof ReparamBlock) || original.deploy) continue;
      const { deployed } = copy as ReparamBlock;
      if (deployed !== null) yield [original, deployed];
    }
  }

  /** What `read` gives while every block of the model computes with its convolution. */
  private asFused<T>(read: () => T): T {
    let act = read;
    for (const [block, conv] of this.deployments()) {
      const inner = act;
      act = () => block.deployedMeanwhile(conv, inner);
    }
    return this.untouched(act);
  }

  /** What `read` gives; fields that a sentence may have written into are as before. */
  private untouched<T>(read: () => T): T {
    const state = remembered(this.copied.copies.keys());
    try {
      return read();
    } finally {
      state.restore();
    }
  }
}

/** Whether a tensor was in the state dict and no longer is. */
function goneFrom(names: ReadonlyMap<AnyTensor, string>, fused: Module): (tensor: AnyTensor) => boolean {
  const left = tensorNames(fused);
  return (tensor) => names.has(tensor) && !left.has(tensor);
}

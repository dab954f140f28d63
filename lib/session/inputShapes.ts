/** The declared shapes of a session's inputs: what runs may bring, and which shapes algorithms are chosen for. */
import { printable, RepconvError } from '../errors.js';
import { type Condition, checkConditions } from '../graph/conditions.js';
import { bind, type Formula } from '../tensor/extent.js';
import { showShape } from '../tensor/shape.js';
import type { DeclaredInput } from './arguments.js';

/** Concrete shapes of all inputs, in their order. */
export type Shapes = readonly (readonly number[])[];

export class InputShapes {
  /** The letter of the batch: the leading extent of the first input, where that is open. */
  private readonly batch: Formula | null;

  constructor(
    readonly declared: readonly DeclaredInput[],
    private readonly maxBatch: number,
    private readonly conditions: readonly Condition[] = [],
  ) {
    const leading = declared[0].shape[0];
    this.batch = typeof leading === 'number' ? null : leading;
  }

  /** The shapes of the largest batch, if nothing but the batch is open. */
  get largestBatch(): Shapes | null {
    return this.#withBatch(this.maxBatch);
  }

  /** The shapes of one image, if nothing but the batch is open; where the batch was declared, of that. */
  get oneImage(): Shapes | null {
    return this.#withBatch(1);
  }

  #withBatch(batch: number): Shapes | null {
    const isOpenElsewhere = this.declared.some(({ shape }) =>
      shape.some((extent) => typeof extent !== 'number' && extent !== this.batch),
    );
    return isOpenElsewhere
      ? null
      : this.declared.map(({ shape }) => shape.map((extent) => (typeof extent === 'number' ? extent : batch)));
  }

  /** Checks what a run brings; letters take the extents they meet first. @throws ERR_SHAPE */
  check(shapes: Shapes, operation: string): void {
    const bindings = new Map<string, number>();
    for (const [i, { name, shape: declared }] of this.declared.entries()) {
      const shape = shapes[i];
      const fits =
        declared.length === shape.length &&
        declared.every((extent, axis) => {
          if (typeof extent !== 'number' && !bindings.has(extent.text)) bindings.set(extent.text, shape[axis]);
          return shape[axis] > 0 && bind(extent, bindings) === shape[axis];
        });
      if (!fits)
        throw new RepconvError(
          'ERR_SHAPE',
          `${operation}: input ${printable(name, 60)} expects ${showShape(declared)}, got ${showShape(shape)}`,
        );
    }
    checkConditions(this.conditions, bindings, operation);
    const size = this.batch === null ? 0 : (bindings.get(this.batch.text) ?? 0);
    if (size > this.maxBatch)
      throw new RepconvError(
        'ERR_SHAPE',
        `${operation}: expects a batch of at most ${this.maxBatch} (maxBatch), got ${size}`,
      );
  }

  /** The same shapes with the largest batch. */
  withLargestBatch(shapes: Shapes): Shapes {
    return shapes.map((shape, i) =>
      shape.map((extent, axis) =>
        this.batch !== null && this.declared[i].shape[axis] === this.batch ? this.maxBatch : extent,
      ),
    );
  }

  /** The same shapes as the graph has them: images that come as bytes have their channels first there. */
  ofGraph(shapes: Shapes): Shapes {
    return shapes.map((shape, i) =>
      this.declared[i].dtype === 'uint8' ? [shape[0], shape[3], shape[1], shape[2]] : shape,
    );
  }
}

/** Multiply-accumulates of the blocks of a model, for one size of its inputs. */
import { entriesOf } from '../checks.js';
import { printable, RepconvError, shown } from '../errors.js';
import { macsOf } from '../graph/graph.js';
import { type InputSpec, recorded } from '../graph/record.js';
import type { Module } from '../nn/module.js';
import { isPlainObject } from '../options.js';
import { maxRank } from '../tensor/shape.js';
import type { AnyTensor } from '../tensor/tensor.js';

/**
 * Refuses letters for extents, for which nothing could be counted. What else is wrong, recording says. @throws
 * ERR_INPUT
 */
export function checkCountable(inputs: InputSpec, operation: string): void {
  for (const [name, shape] of isPlainObject(inputs) ? Object.entries(inputs) : []) {
    if (!entriesOf(shape, maxRank)?.some((extent) => typeof extent === 'string')) continue;
    const shownName = printable(name, 60);
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: inputs expects numbers, such as { ${shownName}: [1, 3, 224, 224] }, since multiply-accumulates are counted for one size; got ${shownName}: ${shown(shape)}`,
    );
  }
}

/** The multiply-accumulates of the operators that read one of some tensors. */
export type MacsCounter = (tensors: ReadonlySet<AnyTensor>) => number;

/** Records the model, and counts in that. @throws what recording throws */
export function macsCounter(model: Module, inputs: InputSpec, operation: string): MacsCounter {
  const { nodes } = recorded(model, inputs, undefined, operation);
  return (tensors) =>
    nodes
      .filter((node) => node.inputs.some((input) => input?.constant !== undefined && tensors.has(input.constant)))
      .reduce((sum, node) => sum + macsOf(node), 0);
}

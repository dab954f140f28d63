/** What a row of the operator table is: how one application of an operator is spelled in ONNX. */
import type { Operator } from '../ops/operator.js';
import type { Shape } from '../tensor/shape.js';
import type { NodeScope } from './modelWriter.js';

/** One application: inputs by name in the operator's order, `''` where an optional one is absent. */
export interface Application<A extends object = object> {
  readonly inputs: readonly string[];
  /** Shapes of the inputs; `[]` for an absent one. */
  readonly shapes: readonly Shape[];
  /** Shape of the result. */
  readonly result: Shape;
  readonly attributes: A;
}

/**
 * Writes the nodes and returns the name of the result: the output of the last node, or an input where nothing needs
 * doing.
 */
export type WriteOperator<A extends object = object> = (f: NodeScope, application: Application<A>) => string;

/** Attributes of an operator. */
export type AttributesOf<O> = O extends Operator<infer A> ? A : never;

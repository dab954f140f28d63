/** Cases of the tables as graphs: what a network computes are inputs, what it has learnt are constants under keys. */
import { Graph, type Node, type Value } from '../../lib/graph/graph.js';
import { operators } from '../../lib/ops/registry.js';
import { symbolic } from '../../lib/tensor/extent.js';
import { type Shape, shapeOf } from '../../lib/tensor/shape.js';
import type { Tensor } from '../../lib/tensor/tensor.js';
import { attributesOf, inputsOf, type OperatorCase } from '../cases/case.js';
import type { Fill } from '../cases/data.js';
import { allCases } from '../cases/operatorCases.js';

/** Everything but training, which has no spelling. */
export const exportedCases: readonly OperatorCase[] = allCases.filter(
  ({ operator }) => operator !== 'batchNormTraining',
);

/** One case for each operator, options, ranks and inputs left away: what may be spelled in a way of its own. */
export const spelledCases: readonly OperatorCase[] = [
  ...new Map(
    exportedCases
      .filter((c) => !isEmpty(c))
      .map((c) => [JSON.stringify([c.operator, c.options, c.inputs.map((shape) => shape?.length)]), c] as const)
      .reverse(),
  ).values(),
].reverse();

/** Which extents of a case's inputs stay open; `n` tells its letters from other cases'. */
export type Open = (shape: readonly number[], n: number) => Shape;

/** The batch of everything. */
export function openBatch(shape: readonly number[], n: number): Shape {
  return shape.length < 2 ? shape : [symbolic(`N${n}`), ...shape.slice(1)];
}

/** Batch, height and width of images. */
export function openImage(shape: readonly number[], n: number): Shape {
  return shape.length === 4 ? shapeOf([`N${n}`, shape[1], `H${n}`, `W${n}`]) : openBatch(shape, n);
}

export interface CaseGraph {
  readonly graph: Graph;
  /** What to run it with. */
  readonly feeds: Record<string, Tensor>;
}

const withoutParameters: ReadonlySet<string> = new Set(['add', 'mul', 'concat']);

/** One node with output `case<n>`. @throws ERR_SHAPE where the operator needs to know an extent that is open */
export function caseGraph(
  c: OperatorCase,
  tensors: readonly (Tensor | null)[],
  n = 0,
  open: Open = (shape) => shape,
): CaseGraph {
  const feeds: Record<string, Tensor> = {};
  const values = tensors.map((tensor, i): Value | null => {
    if (tensor === null) return null;
    const name = `case${n}.${c.operator}.${i}`;
    const isInput = i === 0 || withoutParameters.has(c.operator);
    if (!isInput) return { name, type: tensor, constant: tensor };
    feeds[name] = tensor;
    return { name, type: { dtype: 'float32', shape: open(tensor.shape, n) } };
  });
  const [operator, attributes] = [operators[c.operator] as Node['operator'], attributesOf(c)];
  const types = values.map((value) => value?.type ?? null);
  const outputs = operator.infer(types, attributes).map((type): Value => ({ name: '', type }));
  const inputs = values.filter((value): value is Value => value !== null && value.constant === undefined);
  const node: Node = { operator, inputs: values, outputs, attributes, label: `case${n}.${c.operator}` };
  return { graph: new Graph(inputs, new Map([[`case${n}`, outputs[0]]]), [node]), feeds };
}

/** A case in a merged graph; its output is `case<n>`. */
export interface MergedCase {
  readonly n: number;
  readonly c: OperatorCase;
  readonly inputs: readonly (Tensor | null)[];
}

/** Many cases as one graph. Cases that cannot be with these extents open are not in it. */
export function mergedGraph(
  cases: readonly OperatorCase[],
  fill: Fill,
  open?: Open,
): CaseGraph & { readonly merged: readonly MergedCase[] } {
  const parts = cases.flatMap((c, n) => {
    if (open !== undefined && !canBeOpen(c, open)) return [];
    const inputs = inputsOf(c, fill);
    return [{ n, c, inputs, ...caseGraph(c, inputs, n, open) }];
  });
  const graph = new Graph(
    parts.flatMap((part) => part.graph.inputs),
    new Map(parts.flatMap((part) => [...part.graph.outputs])),
    parts.flatMap((part) => part.graph.nodes),
  );
  return { graph, feeds: Object.assign({}, ...parts.map(({ feeds }) => feeds)), merged: parts };
}

/**
 * Not where an operator needs the size, or where the sizes are written into its options; nor where inputs differ that
 * would have one letter.
 */
function canBeOpen(c: OperatorCase, open: Open): boolean {
  if (withoutParameters.has(c.operator) && c.inputs.some((shape) => String(shape) !== String(c.inputs[0])))
    return false;
  if (c.operator === 'reshape' && !(c.options as { shape: readonly number[] }).shape.includes(0)) return false;
  if (open === openBatch) return true;
  return !c.operator.startsWith('adaptive') && c.operator !== 'linear' && !isEmpty(c);
}

export function isEmpty(c: OperatorCase): boolean {
  return c.inputs.some((shape) => shape?.includes(0));
}

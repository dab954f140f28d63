/**
 * Lowering: a graph becomes a program.
 *
 * Operators become native steps one by one (engine/steps/), except that what follows a step element by
 * element, and nobody else reads, is done on the way to memory:
 *
 * before   a = conv2d(x, w)    b = add(a, r)    y = relu(b)
 * after    y = conv2d(x, w) + r, relu
 * when     a and b have one user each, and r (of y's shape) is there by then
 */

import type { Program } from '../engine/program.js';
import { type Normalization, ProgramBuilder } from '../engine/programBuilder.js';
import type { ApplicationTypes, BuilderValue } from '../engine/steps/step.js';
import { stepOf } from '../engine/steps/steps.js';
import { printable, RepconvError } from '../errors.js';
import type { Graph, Node, Value } from '../graph/graph.js';
import { isParameter } from '../ops/operator.js';
import { sameShape } from '../tensor/shape.js';

export interface Lowered {
  readonly program: Program;
  /** For each value of the program, the graph's value it stands for: plans take their shapes from it. */
  readonly origins: readonly BuilderValue[];
}

/** @param preprocess inputs that come as bytes, by name */
export function lower(graph: Graph, preprocess: ReadonlyMap<string, Normalization> = new Map()): Lowered {
  const builder = new ProgramBuilder();
  for (const input of graph.inputs) {
    const normalization = preprocess.get(input.name);
    if (normalization === undefined) builder.input(input);
    else builder.byteInput(input, normalization, input.name);
  }
  checkParameters(graph);
  const groups = groupEpilogues(graph);
  for (const node of graph.nodes) {
    const group = groups.get(node);
    // A node that is done with a later one: at the last node of its group, all that the group reads is there.
    if (group === undefined) continue;
    const { operator, inputs, attributes, label } = group.anchor;
    builder.apply({ operator, inputs, attributes, label, outputs: node.outputs, epilogue: group.epilogue });
  }
  for (const output of graph.outputs.values()) builder.output(output);
  return builder.build();
}

/**
 * Parameters are packed once, when the session is made. What constants alone say was folded before: the rest depends on
 * inputs. @throws ERR_UNSUPPORTED
 */
function checkParameters(graph: Graph): void {
  const producers = graph.producers();
  for (const { operator, inputs, label } of graph.nodes) {
    const index = inputs.findIndex(
      (input, i) => isParameter(operator, i) && input !== null && input.constant === undefined,
    );
    if (index < 0) continue;
    const behind = [...valuesBehind(inputs[index] as Value, producers)];
    const layer = [label, ...behind.map((value) => producers.get(value)?.label ?? '')].find((path) => path !== '');
    const names = behind.filter((value) => graph.inputs.includes(value)).map(({ name }) => printable(name, 40));
    throw new RepconvError(
      'ERR_UNSUPPORTED',
      `compile: ${operator.name}${layer === undefined ? '' : ` of ${printable(layer, 80)}`}: ${operator.inputs[index].name} is computed from the input ${names.join(', ')}, ` +
        'and a session takes parameters that no input changes: it packs them once',
    );
  }
}

/** A value and all that it is computed from, the nearest first. */
function valuesBehind(value: Value, producers: ReadonlyMap<Value, Node>): ReadonlySet<Value> {
  const found = new Set<Value>([value]);
  for (const each of found) for (const input of producers.get(each)?.inputs ?? []) if (input !== null) found.add(input);
  return found;
}

/** A step and what is done on its way to memory. */
interface Group {
  readonly anchor: Node;
  readonly epilogue: {
    readonly residual: Value | undefined;
    readonly activation: { operator: Node['operator']; attributes: object } | undefined;
  };
}

/** Groups by their last node; nodes that belong to a later one are absent. */
function groupEpilogues(graph: Graph): ReadonlyMap<Node, Group> {
  const [uses, producers] = [graph.useCounts(), graph.producers()];
  const groups = new Map<Node, Group>();
  for (const node of graph.nodes) {
    groups.set(node, { anchor: node, epilogue: { residual: undefined, activation: undefined } });
    /** The group that ends with the only reader of `value` being this node. */
    const endingIn = (value: Value | null): { producer: Node; group: Group } | undefined => {
      const producer = value === null ? undefined : producers.get(value);
      const group = producer && groups.get(producer);
      return producer !== undefined &&
        group !== undefined &&
        uses.get(value as Value) === 1 &&
        producer.outputs.length === 1
        ? { producer, group }
        : undefined;
    };
    const joined = stepOf(node.operator).asActivation
      ? joinActivation(node, endingIn)
      : node.operator.name === 'add'
        ? joinAdd(node, endingIn)
        : undefined;
    if (joined === undefined) continue;
    groups.delete(joined.producer);
    groups.set(node, joined.group);
  }
  return groups;
}

type EndingIn = (value: Value | null) => { producer: Node; group: Group } | undefined;

function joinActivation(node: Node, endingIn: EndingIn): { producer: Node; group: Group } | undefined {
  const found = endingIn(node.inputs[0]);
  if (
    found === undefined ||
    !stepOf(found.group.anchor.operator).takesActivation?.(typesOf(found.group.anchor)) ||
    found.group.epilogue.activation !== undefined
  )
    return undefined;
  const activation = { operator: node.operator, attributes: node.attributes };
  return {
    producer: found.producer,
    group: { anchor: found.group.anchor, epilogue: { ...found.group.epilogue, activation } },
  };
}

function joinAdd(node: Node, endingIn: EndingIn): { producer: Node; group: Group } | undefined {
  const [a, b] = node.inputs as [Value, Value];
  if (!sameShape(a.type.shape, b.type.shape)) return undefined;
  // The second operand is usually the one computed last.
  for (const [value, residual] of [
    [b, a],
    [a, b],
  ]) {
    const found = value === residual ? undefined : endingIn(value);
    const isFree =
      found !== undefined &&
      found.group.epilogue.residual === undefined &&
      found.group.epilogue.activation === undefined;
    if (isFree && stepOf(found.group.anchor.operator).takesResidual?.(typesOf(found.group.anchor))) {
      return {
        producer: found.producer,
        group: { anchor: found.group.anchor, epilogue: { residual, activation: undefined } },
      };
    }
  }
  return undefined;
}

function typesOf({ inputs, outputs }: Node): ApplicationTypes {
  return { inputs: inputs.map((input) => input?.type ?? null), output: outputs[0].type };
}

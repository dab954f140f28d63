/** The rewriter: what every pass relies on. */
import { describe, expect, it } from 'vitest';
import type { Graph, Node } from '../../lib/graph/graph.js';
import { printGraph } from '../../lib/graph/print.js';
import { trace } from '../../lib/graph/record.js';
import { rewrite } from '../../lib/graph/rewrite.js';
import { operators } from '../../lib/ops/registry.js';
import { ones } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';
import { expectPass, model } from './graphs.js';

const sigmoid = operators.sigmoid as Node['operator'];

describe('rewriting', () => {
  const chain = model({}, (f, _, x) => f.tanh(f.relu(x)));

  it('keeps what is not replaced', () => {
    const graph = trace(chain, { x: ['N', 3] });
    const copy = rewrite(graph, () => undefined);
    expect(printGraph(copy)).toBe(printGraph(graph));
    expect(copy.inputs).toBe(graph.inputs);
  });

  it('puts a value in the place of a node, and lets later nodes read it', () => {
    const throughSigmoid = (graph: Graph): Graph =>
      rewrite(graph, ({ operator, inputs, label }, rewriter) =>
        operator.name === 'relu' ? rewriter.apply(sigmoid, [rewriter.now(inputs[0] as never)], {}, label) : undefined,
      );
    expect(printGraph(throughSigmoid(trace(chain, { x: ['N', 3] })))).toContain(
      '%0 = sigmoid(x) : [N,3]\n  %1 = tanh(%0) : [N,3]',
    );
  });

  it('drops a node that stands for its input, also where the input is an output', () => {
    const dropped = model({}, (f, _, x) => ({ a: f.relu(f.relu(x)), b: f.relu(x) }));
    const once = (graph: Graph): Graph =>
      rewrite(graph, ({ operator, inputs }, rewriter) =>
        operator.name === 'relu' ? [rewriter.now(inputs[0] as never)] : undefined,
      );
    expect(printGraph(once(trace(dropped, { x: [2] })))).toBe('graph (x: float32 [2])\n  return a = x, b = x');
  });

  it('drops what nobody reads any more, and keeps what is given', () => {
    const unread = model({}, (f, _, x) => {
      f.sigmoid(f.tanh(x));
      return f.relu(x);
    });
    expectPass(
      (graph) => rewrite(graph, () => undefined),
      trace(unread, { x: [2, 3] }),
      {
        before: `
          graph (x: float32 [2,3])
            %0 = tanh(x) : [2,3]
            %1 = sigmoid(%0) : [2,3]
            %2 = relu(x) : [2,3]
            return output = %2
        `,
        after: `
          graph (x: float32 [2,3])
            %0 = relu(x) : [2,3]
            return output = %0
        `,
      },
      { tolerance: 0 },
    );
  });

  it('infers types again, and refuses what no longer fits', () => {
    const widened = model({ weight: ones([5, 3]) }, (f, parameter, x) =>
      f.relu(f.linear(x, parameter('weight'), null)),
    );
    const graph = trace(widened, { x: ['N', 3] });
    const withWeight = (shape: readonly number[]): Graph =>
      rewrite(graph, ({ operator, inputs, attributes, label }, rewriter) =>
        operator.name === 'linear'
          ? rewriter.apply(
              operator,
              [rewriter.now(inputs[0] as never), rewriter.constant(ones(shape), 'wider'), null],
              attributes,
              label,
            )
          : undefined,
      );
    expect(printGraph(withWeight([7, 3]))).toContain('%1 = relu(%0) : [N,7]');
    expectRefusal(() => withWeight([7, 4]), 'ERR_SHAPE', /^linear: /);
  });
});

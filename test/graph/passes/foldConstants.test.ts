import { describe, expect, it } from 'vitest';
import { foldBatchNorm } from '../../../lib/graph/passes/foldBatchNorm.js';
import { foldConstants } from '../../../lib/graph/passes/foldConstants.js';
import { trace } from '../../../lib/graph/record.js';
import { randn } from '../../../lib/tensor/random.js';
import { ones } from '../../../lib/tensor/tensor.js';
import { convAndNorm, expectPass, model, normOf } from '../graphs.js';

const image = { x: ['N', 3, 'H', 'W'] };
const tensors = { 'a.w': randn([4, 3, 1, 1]), 'a.s': randn([4, 1, 1, 1]), 'a.t': randn([1, 4, 1, 1]) };

describe('foldConstants', () => {
  it('computes what follows from parameters alone, in chains, and leaves a constant that has the label of its layer', () => {
    const scaled = model(tensors, (f, parameter, x) => {
      const weight = f.tanh(f.mul(parameter('a.w'), parameter('a.s')));
      return f.mul(f.conv2d(x, weight, null), f.sigmoid(parameter('a.t')));
    });
    const graph = expectPass(
      foldConstants,
      trace(scaled, image),
      {
        before: `
          graph (x: float32 [N,3,H,W])
            %0 = mul(a.w, a.s) : [4,3,1,1]
            %1 = tanh(%0) : [4,3,1,1]
            %2 = conv2d(x, %1, –) : [N,4,H,W]
            %3 = sigmoid(a.t) : [1,4,1,1]
            %4 = mul(%2, %3) : [N,4,H,W]
            return output = %4
        `,
        after: `
          graph (x: float32 [N,3,H,W])
            %0 = conv2d(x, constant [4,3,1,1], –) : [N,4,H,W]
            %1 = mul(%0, constant [1,4,1,1]) : [N,4,H,W]
            return output = %1
        `,
      },
      { tolerance: 0 },
    );
    expect(graph.nodes.map(({ label }) => label)).toEqual(['a', 'a']);
    // Not rounded yet: that is done once, where the numbers are used.
    expect(graph.constants().map(({ type }) => type.dtype)).toEqual(['float64', 'float64']);
  });

  it('leaves what reads an input, though all else it reads is constant', () => {
    const dependent = model(tensors, (f, parameter, x, scale) => f.conv2d(x, f.mul(parameter('a.w'), scale), null));
    const text = `
      graph (x: float32 [N,3,H,W], scale: float32 [4,3,1,1])
        %0 = mul(a.w, scale) : [4,3,1,1]
        %1 = conv2d(x, %0, –) : [N,4,H,W]
        return output = %1
    `;
    expectPass(
      foldConstants,
      trace(dependent, { ...image, scale: [4, 3, 1, 1] }),
      { before: text, after: text },
      { tolerance: 0 },
    );
  });

  it('makes an output a constant, and computes once what several read', () => {
    const shared = model(tensors, (f, parameter, x) => {
      const c = f.relu(parameter('a.t'));
      return { c, sum: f.add(x, c), product: f.mul(x, c) };
    });
    const graph = expectPass(
      foldConstants,
      trace(shared, { x: ['N', 4, 'H', 'W'] }),
      {
        before: `
          graph (x: float32 [N,4,H,W])
            %0 = relu(a.t) : [1,4,1,1]
            %1 = add(x, %0) : [N,4,H,W]
            %2 = mul(x, %0) : [N,4,H,W]
            return c = %0, sum = %1, product = %2
        `,
        after: `
          graph (x: float32 [N,4,H,W])
            %0 = add(x, constant [1,4,1,1]) : [N,4,H,W]
            %1 = mul(x, constant [1,4,1,1]) : [N,4,H,W]
            return c = constant [1,4,1,1], sum = %0, product = %1
        `,
      },
      { tolerance: 0 },
    );
    expect(graph.constants()).toHaveLength(1);
  });

  it('comes before batch norms are folded, which then round the weight for the first time', () => {
    const normed = model({ ...convAndNorm([4, 3, 3, 3]), s: randn([4, 1, 1, 1]) }, (f, parameter, x) =>
      f.batchNorm(f.conv2d(x, f.mul(parameter('conv.weight'), parameter('s')), null), normOf(parameter, 'bn')),
    );
    const graph = foldBatchNorm(foldConstants(trace(normed, image)));
    expect(graph.nodes.map(({ operator }) => operator.name)).toEqual(['conv2d']);
    expect(graph.constants().map(({ type }) => type.dtype)).toEqual(['float32', 'float32']);
  });

  it('keeps a graph that computes nothing from constants alone', () => {
    const plain = model({ w: ones([3, 3, 1, 1]) }, (f, parameter, x) => f.relu(f.conv2d(x, parameter('w'), null)));
    const text = `
      graph (x: float32 [N,3,H,W])
        %0 = conv2d(x, w, –) : [N,3,H,W]
        %1 = relu(%0) : [N,3,H,W]
        return output = %1
    `;
    expectPass(foldConstants, trace(plain, image), { before: text, after: text }, { tolerance: 0 });
  });
});

import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../lib/graph/graph.js';
import { foldBatchNorm } from '../../../lib/graph/passes/foldBatchNorm.js';
import { trace } from '../../../lib/graph/record.js';
import { createRepVGG } from '../../../lib/nn/models/repvgg.js';
import { isIdentical } from '../../../lib/tensor/compare.js';
import { type AnyTensor, Tensor } from '../../../lib/tensor/tensor.js';
import { convAndNorm, expectPass, model, normOf } from '../graphs.js';

const image = { x: ['N', 3, 'H', 'W'] };

/** The pass must leave the graph as it is. */
function expectKept(graph: Graph, text: string): void {
  expectPass(foldBatchNorm, graph, { before: text, after: text }, { tolerance: 0 });
}

describe('foldBatchNorm', () => {
  it('folds a batch norm into the convolution before it, which gets a bias if it had none', () => {
    const folds = model(convAndNorm([4, 3, 3, 3]), (f, parameter, x) =>
      f.relu(
        f.batchNorm(f.conv2d(x, parameter('conv.weight'), null, { stride: 2, padding: 1 }), normOf(parameter, 'bn'), {
          eps: 1e-3,
        }),
      ),
    );
    const graph = expectPass(foldBatchNorm, trace(folds, image), {
      before: `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, conv.weight, –) { stride 2,2, padding 1,1,1,1 } : [N,4,(H+1)//2,(W+1)//2]
          %1 = batchNorm(%0, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.001 } : [N,4,(H+1)//2,(W+1)//2]
          %2 = relu(%1) : [N,4,(H+1)//2,(W+1)//2]
          return output = %2
      `,
      after: `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, conv.weight, conv.bias) { stride 2,2, padding 1,1,1,1 } : [N,4,(H+1)//2,(W+1)//2]
          %1 = relu(%0) : [N,4,(H+1)//2,(W+1)//2]
          return output = %1
      `,
    });
    expect(graph.constants().map(({ type }) => type)).toEqual([
      { dtype: 'float32', shape: [4, 3, 3, 3] },
      { dtype: 'float32', shape: [4] },
    ]);
  });

  it('keeps the bias that the convolution had', () => {
    const biased = model(convAndNorm([4, 3, 3, 3]), (f, parameter, x) =>
      f.batchNorm(f.conv2d(x, parameter('conv.weight'), parameter('conv.bias')), normOf(parameter, 'bn')),
    );
    expectPass(foldBatchNorm, trace(biased, image), {
      before: `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, conv.weight, conv.bias) : [N,4,H-2,W-2]
          %1 = batchNorm(%0, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.00001 } : [N,4,H-2,W-2]
          return output = %1
      `,
      after: `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, conv.weight, conv.bias) : [N,4,H-2,W-2]
          return output = %0
      `,
    });
  });

  it.each(['float64', 'float32', 'float16', 'bfloat16'] as const)(
    'rounds each weight of %s once, from float64 to float32, into memory of its own',
    (dtype) => {
      const tensors = Object.fromEntries(
        Object.entries(convAndNorm([4, 3, 3, 3])).map(([key, tensor]) => [key, tensor.to(dtype)]),
      );
      const before = Object.fromEntries(Object.entries(tensors).map(([key, tensor]) => [key, tensor.clone()]));
      const folds = model(tensors, (f, parameter, x) =>
        f.batchNorm(f.conv2d(x, parameter('conv.weight'), null), normOf(parameter, 'bn'), { eps: 1e-3 }),
      );
      const [, weight, bias] = foldBatchNorm(trace(folds, image)).nodes[0].inputs.map(
        (value) => value?.constant as AnyTensor,
      );
      const [kernel, gamma, beta, mean, variance] = [
        'conv.weight',
        'bn.weight',
        'bn.bias',
        'bn.running_mean',
        'bn.running_var',
      ].map((key) => tensors[key].to('float64').data);
      const scale = gamma.map((value, c) => value / Math.sqrt(variance[c] + 1e-3));
      const scaled = new Tensor(
        'float64',
        [4, 3, 3, 3],
        kernel.map((value, i) => value * scale[Math.floor(i / 27)]),
      );
      const shift = new Tensor(
        'float64',
        [4],
        beta.map((value, c) => value - mean[c] * scale[c]),
      );
      expect(isIdentical(weight, scaled.to('float32'))).toBe(true);
      expect(isIdentical(bias, shift.to('float32'))).toBe(true);
      for (const { data } of [weight, bias]) (data as Float32Array).fill(7);
      for (const [key, tensor] of Object.entries(tensors)) expect(isIdentical(tensor, before[key])).toBe(true);
    },
  );

  it('folds into a transposed convolution in groups', () => {
    const transposed = model(convAndNorm([4, 3, 2, 2], { channels: 6 }), (f, parameter, x) =>
      f.batchNorm(
        f.convTranspose2d(x, parameter('conv.weight'), null, { stride: 2, groups: 2 }),
        normOf(parameter, 'bn'),
      ),
    );
    expectPass(foldBatchNorm, trace(transposed, { x: ['N', 4, 5, 7] }), {
      before: `
        graph (x: float32 [N,4,5,7])
          %0 = convTranspose2d(x, conv.weight, –) { stride 2,2, groups 2 } : [N,6,10,14]
          %1 = batchNorm(%0, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.00001 } : [N,6,10,14]
          return output = %1
      `,
      after: `
        graph (x: float32 [N,4,5,7])
          %0 = convTranspose2d(x, conv.weight, conv.bias) { stride 2,2, groups 2 } : [N,6,10,14]
          return output = %0
      `,
    });
  });

  it('folds on both sides of a sum, and leaves the batch norm that follows no convolution', () => {
    const tensors = {
      ...convAndNorm([3, 3, 3, 3], { prefix: 'a.' }),
      ...convAndNorm([3, 3, 1, 1], { prefix: 'b.', seed: 2 }),
    };
    const branches = model(tensors, (f, parameter, x) => {
      const a = f.batchNorm(f.conv2d(x, parameter('a.conv.weight'), null, { padding: 1 }), normOf(parameter, 'a.bn'));
      const b = f.batchNorm(f.conv2d(x, parameter('b.conv.weight'), null), normOf(parameter, 'b.bn'));
      return f.add(f.add(a, b), f.batchNorm(x, normOf(parameter, 'b.bn')));
    });
    expectPass(foldBatchNorm, trace(branches, image), {
      before: `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, a.conv.weight, –) { padding 1,1,1,1 } : [N,3,H,W]
          %1 = batchNorm(%0, a.bn.weight, a.bn.bias, a.bn.running_mean, a.bn.running_var) { eps 0.00001 } : [N,3,H,W]
          %2 = conv2d(x, b.conv.weight, –) : [N,3,H,W]
          %3 = batchNorm(%2, b.bn.weight, b.bn.bias, b.bn.running_mean, b.bn.running_var) { eps 0.00001 } : [N,3,H,W]
          %4 = add(%1, %3) : [N,3,H,W]
          %5 = batchNorm(x, b.bn.weight, b.bn.bias, b.bn.running_mean, b.bn.running_var) { eps 0.00001 } : [N,3,H,W]
          %6 = add(%4, %5) : [N,3,H,W]
          return output = %6
      `,
      after: `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, a.conv.weight, a.conv.bias) { padding 1,1,1,1 } : [N,3,H,W]
          %1 = conv2d(x, b.conv.weight, b.conv.bias) : [N,3,H,W]
          %2 = add(%0, %1) : [N,3,H,W]
          %3 = batchNorm(x, b.bn.weight, b.bn.bias, b.bn.running_mean, b.bn.running_var) { eps 0.00001 } : [N,3,H,W]
          %4 = add(%2, %3) : [N,3,H,W]
          return output = %4
      `,
    });
  });

  it('keeps a convolution whose value has another user, a node or an output', () => {
    const alsoRead = model(convAndNorm([3, 3, 1, 1]), (f, parameter, x) => {
      const y = f.conv2d(x, parameter('conv.weight'), null);
      return f.add(y, f.batchNorm(y, normOf(parameter, 'bn')));
    });
    expectKept(
      trace(alsoRead, image),
      `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, conv.weight, –) : [N,3,H,W]
          %1 = batchNorm(%0, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.00001 } : [N,3,H,W]
          %2 = add(%0, %1) : [N,3,H,W]
          return output = %2
      `,
    );
    const alsoGiven = model(convAndNorm([3, 3, 1, 1]), (f, parameter, x) => {
      const before = f.conv2d(x, parameter('conv.weight'), null);
      return { before, after: f.batchNorm(before, normOf(parameter, 'bn')) };
    });
    expectKept(
      trace(alsoGiven, image),
      `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, conv.weight, –) : [N,3,H,W]
          %1 = batchNorm(%0, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.00001 } : [N,3,H,W]
          return before = %0, after = %1
      `,
    );
  });

  it('does not look through an activation', () => {
    const between = model(convAndNorm([3, 3, 1, 1]), (f, parameter, x) =>
      f.batchNorm(f.relu(f.conv2d(x, parameter('conv.weight'), null)), normOf(parameter, 'bn')),
    );
    expectKept(
      trace(between, image),
      `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, conv.weight, –) : [N,3,H,W]
          %1 = relu(%0) : [N,3,H,W]
          %2 = batchNorm(%1, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.00001 } : [N,3,H,W]
          return output = %2
      `,
    );
  });

  it.each([
    ['a negative variance', 'bn.running_var', -1],
    ['a weight that is NaN', 'conv.weight', NaN],
    ['an infinite scale', 'bn.weight', Infinity],
  ])('leaves %s to whoever computes it', (_, name, value) => {
    const tensors = convAndNorm([3, 3, 1, 1]);
    (tensors[name] as AnyTensor & { data: Float32Array }).data[1] = value;
    const broken = model(tensors, (f, parameter, x) =>
      f.batchNorm(f.conv2d(x, parameter('conv.weight'), null), normOf(parameter, 'bn')),
    );
    expectKept(
      trace(broken, image),
      `
        graph (x: float32 [N,3,H,W])
          %0 = conv2d(x, conv.weight, –) : [N,3,H,W]
          %1 = batchNorm(%0, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.00001 } : [N,3,H,W]
          return output = %1
      `,
    );
  });

  it('leaves weights that are computed', () => {
    const computed = model(convAndNorm([2, 2, 1, 1]), (f, parameter, x) =>
      f.batchNorm(f.conv2d(x, f.relu(parameter('conv.weight')), null), normOf(parameter, 'bn')),
    );
    expectKept(
      trace(computed, { x: [1, 2, 3, 3] }),
      `
        graph (x: float32 [1,2,3,3])
          %0 = relu(conv.weight) : [2,2,1,1]
          %1 = conv2d(x, %0, –) : [1,2,3,3]
          %2 = batchNorm(%1, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.00001 } : [1,2,3,3]
          return output = %2
      `,
    );
  });

  it('folds a module that is used twice at both places, from the numbers that both share', () => {
    const twice = model(convAndNorm([3, 3, 1, 1]), (f, parameter, x) => {
      const layer = (input: typeof x): typeof x =>
        f.batchNorm(f.conv2d(input, parameter('conv.weight'), null), normOf(parameter, 'bn'));
      return layer(f.relu(layer(x)));
    });
    expectPass(foldBatchNorm, trace(twice, image), {
      before: `
          graph (x: float32 [N,3,H,W])
            %0 = conv2d(x, conv.weight, –) : [N,3,H,W]
            %1 = batchNorm(%0, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.00001 } : [N,3,H,W]
            %2 = relu(%1) : [N,3,H,W]
            %3 = conv2d(%2, conv.weight, –) : [N,3,H,W]
            %4 = batchNorm(%3, bn.weight, bn.bias, bn.running_mean, bn.running_var) { eps 0.00001 } : [N,3,H,W]
            return output = %4
        `,
      after: `
          graph (x: float32 [N,3,H,W])
            %0 = conv2d(x, conv.weight, conv.bias) : [N,3,H,W]
            %1 = relu(%0) : [N,3,H,W]
            %2 = conv2d(%1, conv.weight, conv.bias) : [N,3,H,W]
            return output = %2
        `,
    });
  });

  it('folds every convolution of RepVGG-A0, and only what follows one', () => {
    const graph = foldBatchNorm(trace(createRepVGG('repvgg-a0').eval(), { images: [1, 3, 64, 64] }));
    const count = (name: string): number => graph.nodes.filter(({ operator }) => operator.name === name).length;
    // Published: 44 convolutions in training form, 61 batch norms of which 17 are identities.
    expect([count('conv2d'), count('batchNorm')]).toEqual([44, 17]);
  });
});

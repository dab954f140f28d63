/** Recording: a sentence becomes a graph, and the graph reads as the sentence did. */
import { describe, expect, it } from 'vitest';
import { inferTypes, macsOf } from '../../lib/graph/graph.js';
import { printGraph } from '../../lib/graph/print.js';
import { type InputSpec, trace } from '../../lib/graph/record.js';
import { ConvBlock } from '../../lib/nn/blocks/convBlock.js';
import { ReLU } from '../../lib/nn/layers/activations.js';
import { BatchNorm2d } from '../../lib/nn/layers/batchNorm2d.js';
import { Sequential } from '../../lib/nn/layers/containers.js';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { ConvTranspose2d } from '../../lib/nn/layers/convTranspose2d.js';
import { Module, referenceForward } from '../../lib/nn/module.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import type { Ops } from '../../lib/ops/vocabulary.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { manualSeed, randn } from '../../lib/tensor/random.js';
import { showShape } from '../../lib/tensor/shape.js';
import { ones } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';
import { computeGraph, model, unindented } from './graphs.js';

describe('a recorded module', () => {
  it('prints with its parameters under their keys', () => {
    expect(printGraph(trace(new ConvBlock(4, 4).eval(), { images: ['N', 4, 'H', 'W'] }))).toBe(
      unindented(`
        graph (images: float32 [N,4,H,W])
          %0 = conv2d(images, conv3_3.conv.weight, conv3_3.conv.bias) { padding 1,1,1,1 } : [N,4,H,W]
          %1 = batchNorm(%0, conv3_3.bn.weight, conv3_3.bn.bias, conv3_3.bn.running_mean, conv3_3.bn.running_var) { eps 0.00001 } : [N,4,H,W]
          %2 = conv2d(images, conv1_1.conv.weight, conv1_1.conv.bias) : [N,4,H,W]
          %3 = batchNorm(%2, conv1_1.bn.weight, conv1_1.bn.bias, conv1_1.bn.running_mean, conv1_1.bn.running_var) { eps 0.00001 } : [N,4,H,W]
          %4 = add(%1, %3) : [N,4,H,W]
          %5 = batchNorm(images, rbr_identity.weight, rbr_identity.bias, rbr_identity.running_mean, rbr_identity.running_var) { eps 0.00001 } : [N,4,H,W]
          %6 = add(%4, %5) : [N,4,H,W]
          %7 = relu(%6) : [N,4,H,W]
          return output = %7
      `),
    );
  });

  it('computes what the module computes, to the bit of float64', () => {
    manualSeed(3);
    const block = new Sequential(
      new ConvBlock(3, 5, { stride: 2, paddingMode: 'reflect' }),
      new ConvTranspose2d(5, 4, 3),
      new ReLU(),
    ).eval();
    const x = randn([2, 3, 7, 10]);
    const { output } = computeGraph(trace(block, { images: ['N', 3, 'H', 'W'] }), [x]);
    expect(isIdentical(output, referenceForward(block, x))).toBe(true);
  });

  it('labels its nodes with the path of the module that asked for them', () => {
    const graph = trace(new Sequential(new Conv2d(3, 4, 3), new BatchNorm2d(4), new ReLU()).eval(), {
      x: [1, 3, 8, 8],
    });
    expect(graph.nodes.map(({ label }) => label)).toEqual(['0', '1', '']);
  });

  it('has every tensor once, however often it is read, and a module used twice has its nodes twice', () => {
    const shared = new Conv2d(2, 2, 1);
    const graph = trace(new Sequential(shared, new ReLU(), shared).eval(), { x: [1, 2, 3, 3] });
    expect(graph.nodes.map(({ operator }) => operator.name)).toEqual(['conv2d', 'relu', 'conv2d']);
    expect(graph.nodes[0].inputs[1]).toBe(graph.nodes[2].inputs[1]);
    // Under the first of its keys.
    expect(graph.constants().map(({ name }) => name)).toEqual(['0.weight', '0.bias']);
    expect(graph.useCounts().get(graph.nodes[0].inputs[1] as never)).toBe(2);
  });

  it.each([
    ['a block', new ConvBlock(2, 2), ''],
    [
      'a batch norm deep inside a network in evaluation',
      new Sequential(new Sequential(new BatchNorm2d(2)).eval(), new BatchNorm2d(2)),
      '',
    ],
  ])('in training mode is refused: %s', (_, module) => {
    expectRefusal(
      () => trace(module, { x: [1, 2, 4, 4] }),
      'ERR_TRAIN_MODE',
      'trace: the model is in training mode; call eval() first',
    );
  });

  it('whose blocks are in a plain list, where eval() does not reach them, is told so', () => {
    class PlainList extends Module {
      readonly blocks = [new ConvBlock(2, 2)];
      override compute<X>(f: Ops<X>, x: X): X {
        return this.blocks.reduce((value, block) => block.compute(f, value), x);
      }
    }
    expectRefusal(
      () => trace(new PlainList().eval(), { x: [1, 2, 4, 4] }),
      'ERR_TRAIN_MODE',
      'trace: a batch norm is in training mode where eval() does not reach it, since its module is not registered; register each module with this.child(name, module), then call eval()',
    );
  });

  it('whose batch norm has no statistics of its own is refused with that reason, in evaluation too', () => {
    expectRefusal(
      () => trace(new BatchNorm2d(2, { trackRunningStats: false }).eval(), { x: [1, 2, 4, 4] }),
      'ERR_UNSUPPORTED',
      'trace: a batch norm without running statistics uses those of the batch, which a graph cannot express',
    );
  });
});

describe('inputs', () => {
  const identity: Traceable = { compute: (_f, x) => x };

  it('may be several, and keep their order', () => {
    const sum = model({}, (f, _, a, b) => f.add(a, f.relu(b)));
    expect(printGraph(trace(sum, { left: ['N', 3], right: [1, 3] }))).toBe(
      unindented(`
        graph (left: float32 [N,3], right: float32 [1,3])
          %0 = relu(right) : [1,3]
          %1 = add(left, %0) : [N,3]
          return output = %1
      `),
    );
  });

  it.each<[string, unknown]>([
    ['no list', 3],
    ['a negative extent', [1, -3]],
    ['a fraction', [1, 2.5]],
    ['a name that is none', [1, 'H+1']],
    ['an empty name', ['']],
    ['null', [null]],
    ['NaN', [NaN]],
  ])('refuse %s', (_, shape) => {
    expectRefusal(
      () => trace(identity, { x: shape } as InputSpec),
      'ERR_INPUT',
      /^trace: input x expects a list of whole numbers and names/,
    );
  });

  it('refuse to be none, and to be too large', () => {
    expectRefusal(
      () => trace(identity, {}),
      'ERR_INPUT',
      "trace: inputs expects at least one input, such as { images: ['N', 3, 224, 224] }, got {}",
    );
    expectRefusal(() => trace(identity, { x: [2 ** 30, 2 ** 30] }), 'ERR_LIMIT', /has more than 2\^53 elements$/);
  });

  it('whose shapes do not go together are refused where they meet', () => {
    expectRefusal(() => trace(new Conv2d(3, 4, 3), { x: ['N', 2, 8, 8] }), 'ERR_SHAPE', /^conv2d: weight expects/);
    expectRefusal(
      () => trace(new Conv2d(3, 4, 3), { x: ['N', 3, 2, 8] }),
      'ERR_SHAPE',
      /a window of 3 does not fit into 2/,
    );
  });
});

describe('outputs', () => {
  const pair: Traceable = { compute: <X>(f: Ops<X>, x: X) => ({ positive: f.relu(x), same: x, name: f.sigmoid(x) }) };

  it('keep the names of the record that the sentence returns', () => {
    const { outputs, nodes, inputs } = trace(pair, { x: [2] });
    expect([...outputs]).toEqual([
      ['positive', nodes[0].outputs[0]],
      ['same', inputs[0]],
      ['name', nodes[1].outputs[0]],
    ]);
  });

  it('may be given other names, one for each', () => {
    expect([...trace(pair, { x: [2] }, ['a', 'b', 'c']).outputs.keys()]).toEqual(['a', 'b', 'c']);
    expectRefusal(
      () => trace(pair, { x: [2] }, ['a', 'b']),
      'ERR_INPUT',
      "trace: expects 3 different output names, got [ 'a', 'b' ]",
    );
    expectRefusal(
      () => trace(pair, { x: [2] }, ['a', 'b', 'a']),
      'ERR_INPUT',
      "trace: expects 3 different output names, got [ 'a', 'b', 'a' ]",
    );
  });

  it('may be one value under two names, a constant, or the input itself', () => {
    const twice: Traceable = {
      compute: <X>(f: Ops<X>, x: X) => {
        const y = f.relu(x);
        return { y, again: y, constant: f.lift(ones([2])), x };
      },
    };
    const graph = trace(twice, { x: [2] });
    expect(printGraph(graph)).toContain('return y = %0, again = %0, constant = constant [2], x = x');
    const { constant, y, again } = computeGraph(graph, [randn([2])]);
    expect(constant.toArray()).toEqual([1, 1]);
    expect(isIdentical(y, again)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a number', 3],
    ['an empty record', {}],
    ['a record of something else', { output: 3 }],
    ['a record with a hole', { output: undefined }],
  ])('refuse a sentence that returns %s', (_, result) => {
    expectRefusal(
      () => trace({ compute: () => result as never }, { x: [1] }),
      'ERR_INPUT',
      /^trace: compute expects to return a value or a record of values, got /,
    );
  });
});

describe('shapes are inferred', () => {
  const pooled = model({ weight: ones([4, 3, 3, 3]) }, (f, parameter, x) =>
    f.averagePool2d(
      f.conv2d(f.pad(x, { padding: [0, 1, 2, 0] }), parameter('weight'), null, { stride: 2, padding: 1 }),
      { kernelSize: 2 },
    ),
  );

  it('with symbols: sums and floor divisions keep one form', () => {
    expect(
      trace(pooled, { x: ['N', 3, 'H', 'W'] }).nodes.map(({ outputs }) => showShape(outputs[0].type.shape)),
    ).toEqual(['[N,3,H+2,W+1]', '[N,4,(H+3)//2,(W+2)//2]', '[N,4,(H+3)//4,(W+2)//4]']);
  });

  it('again for numbers in their place', () => {
    const graph = trace(pooled, { x: ['N', 3, 'H', 'W'] });
    for (const [N, H, W] of [
      [1, 6, 6],
      [3, 7, 10],
      [2, 9, 5],
    ]) {
      const types = inferTypes(graph, [{ dtype: 'float32', shape: [N, 3, H, W] }]);
      const x = randn([N, 3, H, W]);
      expect(types.get(graph.outputs.get('output') as never)?.shape).toEqual(computeGraph(graph, [x]).output.shape);
    }
  });

  it('and refuse numbers that do not fit', () => {
    const graph = trace(pooled, { x: ['N', 3, 'H', 'W'] });
    expectRefusal(() => inferTypes(graph, [{ dtype: 'float32', shape: [1, 2, 8, 8] }]), 'ERR_SHAPE', /^conv2d: /);
  });
});

describe('multiply-accumulates are counted', () => {
  it('as the papers do: convolutions and linear layers', () => {
    const count = (module: Traceable, shape: readonly (number | string)[]): number =>
      trace(module, { x: shape }).nodes.reduce((total, node) => total + macsOf(node), 0);
    expect(count(new Conv2d(6, 4, [3, 5], { groups: 2, stride: 2, padding: [1, 2] }), [2, 6, 8, 10])).toBe(
      2 * 4 * 4 * 5 * 3 * 15,
    );
    expect(count(new ConvTranspose2d(6, 4, 2, { stride: 2 }), [2, 6, 8, 10])).toBe(2 * 6 * 8 * 10 * 4 * 4);
    expect(
      count(
        model({ weight: ones([7, 5]) }, (f, parameter, x) => f.linear(x, parameter('weight'), null)),
        [3, 5],
      ),
    ).toBe(3 * 7 * 5);
    expect(count(new BatchNorm2d(3).eval(), [1, 3, 8, 8])).toBe(0);
    expect(count(new Conv2d(3, 4, 3), ['N', 3, 8, 8])).toBeNaN();
  });
});

import { describe, expect, it } from 'vitest';
import { removeIdentity } from '../../../lib/graph/passes/removeIdentity.js';
import { printGraph } from '../../../lib/graph/print.js';
import { trace } from '../../../lib/graph/record.js';
import type { Ops } from '../../../lib/ops/vocabulary.js';
import { isIdentical } from '../../../lib/tensor/compare.js';
import { full, ones, Tensor, tensor } from '../../../lib/tensor/tensor.js';
import { computeGraph, expectPass, model } from '../graphs.js';

const tensors = {
  ones: ones([1, 3, 1, 1]),
  one: tensor(1, [], 'float64'),
  half: ones([1], 'bfloat16'),
  almost: tensor([1, 1, 1 + 2 ** -23], [3, 1, 1]),
  zero: full([1, 3, 1, 1], 0),
  negativeZero: full([1, 3, 1, 1], -0),
  mixedZero: tensor([-0, 0, -0], [3, 1, 1]),
  wide: ones([2, 3, 4, 5]),
  slopes: ones([3]),
};
type Sentence = <X>(f: Ops<X>, parameter: (name: keyof typeof tensors) => X, x: X) => X;

/** Everything that a pass might change by a bit. */
const peculiar = [NaN, -0, 0, Infinity, -Infinity, 5e-324, -5e-324, 2 ** -149, 1.5, -2.25, 6, 6.5, 1e300];

/** The nodes that are left between x and the last relu6, of a sentence over an image. */
function left(sentence: Sentence, shape: readonly (number | string)[]): string[] {
  const graph = trace(model(tensors, sentence as never), { x: shape });
  const result = removeIdentity(graph);
  const concrete = shape.map((extent) => (typeof extent === 'number' ? extent : 2));
  const size = concrete.reduce((a, b) => a * b, 1);
  const x = new Tensor(
    'float64',
    concrete,
    Float64Array.from({ length: size }, (_, i) => peculiar[i % peculiar.length]),
  );
  const [expected, found] = [computeGraph(graph, [x]), computeGraph(result, [x])];
  expect(isIdentical(found.output, expected.output), printGraph(graph)).toBe(true);
  expect(found.output.shape).toEqual(expected.output.shape);
  return result.nodes.map(({ operator }) => operator.name);
}

const image = ['N', 3, 4, 5];

describe('removeIdentity', () => {
  it('takes out what computes nothing, a chain of them too, whoever reads the values', () => {
    const chain = model(tensors, (f, parameter, x) => {
      const y = f.mul(f.pad(f.tanh(x), { padding: 0 }), parameter('ones'));
      return { y: f.relu(f.relu(f.reshape(f.relu(y), { shape: [0, 0, 0, 0] }))), also: y };
    });
    expectPass(
      removeIdentity,
      trace(chain, { x: ['N', 3, 'H', 'W'] }),
      {
        before: `
          graph (x: float32 [N,3,H,W])
            %0 = tanh(x) : [N,3,H,W]
            %1 = pad(%0) { mode zeros, value 0 } : [N,3,H,W]
            %2 = mul(%1, ones) : [N,3,H,W]
            %3 = relu(%2) : [N,3,H,W]
            %4 = reshape(%3) { shape 0,0,0,0 } : [N,3,H,W]
            %5 = relu(%4) : [N,3,H,W]
            %6 = relu(%5) : [N,3,H,W]
            return y = %6, also = %2
        `,
        after: `
          graph (x: float32 [N,3,H,W])
            %0 = tanh(x) : [N,3,H,W]
            %1 = relu(%0) : [N,3,H,W]
            return y = %1, also = %0
        `,
      },
      { tolerance: 0 },
    );
  });

  it('may leave nothing but the input', () => {
    expect(left((f, _, x) => f.pad(x, { padding: 0, mode: 'reflect' }), image)).toEqual([]);
  });

  it.each<[string, Sentence, readonly (number | string)[]]>([
    ['padding by nothing', (f, _, x) => f.pad(x, { padding: 0, value: 7 }), image],
    ['a reshape to the same shape', (f, _, x) => f.reshape(x, { shape: [0, 3, -1, 5] }), image],
    ['a flatten of one axis', (f, _, x) => f.flatten(x), ['N', 3]],
    ['a concatenation of one', (f, _, x) => f.concat([x]), image],
    ['a maximum over one pixel', (f, _, x) => f.maxPool2d(x, { kernelSize: 1, dilation: 2, ceilMode: true }), image],
    ['an adaptive maximum to the same size', (f, _, x) => f.adaptiveMaxPool2d(x, { outputSize: [4, 5] }), image],
    ['the maximum of a single pixel', (f, _, x) => f.globalMaxPool2d(x), ['N', 3, 1, 1]],
    ['x·1', (f, parameter, x) => f.mul(x, parameter('ones')), image],
    ['1·x', (f, parameter, x) => f.mul(parameter('one'), x), image],
    ['a 1 in another format', (f, parameter, x) => f.mul(x, parameter('half')), image],
    ['x + −0', (f, parameter, x) => f.add(x, parameter('negativeZero')), image],
    ['−0 + x', (f, parameter, x) => f.add(parameter('negativeZero'), x), image],
    ['a leaky ReLU of slope 1', (f, _, x) => f.leakyRelu(x, { negativeSlope: 1 }), image],
  ])('takes out %s, and no bit changes', (_, sentence, shape) => {
    expect(left((f, parameter, x) => f.relu6(sentence(f, parameter, f.hardSwish(x))), shape)).toEqual([
      'hardSwish',
      'relu6',
    ]);
  });

  it.each<[string, Sentence]>([
    ['ReLU of ReLU', (f, _, x) => f.relu(f.relu(x))],
    ['ReLU of ReLU6', (f, _, x) => f.relu(f.relu6(x))],
    ['ReLU of sigmoid', (f, _, x) => f.relu(f.sigmoid(x))],
    ['ReLU of softmax', (f, _, x) => f.relu(f.softmax(x, { axis: 1 }))],
    ['ReLU of hard sigmoid', (f, _, x) => f.relu(f.hardSigmoid(x))],
    ['ReLU6 of ReLU6', (f, _, x) => f.relu6(f.relu6(x))],
    ['ReLU6 of sigmoid', (f, _, x) => f.relu6(f.sigmoid(x))],
    ['ReLU6 of softmax', (f, _, x) => f.relu6(f.softmax(x, { axis: 1 }))],
    ['ReLU6 of hard sigmoid', (f, _, x) => f.relu6(f.hardSigmoid(x))],
  ])('takes out the second of %s, and no bit changes', (_, sentence) => {
    expect(left(sentence, image)).toHaveLength(1);
  });

  it.each<[string, Sentence, readonly (number | string)[]]>([
    ['padding on one side', (f, _, x) => f.pad(x, { padding: [0, 0, 0, 1] }), image],
    ['a reshape to another shape', (f, _, x) => f.reshape(x, { shape: [0, 3, 20] }), image],
    ['a flatten of two axes', (f, _, x) => f.flatten(x, { startAxis: 2 }), image],
    ['a concatenation of a value with itself', (f, _, x) => f.concat([x, x]), image],
    ['a maximum over two pixels', (f, _, x) => f.maxPool2d(x, { kernelSize: [1, 2], stride: 1 }), image],
    ['a maximum that skips pixels', (f, _, x) => f.maxPool2d(x, { kernelSize: 1, stride: 2 }), image],
    ['an adaptive maximum to another size', (f, _, x) => f.adaptiveMaxPool2d(x, { outputSize: [4, 4] }), image],
    ['the maximum of several pixels', (f, _, x) => f.globalMaxPool2d(x), image],
    ['a mean over one pixel, which makes 0 of −0', (f, _, x) => f.averagePool2d(x, { kernelSize: 1 }), image],
    ['x·(almost 1)', (f, parameter, x) => f.mul(x, parameter('almost')), image],
    ['x·1 that stretches x', (f, parameter, x) => f.mul(x, parameter('wide')), [2, 3, 1, 1]],
    ['x·x', (f, _, x) => f.mul(x, x), image],
    ['x + 0, which makes 0 of −0', (f, parameter, x) => f.add(x, parameter('zero')), image],
    ['x + a zero of either sign', (f, parameter, x) => f.add(x, parameter('mixedZero')), image],
    ['a leaky ReLU of another slope', (f, _, x) => f.leakyRelu(x, { negativeSlope: 0.99 }), image],
    ['ReLU6 of ReLU', (f, _, x) => f.relu6(f.relu(x)), image],
    ['ReLU of tanh', (f, _, x) => f.relu(f.tanh(x)), image],
    ['sigmoid of sigmoid', (f, _, x) => f.sigmoid(f.sigmoid(x)), image],
    ['ReLU of a sum of ReLUs', (f, _, x) => f.relu(f.add(f.relu(x), x)), image],
  ])('leaves %s', (_, sentence, shape) => {
    const graph = trace(model(tensors, sentence as never), { x: shape });
    expect(printGraph(removeIdentity(graph))).toBe(printGraph(graph));
    left(sentence, shape);
  });

  it('leaves a neutral number that is not constant', () => {
    const given = model({}, (f, _, x, one) => f.mul(x, one));
    const graph = trace(given, { x: [1, 3], one: [1, 3] });
    expect(printGraph(removeIdentity(graph))).toBe(printGraph(graph));
  });
});

/** The words of a sentence, read by a reading that only writes down what it is told. */
import { describe, expect, it } from 'vitest';
import { conv2dAttributes } from '../../lib/ops/conv/conv2d.js';
import { convTranspose2dAttributes } from '../../lib/ops/conv/convTranspose2d.js';
import { padAttributes } from '../../lib/ops/move/pad.js';
import { averagePool2dAttributes } from '../../lib/ops/pool/averagePool2d.js';
import { maxPool2dAttributes } from '../../lib/ops/pool/maxPool2d.js';
import { referenceOps } from '../../lib/ops/reference.js';
import { operators } from '../../lib/ops/registry.js';
import { type Ops, vocabulary } from '../../lib/ops/vocabulary.js';
import { ones, tensor } from '../../lib/tensor/tensor.js';

type Call = readonly [operator: string, inputs: readonly (string | null)[], attributes: object];

function recorder(): { f: Ops<string>; calls: Call[] } {
  const calls: Call[] = [];
  const f = vocabulary<string>({
    lift: (t) => String(t),
    apply(operator, inputs, attributes) {
      calls.push([operator.name, inputs, attributes]);
      return [`${operator.name}.0`, `${operator.name}.1`, `${operator.name}.2`];
    },
  });
  return { f, calls };
}

describe('the vocabulary', () => {
  it('has a word for every operator, which applies it to its inputs in order, with complete attributes', () => {
    const { f, calls } = recorder();
    const window = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };
    const pooling = { kernelSize: [3, 3], stride: [3, 3], padding: [0, 0, 0, 0], ceilMode: false };
    const norm = { weight: 'w', bias: null, runningMean: 'm', runningVariance: 'v' };
    f.conv2d('x', 'w', 'b');
    f.convTranspose2d('x', 'w', null);
    f.linear('x', 'w', 'b');
    f.batchNorm('x', norm);
    f.batchNormTraining('x', norm);
    f.add('a', 'b');
    f.mul('a', 'b');
    f.concat(['a', 'b', 'c']);
    f.pad('x', { padding: 1 });
    for (const word of ['relu', 'relu6', 'sigmoid', 'silu', 'hardSigmoid', 'hardSwish', 'tanh'] as const) f[word]('x');
    f.leakyRelu('x');
    f.prelu('x', 's');
    f.gelu('x');
    f.softmax('x');
    f.maxPool2d('x', { kernelSize: 3 });
    f.averagePool2d('x', { kernelSize: 3 });
    f.globalAveragePool2d('x');
    f.globalMaxPool2d('x');
    f.adaptiveAveragePool2d('x', { outputSize: 2 });
    f.adaptiveMaxPool2d('x', { outputSize: [2, 3] });
    f.flatten('x');
    f.reshape('x', { shape: [0, -1] });
    expect(calls).toEqual([
      ['conv2d', ['x', 'w', 'b'], { ...window, paddingMode: 'zeros' }],
      ['convTranspose2d', ['x', 'w', null], { ...window, outputPadding: [0, 0] }],
      ['linear', ['x', 'w', 'b'], {}],
      ['batchNorm', ['x', 'w', null, 'm', 'v'], { eps: 1e-5 }],
      ['batchNormTraining', ['x', 'w', null, 'm', 'v'], { eps: 1e-5, momentum: 0.1 }],
      ['add', ['a', 'b'], {}],
      ['mul', ['a', 'b'], {}],
      ['concat', ['a', 'b', 'c'], { axis: 1 }],
      ['pad', ['x'], { padding: [1, 1, 1, 1], mode: 'zeros', value: 0 }],
      ...['relu', 'relu6', 'sigmoid', 'silu', 'hardSigmoid', 'hardSwish', 'tanh'].map((name) => [name, ['x'], {}]),
      ['leakyRelu', ['x'], { negativeSlope: 0.01 }],
      ['prelu', ['x', 's'], {}],
      ['gelu', ['x'], { approximate: 'none' }],
      ['softmax', ['x'], { axis: -1 }],
      ['maxPool2d', ['x'], { ...pooling, dilation: [1, 1] }],
      ['averagePool2d', ['x'], { ...pooling, countIncludePad: true }],
      ['globalAveragePool2d', ['x'], {}],
      ['globalMaxPool2d', ['x'], {}],
      ['adaptiveAveragePool2d', ['x'], { outputSize: [2, 2] }],
      ['adaptiveMaxPool2d', ['x'], { outputSize: [2, 3] }],
      ['flatten', ['x'], { startAxis: 1, endAxis: -1 }],
      ['reshape', ['x'], { shape: [0, -1] }],
    ]);
    expect(new Set(calls.map(([name]) => name))).toEqual(new Set(Object.keys(operators)));
  });

  it('gives the three results of batch norm in training their names', () => {
    const { f } = recorder();
    const norm = { weight: null, bias: null, runningMean: 'm', runningVariance: 'v' };
    expect(f.batchNormTraining('x', norm, { momentum: 0.5 })).toEqual({
      output: 'batchNormTraining.0',
      runningMean: 'batchNormTraining.1',
      runningVariance: 'batchNormTraining.2',
    });
  });

  it('leaves a commit out where the reading carries none out', () => {
    expect(() => recorder().f.commit(ones([1]), 'x')).not.toThrow();
  });
});

describe('options', () => {
  it('take one number for both axes or all sides, a pair, or four sides', () => {
    expect(conv2dAttributes({ stride: 2, padding: [1, 2], dilation: [1, 3] })).toEqual({
      stride: [2, 2],
      padding: [1, 2, 1, 2],
      dilation: [1, 3],
      groups: 1,
      paddingMode: 'zeros',
    });
    expect(padAttributes({ padding: [1, 2, 3, 4] }).padding).toEqual([1, 2, 3, 4]);
    expect(convTranspose2dAttributes({ stride: 3, outputPadding: [1, 2] }).outputPadding).toEqual([1, 2]);
    expect(maxPool2dAttributes({ kernelSize: [3, 2], dilation: 2 })).toEqual({
      kernelSize: [3, 2],
      stride: [3, 2],
      padding: [0, 0, 0, 0],
      dilation: [2, 2],
      ceilMode: false,
    });
    expect(
      averagePool2dAttributes({ kernelSize: 4, stride: 2, padding: [1, 2], countIncludePad: false }).padding,
    ).toEqual([1, 2, 1, 2]);
  });

  it('are copied, so that an array changed later changes nothing', () => {
    const stride: [number, number] = [2, 2];
    const attributes = conv2dAttributes({ stride });
    stride[0] = 9;
    expect(attributes.stride).toEqual([2, 2]);
  });
});

describe('the reference reading', () => {
  it('reads a block of parallel branches in float64', () => {
    const f = referenceOps;
    const block = <X>(ops: Ops<X>, x: X): X => {
      const [dense, pointwise] = [ops.lift(ones([1, 1, 3, 3])), ops.lift(tensor([[[[2]]]]))];
      return ops.relu(ops.add(ops.conv2d(x, dense, null, { padding: 1 }), ops.conv2d(x, pointwise, null)));
    };
    const y = block(
      f,
      f.lift(
        tensor([
          [
            [
              [1, -2],
              [3, 4],
            ],
          ],
        ]),
      ),
    );
    expect(y.dtype).toBe('float64');
    expect(y.toArray()).toEqual([
      [
        [
          [8, 2],
          [12, 14],
        ],
      ],
    ]);
  });

  it('refuses what infer refuses', () => {
    const f = referenceOps;
    expect(() => f.add(f.lift(ones([2])), f.lift(ones([3])))).toThrow(
      'add: shapes [2] and [3] do not broadcast (axis 0: 2 and 3)',
    );
  });
});

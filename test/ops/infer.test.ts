/** Shape rules: what they say of symbols is, once the symbols are bound, what they say of the numbers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { conv2d, conv2dAttributes } from '../../lib/ops/conv/conv2d.js';
import { convTranspose2d, convTranspose2dAttributes } from '../../lib/ops/conv/convTranspose2d.js';
import type { InputTypes } from '../../lib/ops/operator.js';
import { maxPool2d, maxPool2dAttributes } from '../../lib/ops/pool/maxPool2d.js';
import { type OperatorName, operators } from '../../lib/ops/registry.js';
import { windowExtent } from '../../lib/ops/window.js';
import { bind, type Extent, symbolic } from '../../lib/tensor/extent.js';
import { type OpenShape, type Shape, showShape } from '../../lib/tensor/shape.js';
import { attributesOf, type OperatorCase } from '../cases/case.js';
import { allCases } from '../cases/operatorCases.js';

/** Operators whose images may have a symbolic height and width. */
const onImages: readonly OperatorName[] = [
  ...([
    'conv2d',
    'convTranspose2d',
    'maxPool2d',
    'averagePool2d',
    'pad',
    'globalAveragePool2d',
    'globalMaxPool2d',
  ] as const),
  ...([
    'batchNorm',
    'batchNormTraining',
    'add',
    'mul',
    'concat',
    'relu',
    'silu',
    'prelu',
    'softmax',
    'flatten',
  ] as const),
];
describe('infer', () => {
  const cases = allCases.filter(
    (c) => c.operator !== 'reshape' || (c.options as { shape: number[] }).shape.includes(0),
  );

  it.each(cases.map((c) => [c.name, c] as const))('%s: symbols and numbers agree', (_, c) => {
    const [operator, attributes] = [operators[c.operator], attributesOf(c) as never];
    const { inputs, bindings } = opened(c);
    const expected = operator.infer(
      c.inputs.map((shape) => shape && { dtype: 'float32', shape }),
      attributes,
    );
    const results = operator.infer(inputs, attributes);
    expect(results.map(({ shape }) => shape.length)).toEqual(expected.map(({ shape }) => shape.length));
    results.forEach(({ shape }, i) => {
      shape.forEach((extent, axis) => {
        expect(bind(extent, bindings)).toBe(expected[i].shape[axis]);
      });
    });
  });

  it('keeps the format of the input', () => {
    const half = { dtype: 'float16', shape: [1, 3, 5, 7] } as const;
    expect(operators.relu.infer([half], {})[0].dtype).toBe('float16');
    expect(
      operators.conv2d.infer([half, { dtype: 'float16', shape: [4, 3, 3, 3] }, null], conv2dAttributes())[0].dtype,
    ).toBe('float16');
  });

  it('agrees along chains of convolutions and poolings', () => {
    const window = fc.record({
      K: fc.integer({ min: 1, max: 5 }),
      stride: fc.integer({ min: 1, max: 3 }),
      isPool: fc.boolean(),
      ceilMode: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(window, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 200, max: 400 }),
        (windows, H) => {
          const through = (start: Extent): Extent =>
            windows.reduce<Extent>((height, { K, stride, isPool, ceilMode }) => {
              const [padding, input] = [Math.floor(K / 2), image(['N', 2, height, 9])];
              const weight = image([2, 2, K, K]);
              return isPool
                ? maxPool2d.infer([input], maxPool2dAttributes({ kernelSize: K, stride, padding, ceilMode }))[0]
                    .shape[2]
                : conv2d.infer([input, weight, null], conv2dAttributes({ stride, padding }))[0].shape[2];
            }, start);
          expect(bind(through(symbolic('H')), new Map([['H', H]]))).toBe(through(H));
        },
      ),
    );
  });

  it('gives branches that keep the size the same symbol, so that they can be added', () => {
    const [input, attributes] = [image(['N', 8, 'H', 'W']), conv2dAttributes({ stride: 2, padding: 1 })];
    const [dense] = conv2d.infer([input, image([8, 8, 3, 3]), null], attributes);
    const [pointwise] = conv2d.infer([input, image([8, 8, 1, 1]), null], conv2dAttributes({ stride: 2 }));
    expect(showShape(dense.shape)).toBe('[N,8,(H+1)//2,(W+1)//2]');
    expect(operators.add.infer([dense, pointwise], {})[0].shape).toEqual(dense.shape);
  });

  it('gives a transposed convolution of stride 1 the normal form too', () => {
    const attributes = convTranspose2dAttributes({ padding: 1 });
    const [{ shape }] = convTranspose2d.infer([image(['N', 3, 'H', 5]), image([3, 2, 4, 4]), null], attributes);
    expect(showShape(shape)).toBe('[N,2,H+1,6]');
  });
});

describe('windowExtent', () => {
  const windows = fc.record({
    extent: fc.integer({ min: 1, max: 60 }),
    kernel: fc.integer({ min: 1, max: 7 }),
    stride: fc.integer({ min: 1, max: 9 }),
    dilation: fc.integer({ min: 1, max: 3 }),
    shares: fc.tuple(fc.nat(), fc.nat()),
    ceilMode: fc.boolean(),
  });

  it('is the size that PyTorch computes by rounding up and dropping a window that begins in the border', () => {
    fc.assert(
      fc.property(windows, ({ extent, kernel, stride, dilation, shares, ceilMode }) => {
        const [before, after] = shares.map((share) => share % (Math.floor(kernel / 2) + 1));
        const rest = extent + before + after - dilation * (kernel - 1) - 1;
        let expected = Math.floor((rest + (ceilMode ? stride - 1 : 0)) / stride) + 1;
        if (ceilMode && (expected - 1) * stride >= extent + before) expected--;
        const window = {
          kernel: [kernel, 1],
          stride: [stride, 1],
          padding: [before, 0, after, 0],
          dilation: [dilation, 1],
          ceilMode,
        } as const;
        if (expected < 1) expect(() => windowExtent(extent, 0, window, 'test')).toThrow('does not fit');
        else expect(windowExtent(extent, 0, window, 'test')).toBe(expected);
        expect(bind(windowExtent(symbolic('H'), 0, window, 'test'), new Map([['H', extent]]))).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

function image(shape: readonly (Extent | string)[]): { dtype: 'float32'; shape: Shape } {
  return { dtype: 'float32', shape: shape.map((extent) => (typeof extent === 'string' ? symbolic(extent) : extent)) };
}

/**
 * The case with symbols for the batch and, where the operator allows, height and width; other inputs follow where their
 * extents are the same.
 */
function opened({ operator, inputs }: OperatorCase): { inputs: InputTypes; bindings: Map<string, number> } {
  const first = inputs[0]!;
  const names = first.length === 4 && onImages.includes(operator) ? ['N', '', 'H', 'W'] : first.length > 1 ? ['N'] : [];
  const broadcasts = operator === 'add' || operator === 'mul';
  const isNamed = (axis: number): boolean => Boolean(names[axis]) && !(broadcasts && first[axis] === 1);
  const renamed = (shape: readonly number[]): OpenShape =>
    shape.map((extent, i) => {
      const axis = i + first.length - shape.length;
      return isNamed(axis) && extent === first[axis] ? names[axis] : extent;
    });
  const follows = broadcasts || operator === 'concat';
  return {
    inputs: inputs.map((shape, i) => shape && image(i === 0 || follows ? renamed(shape) : shape)),
    bindings: new Map(names.flatMap((name, axis) => (isNamed(axis) ? [[name, first[axis]] as const] : []))),
  };
}

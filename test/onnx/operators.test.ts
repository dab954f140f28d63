/**
 * Every operator, exported in every operator set and with open extents, computed by ONNX Runtime, against the
 * reference.
 */
import { describe, expect, it } from 'vitest';
import { opsets } from '../../lib/onnx/opset.js';
import { toOnnx } from '../../lib/onnx/toOnnx.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import type { Tensor } from '../../lib/tensor/tensor.js';
import { attributesOf, caseLine, inputsOf, type OperatorCase, referenceOf } from '../cases/case.js';
import { runtimeBounds } from './bounds.js';
import {
  caseGraph,
  exportedCases,
  isEmpty,
  mergedGraph,
  type Open,
  openBatch,
  openImage,
  spelledCases,
} from './caseGraph.js';
import { hasOnnxRuntime, runModel, runSession, sessionOf } from './onnxRuntime.js';

describe.skipIf(!hasOnnxRuntime)('ONNX Runtime computes the same numbers', () => {
  it.each(opsets)('of every spelling in operator set %i', async (opset) => {
    await expectSame(spelledCases, opset);
    await expectSame(spelledCases, opset, openImage);
  });

  it.each([12, 17, 23])('of every case in operator set %i', async (opset) => {
    await expectSame(exportedCases, opset);
    await expectSame(exportedCases, opset, openBatch);
  });
});

async function expectSame(cases: readonly OperatorCase[], opset: number, open?: Open): Promise<void> {
  const { graph, feeds, merged } = mergedGraph(
    cases.filter((c) => !isRefusedByRuntime(c, opset)),
    'normal',
    open,
  );
  const outputs = await runModel(toOnnx(graph, { opset }), feeds);
  const faults = merged.flatMap(({ n, c, inputs }) => faultOf(c, inputs, outputs[`case${n}`]) ?? []);
  expect(faults).toEqual([]);
}

function faultOf(
  c: OperatorCase,
  inputs: readonly (Tensor | null)[],
  output: Tensor<'float32' | 'float64'>,
): string | undefined {
  const { expected, bounds } = expectationOf(c, inputs);
  if (String(output.shape) !== String(expected.shape))
    return `${caseLine(c)}: shape ${output.shape} for ${expected.shape}`;
  const beyond = output.data.findIndex((y, j) => !(Math.abs(y - expected.data[j]) <= bounds[j]));
  return beyond < 0
    ? undefined
    : `${caseLine(c)}: ${output.data[beyond]} for ${expected.data[beyond]} ± ${bounds[beyond]}`;
}

interface Expectation {
  readonly expected: Tensor<'float64'>;
  readonly bounds: Float64Array;
}
const expectations = new Map<OperatorCase, Expectation>();

/** The reference's answer, asked for once: inputs are the same each time. */
function expectationOf(c: OperatorCase, inputs: readonly (Tensor | null)[]): Expectation {
  const known = expectations.get(c);
  if (known !== undefined) return known;
  const [expected] = referenceOf(c, inputs);
  const made = { expected, bounds: runtimeBounds(c, inputs, expected) };
  expectations.set(c, made);
  return made;
}

/**
 * ONNX Runtime 1.30 wraps around (Pad in mode `wrap`, which convolutions do not use) no empty batch: "Unexpected mode
 * of 3".
 */
function isRefusedByRuntime(c: OperatorCase, opset: number): boolean {
  return opset >= 19 && c.operator === 'pad' && isEmpty(c) && (attributesOf(c) as { mode: string }).mode === 'circular';
}

describe.skipIf(!hasOnnxRuntime)('one file with open extents', () => {
  it.each([
    ['flatten', [[2, 3, 5, 4]], {}],
    ['flatten', [[2, 3, 5, 4]], { startAxis: 0, endAxis: 1 }],
    ['flatten', [[2, 3, 5, 4]], { startAxis: 2 }],
    ['flatten', [[2, 3, 5, 4]], { startAxis: 0 }],
    ['reshape', [[2, 3, 5, 4]], { shape: [0, -1, 4] }],
    ['reshape', [[2, 3, 5, 4]], { shape: [-1, 12] }],
    ['reshape', [[2, 3, 5, 4]], { shape: [-1, 6, 10] }],
    ['softmax', [[2, 5, 3, 17]], { axis: 1 }],
    ['softmax', [[2, 5, 3, 17]], { axis: 0 }],
    ['averagePool2d', [[2, 3, 5, 4]], { kernelSize: 3, stride: 2, padding: 1, ceilMode: true }],
    ['pad', [[2, 3, 5, 4]], { padding: [2, 1, 0, 3], mode: 'circular' }],
  ] as const)('%s %j %j serves any batch and any map', async (operator, [shape], options) => {
    const c: OperatorCase = { name: '', operator, inputs: [shape], options };
    for (const opset of [12, 19]) {
      for (const open of [openBatch, openImage]) {
        const session = await sessionOf(toOnnx(caseGraph(c, inputsOf(c, 'integers'), 0, open).graph, { opset }));
        const isMovement = operator === 'flatten' || operator === 'reshape';
        for (const N of isMovement && open === openBatch ? [0, 1, 3, 7] : [1, 3, 7]) {
          const map =
            open === openImage && operator !== 'reshape' ? [shape[2] + N, shape[3] + 2 * N] : [shape[2], shape[3]];
          const other = { ...c, inputs: [[N, shape[1], ...map]] };
          const inputs = inputsOf(other, 'normal');
          const { case0 } = await runSession(session, { [`case0.${operator}.0`]: inputs[0] as Tensor });
          const [expected] = referenceOf(other, inputs);
          if (isMovement || operator === 'pad') expect(isIdentical(case0, expected.to('float32'))).toBe(true);
          const bounds = runtimeBounds(other, inputs, expected);
          expect(case0.shape).toEqual(expected.shape);
          expect(case0.data.findIndex((y, j) => !(Math.abs(y - expected.data[j]) <= bounds[j]))).toBe(-1);
        }
        await session.release();
      }
    }
  });
});

describe.skipIf(!hasOnnxRuntime)('a model in another format', () => {
  it('of float16 computes each operator with at most four roundings to its 11 bits', async () => {
    const { graph, feeds, merged } = mergedGraph(spelledCases, 'integers');
    const outputs = await runModel(toOnnx(graph, { dtype: 'float16' }), feeds, 'float16');
    for (const { n, c, inputs } of merged) {
      const [expected] = referenceOf(c, inputs);
      const { data } = outputs[`case${n}`];
      const beyond = data.findIndex(
        (y, j) => !(Math.abs(y - expected.data[j]) <= 4 * 2 ** -11 * Math.max(1, Math.abs(expected.data[j]))),
      );
      expect(beyond, `${caseLine(c)}: ${data[beyond]} for ${expected.data[beyond]}`).toBe(-1);
    }
  });

  it('of float64 computes in float64, but for an ε of float32', async () => {
    // ONNX Runtime has no float64 kernels for convolutions, average pooling and hard sigmoids.
    const inDouble = [
      'add',
      'batchNorm',
      'concat',
      'flatten',
      'linear',
      'maxPool2d',
      'mul',
      'pad',
      'prelu',
      'relu',
      'relu6',
      'softmax',
      'tanh',
    ];
    const { graph, feeds, merged } = mergedGraph(
      spelledCases.filter(({ operator }) => inDouble.includes(operator)),
      'normal',
    );
    const outputs = await runModel(toOnnx(graph, { dtype: 'float64' }), feeds, 'float64');
    for (const { n, c, inputs } of merged) {
      const [expected] = referenceOf(c, inputs);
      // ε rounded to float32 is off by up to 2⁻²⁵ of itself, 3e-13 for 1e-5 and 3e-11 for 1e-3, beside variances of at
      // least 0.05.
      const bound = c.operator === 'batchNorm' ? 1e-9 : 1e-13;
      const largest = expected.data.reduce((a, b) => Math.max(a, Math.abs(b)), 1);
      const beyond = outputs[`case${n}`].data.findIndex((y, j) => !(Math.abs(y - expected.data[j]) <= bound * largest));
      expect(beyond, caseLine(c)).toBe(-1);
    }
  });
});

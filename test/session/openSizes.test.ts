/** Sizes that a model leaves open: skips that fit for some sizes only, and bins that depend on the size. */
import { describe, expect, it } from 'vitest';
import { compile, compileSync, type InputSpec, printGraph, toOnnx, trace } from '../../lib/index.js';
import type { Traceable } from '../../lib/ops/traceable.js';
import { difference } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { expectRefusal } from '../cases/refusal.js';
import { computeGraph, model } from '../graph/graphs.js';
import { hasOnnxRuntime, runSession, sessionOf } from '../onnx/onnxRuntime.js';

const generator = new Random(1);
const random = (...shape: number[]) => randn(shape, { generator });

/** Down twice, up once, beside what was skipped: a U-Net of one storey. */
const unet = model(
  { 'down.weight': random(4, 3, 3, 3), 'deep.weight': random(6, 4, 3, 3), 'up.weight': random(6, 4, 2, 2) },
  (f, parameter, x) => {
    const skipped = f.relu(f.conv2d(x, parameter('down.weight'), null, { stride: 2, padding: 1 }));
    const deep = f.relu(f.conv2d(skipped, parameter('deep.weight'), null, { stride: 2, padding: 1 }));
    const up = f.convTranspose2d(deep, parameter('up.weight'), null, { stride: 2 });
    return { joined: f.concat([skipped, up]), added: f.add(up, skipped) };
  },
);
const open: InputSpec = { images: ['N', 3, 'H', 'W'] };

/** Ours and ONNX Runtime's against the reference, at sizes that are odd, even and not square. */
async function expectRuns(traceable: Traceable, sizes: readonly (readonly [number, number])[]): Promise<void> {
  const graph = trace(traceable, open);
  const session = await compile(traceable, { inputs: open });
  const other = hasOnnxRuntime ? await sessionOf(toOnnx(traceable, { inputs: open, opset: 18 })) : undefined;
  const older = hasOnnxRuntime ? await sessionOf(toOnnx(traceable, { inputs: open, opset: 11 })) : undefined;
  for (const [H, W] of sizes) {
    const images = random(2, 3, H, W);
    const expected = computeGraph(graph, [images]);
    const found = [await session.run({ images })];
    for (const peer of [other, older])
      if (peer !== undefined) found.push((await runSession(peer, { images })) as never);
    for (const outputs of found)
      for (const [name, numbers] of Object.entries(expected))
        expect(difference(outputs[name], numbers).relative).toBeLessThan(2e-6);
  }
  await Promise.all([session.dispose(), other?.release(), older?.release()]);
}

describe('a skip that fits for some sizes only', () => {
  it('is a condition of the graph, as text', () => {
    const [, ...conditions] = printGraph(trace(unet, open)).split('\n').slice(0, 3);
    expect(conditions).toEqual(['  where (H+1)//2 = (H+3)//4*2', '  where (W+1)//2 = (W+3)//4*2']);
  });

  it('runs at all sizes that fit, here and exported', () =>
    expectRuns(unet, [
      [8, 12],
      [7, 3],
      [32, 19],
    ]));

  it('is refused at a size that does not, with both sides and sizes that would do', () => {
    const session = compileSync(unet, { inputs: open });
    expectRefusal(
      () => session.runSync({ images: random(1, 3, 13, 16) }),
      'ERR_SHAPE',
      'runSync: concat expects (H+1)//2 = 7 and (H+3)//4*2 = 8 to be equal; H = 12 or 15 would do',
    );
    session[Symbol.dispose]();
  });

  it('is refused when the model is read where it fits for no size', () => {
    const never = model({}, (f, _, x) => f.add(x, f.pad(x, { padding: [0, 0, 1, 0] })));
    expectRefusal(
      () => trace(never, open),
      'ERR_SHAPE',
      /^add: shapes \[N,3,H,W\] and \[N,3,H\+1,W\] do not broadcast/,
    );
  });

  it('is no condition where the sizes are known', () => {
    expect(trace(unet, { images: [1, 3, 16, 16] }).conditions).toEqual([]);
    expectRefusal(() => trace(unet, { images: [1, 3, 13, 16] }), 'ERR_SHAPE', /^concat: input 1 expects/);
  });
});

describe('adaptive pooling over an open size', () => {
  const pooled = model({ weight: random(4, 3, 3, 3) }, (f, parameter, x) => {
    const y = f.conv2d(x, parameter('weight'), null, { stride: 2, padding: 1 });
    return {
      means: f.adaptiveAveragePool2d(y, { outputSize: [3, 2] }),
      largest: f.adaptiveMaxPool2d(y, { outputSize: [1, 4] }),
      mean: f.adaptiveAveragePool2d(y, { outputSize: 1 }),
    };
  });

  it('has its bins planned when the size is known, here and exported', () =>
    expectRuns(pooled, [
      [12, 16],
      [7, 5],
      [3, 2],
      [1, 31],
    ]));
});

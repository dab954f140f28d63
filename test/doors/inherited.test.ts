/** What somebody put into Object.prototype is nobody's option, attribute or value. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as repconv from '../../lib/index.js';

const folder = mkdtempSync(join(tmpdir(), 'repconv-inherited-'));

/**
 * Names of options, of attributes, of what crosses the boundary to native code, and what libraries are known to add.
 */
const names = `
  stride padding dilation groups bias paddingMode outputPadding kernelSize ceilMode countIncludePad eps momentum affine
  trackRunningStats inplace negativeSlope numParameters init approximate dim startDim endDim axis startAxis endAxis mode
  outputSize numClasses deploy useSe branches blocks width reducedChannels keys shape strict copy savePath inputs outputs
  certificateBudget opset dtype metadata checksum limits fileBytes headerBytes precision threads maxBatch preprocess
  maxQueue isa conv foldBatchNorm from mean std signal out generator low high
  operation attributes label layout data isPrivate kind adaptive activation alpha residual poolThreads plain nhwc
  extend merge clone format equals size first last
`.match(/\w+/g) as string[];

/** What the package gives, from its first word to the last, as text. */
async function everything(): Promise<string> {
  repconv.manualSeed(1);
  const net = new repconv.Sequential(
    new repconv.RepVGGBlock(4, 4),
    new repconv.MobileOneBlock(4, 8, 3, { padding: 1, branches: 2 }),
    new repconv.MaxPool2d(2),
    new repconv.AvgPool2d(2),
    new repconv.LeakyReLU(),
    new repconv.AdaptiveAvgPool2d(1),
    new repconv.Flatten(),
    new repconv.Linear(8, 3),
    new repconv.Softmax({ dim: 1 }),
  ).eval();
  const x = repconv.randn([1, 4, 8, 8]);
  const inputs = { x: [1, 4, 8, 8] };
  const { model, report } = repconv.repconv(net, { inputs });
  const session = await repconv.compile(model, { inputs });
  const { output } = await session.run(x);
  const path = join(folder, 'dict.safetensors');
  await repconv.saveStateDict(path, model.stateDict());
  const loaded = await repconv.loadStateDict(path);
  const fresh = repconv.repconv(net).model;
  fresh.loadStateDict(loaded);
  const said = {
    print: String(net),
    graph: repconv.printGraph(repconv.trace(net, inputs)),
    report: report.blocks.map(({ path, status, branches, into, macs }) => ({ path, status, branches, into, macs })),
    forward: [...net.forward(x).data],
    output: [...output.data],
    again: [...fresh.forward(x).data],
    reference: [...repconv.referenceForward(net, x).data],
    onnx: Buffer.from(repconv.toOnnx(model, { inputs })).toString('base64'),
    describe: session.describe().map(({ label, operation, macs }) => ({ label, operation, macs })),
  };
  return JSON.stringify(said, null, 1);
}

describe('with names of ours in Object.prototype', () => {
  it.each([
    ['a number', 1],
    ['a function', () => 1],
    ['text', 'reflect'],
    ['an object', {}],
  ])('each of them %s, everything is as it was', async (_, value) => {
    const expected = await everything();
    const prototype = Object.prototype as unknown as Record<string, unknown>;
    const before = Object.getOwnPropertyDescriptors(prototype);
    let found: string;
    try {
      for (const name of names)
        Object.defineProperty(prototype, name, { value, configurable: true, writable: true, enumerable: false });
      found = await everything();
    } finally {
      for (const name of names) if (!Object.hasOwn(before, name)) delete prototype[name];
    }
    expect(found).toBe(expected);
  });
});

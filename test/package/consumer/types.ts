// A TypeScript user: what the README shows must type-check, and what is wrong must not. Nothing here needs more than
// the language: neither the types of Node nor those of browsers.
import {
  type BlockReport,
  Conv2d,
  ConvBlock,
  compile,
  compileSync,
  loadStateDict,
  Module,
  type Ops,
  RepconvError,
  randn,
  repconv,
  type Session,
  saveStateDict,
  Tensor,
  toOnnx,
} from 'repconv';

export async function classify(images: Tensor): Promise<Tensor> {
  const { model, report } = repconv(new ConvBlock(3, 8, { stride: 2 }).eval());
  const left: readonly BlockReport[] = report.blocks.filter(({ status }) => status === 'left');
  if (left.length > 0) throw new RepconvError('ERR_UNSUPPORTED', String(left[0]?.reason));
  const block: ConvBlock = model;
  const session: Session = await compile(block, { inputs: { images: ['N', 3, 24, 24] }, threads: 2 });
  try {
    const { output } = await session.run({ images });
    return output ?? new Tensor('float32', [1]);
  } finally {
    await session.dispose();
  }
}

/** A module of the user's own. */
export class Twice extends Module {
  private readonly conv = this.child('conv', new Conv2d(3, 3, 1));

  override compute<X>(f: Ops<X>, x: X): X {
    return f.relu(this.conv.compute(f, this.conv.compute(f, x)));
  }
}

export async function disposed(): Promise<Float32Array | undefined> {
  const options = { inputs: { x: [1, 3, 4, 4] } } as const;
  using here = compileSync(new Twice().eval(), options);
  await using session = await compile(new Twice().eval(), options);
  return here.queueDepth === 0 ? (await session.run(randn([1, 3, 4, 4]))).output?.data : undefined;
}

export async function files(): Promise<Uint8Array> {
  const model = new Twice();
  await saveStateDict('twice.safetensors', model.stateDict(), { metadata: { made: 'here' } });
  model.loadStateDict(await loadStateDict('twice.safetensors'));
  return toOnnx(model.eval(), { inputs: { x: [1, 3, 4, 4] }, opset: 17 });
}

// @ts-expect-error a shape is a list
randn(3);
// @ts-expect-error codes are a closed list
new RepconvError('ERR_UNKNOWN', '');
// @ts-expect-error an input needs a shape
compile(new ConvBlock(3, 3), { inputs: { images: 3 } });

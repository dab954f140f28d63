// A TypeScript user: what the README shows must type-check, and what is wrong must not.
import { type BlockReport, ConvBlock, compile, RepconvError, randn, repconv, type Session, Tensor } from 'repconv';

export async function classify(images: Tensor): Promise<Tensor> {
  const { model, report } = repconv(new ConvBlock(3, 8, { stride: 2 }).eval());
  const left: readonly BlockReport[] = report.blocks.filter(({ status }) => status === 'left');
  if (left.length > 0) throw new RepconvError('ERR_UNSUPPORTED', String(left[0]?.reason));
  const block: ConvBlock = model;
  const session: Session = await compile(block, { inputs: { images: ['N', 3, 24, 24] }, threads: 2 });
  try {
    const { output } = await session.run({ images }, { signal: AbortSignal.timeout(1000) });
    return output ?? new Tensor('float32', [1]);
  } finally {
    await session.dispose();
  }
}

// @ts-expect-error a shape is a list
randn(3);
// @ts-expect-error codes are a closed list
new RepconvError('ERR_UNKNOWN', '');
// @ts-expect-error an input needs a shape
compile(new ConvBlock(3, 3), { inputs: { images: 3 } });

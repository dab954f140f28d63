// A TypeScript user with the types of Node, or of browsers: their AbortSignal is what a run takes.
import { ConvBlock, compile, randn, type Tensor, toOnnx } from 'repconv';

export async function classifyInTime(): Promise<Tensor | undefined> {
  const session = await compile(new ConvBlock(3, 8).eval(), { inputs: { images: [1, 3, 24, 24] } });
  const { output } = await session.run(randn([1, 3, 24, 24]), { signal: AbortSignal.timeout(1000) });
  return output;
}

/** Bytes in memory of their own, not shared: what a request, a Blob and a file take. */
export const body: RequestInit = { body: toOnnx(new ConvBlock(3, 8).eval(), { inputs: { images: [1, 3, 24, 24] } }) };

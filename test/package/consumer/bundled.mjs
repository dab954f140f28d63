// A user's program that goes through a bundler: fold, compile, run, and what is loaded later than the rest.
import { ConvBlock, compile, difference, RepconvError, randn, repconv, toOnnx } from 'repconv';

async function main() {
  const block = new ConvBlock(4, 4).eval();
  const x = randn([1, 4, 8, 8]);
  const { model, report } = repconv(block);
  const session = await compile(model, { inputs: { x: [1, 4, 8, 8] } });
  const { output } = await session.run(x);
  await session.dispose();
  const [equal, exported] = [
    difference(output, block.forward(x)).relative < 1e-5,
    toOnnx(model, { inputs: { x: [1, 4, 8, 8] } }).length > 500,
  ];
  if (report.fused !== 1 || !equal || !exported) throw new Error(`${report.fused} ${equal} ${exported}`);
  console.log('bundled: ok');
}

main().catch((error) => {
  console.error(error instanceof RepconvError ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
});

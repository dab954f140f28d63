// A user of the installed package, through `import`.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Conv2d, compile, difference, Module, randn, repconv, Sequential, Tensor, toOnnx } from 'repconv';

assert.equal(createRequire(import.meta.url)('repconv').Tensor, Tensor);

const net = new Sequential(new Conv2d(3, 8, 3, { padding: 1 }), new Conv2d(8, 4, 1)).eval();
const x = randn([1, 3, 9, 7]);
const session = await compile(net, { inputs: { x: [1, 3, 9, 7] } });
const { output } = await session.run(x);
assert.ok(difference(output, net.forward(x)).relative < 1e-5);
assert.ok(repconv(net).model instanceof Module);
await session.dispose();
// The one path through a dependency.
assert.ok(toOnnx(net, { inputs: { x: [1, 3, 9, 7] } }).length > 1000);
console.log('import: compile, run, ONNX: ok');

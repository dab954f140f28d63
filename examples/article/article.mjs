/**
 * The script of "Implementing re-parameterized convolution by hand", line for line: print a block, export it, fuse it,
 * export it again.
 *
 *     node examples/article/article.mjs        writes model.onnx and rep_model.onnx into the current folder
 *
 * Two lines are not the article's: a few batches in training mode, since folding fresh batch norms proves nothing, and
 * eval() before anything is exported or folded. docs/article.md has the whole list of differences.
 */
import { ConvBlock, exportOnnx, randn, repconv } from 'repconv';

const model = new ConvBlock(32, 32); //                                  model = ConvBlock(32, 32)
for (let batch = 0; batch < 4; batch++) model.forward(randn([8, 32, 24, 24]));
model.eval();
console.log(model); //                                                   print(model)

const x = randn([1, 32, 24, 24]); //                                     x = torch.randn(1, 32, 24, 24)
const options = { inputs: { images: x.shape }, outputs: ['output'], opset: 12 };
//                       torch.onnx.export(model, x, 'model.onnx', opset_version=12, …)
await exportOnnx(model, 'model.onnx', options);

const { model: repModel, report } = repconv(model); //                   rep_model = repconv(model)
console.log(repModel); //                                                print(rep_model)
//                torch.onnx.export(rep_model, x, 'rep_model.onnx', opset_version=12, …)
await exportOnnx(repModel, 'rep_model.onnx', options);

// What the article shows in two pictures, in words, with the proof.
for (const { branches, into, parameters, certificate } of report.blocks) {
  console.log(
    `${branches} → ${into}: ${parameters.before} → ${parameters.after} parameters, largest difference ${certificate.relative.toExponential(1)}`,
  );
}
const [before, after] = [model.forward(x), repModel.forward(x)];
const difference = Math.max(...before.data.map((value, i) => Math.abs(value - after.data[i])));
console.log(
  `largest output ${Math.max(...before.data).toPrecision(3)}, largest difference on a random image ${difference.toExponential(1)}`,
);

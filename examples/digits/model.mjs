// The digits network as modules, and its files. What `digits.json` says in words is written here once more, in code.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConvBlock, Linear, loadStateDict, Module, Sequential, Tensor } from 'repconv';

const { mean, std } = JSON.parse(readFileSync(new URL('digits.json', import.meta.url), 'utf8'));

/** Seven blocks, the mean of each channel, one linear layer. Input [N, 1, 8, 8], output [N, 10]. */
export class Digits extends Module {
  /** @param {{ deploy?: boolean }} [options] deploy: makes the fused form, one convolution for each block */
  constructor({ deploy = false } = {}) {
    super();
    this.features = this.child(
      'features',
      new Sequential(
        new ConvBlock(1, 16, { deploy }),
        new ConvBlock(16, 16, { deploy }),
        new ConvBlock(16, 32, { stride: 2, deploy }),
        new ConvBlock(32, 32, { groups: 2, deploy }),
        new ConvBlock(32, 32, { deploy }),
        new ConvBlock(32, 64, { stride: 2, deploy }),
        new ConvBlock(64, 64, { deploy }),
      ),
    );
    this.head = this.child('head', new Linear(64, 10));
  }

  compute(f, x) {
    return this.head.compute(f, f.flatten(f.globalAveragePool2d(this.features.compute(f, x))));
  }
}

/** The network as PyTorch trained it. */
export async function loadDigits(path = fileURLToPath(new URL('digits_train.safetensors', import.meta.url))) {
  const model = new Digits();
  model.loadStateDict(await loadStateDict(path));
  return model.eval();
}

/**
 * 500 images, prepared as for training: `images` [500, 1, 8, 8]; what they show: `labels`; what PyTorch computes for
 * them: `logits` [500, 10].
 */
export async function loadTestSet() {
  const tensors = await loadStateDict(fileURLToPath(new URL('digits_test.safetensors', import.meta.url)));
  const { data, shape } = tensors.get('images');
  const images = new Tensor(
    'float32',
    [shape[0], 1, 8, 8],
    Float32Array.from(data, (pixel) => (pixel / 16 - mean) / std),
  );
  return { images, labels: [...tensors.get('labels').data], logits: tensors.get('logits') };
}

/** The digit with the largest logit, for each image. */
export function predictions({ data, shape: [images, classes] }) {
  return Array.from({ length: images }, (_, i) => {
    const logits = data.subarray(i * classes, (i + 1) * classes);
    return logits.indexOf(Math.max(...logits));
  });
}

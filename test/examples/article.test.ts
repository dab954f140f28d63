/** The article's script, as a user runs it: in a process of its own, against the built package, in an empty folder. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { difference } from '../../lib/tensor/compare.js';
import { Random, randn } from '../../lib/tensor/random.js';
import { operatorsOf } from '../onnx/decoded.js';
import { hasOnnxRuntime, runModel } from '../onnx/onnxRuntime.js';

const script = fileURLToPath(new URL('../../examples/article/article.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'repconv-article-'));
let output = '';

beforeAll(() => {
  output = execFileSync(process.execPath, [script], { cwd: folder, encoding: 'utf8' });
});
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string): Uint8Array => readFileSync(join(folder, name));

describe("the article's script", () => {
  it('prints the block in both forms as PyTorch does', () => {
    const norm = 'BatchNorm2d(32, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)';
    expect(output.split('\n').slice(0, 18)).toEqual([
      'ConvBlock(',
      '  (identity): Identity()',
      '  (relu): ReLU()',
      `  (rbr_identity): ${norm}`,
      '  (conv3_3): Sequential(',
      '    (conv): Conv2d(32, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))',
      `    (bn): ${norm}`,
      '  )',
      '  (conv1_1): Sequential(',
      '    (conv): Conv2d(32, 32, kernel_size=(1, 1), stride=(1, 1))',
      `    (bn): ${norm}`,
      '  )',
      ')',
      'ConvBlock(',
      '  (identity): Identity()',
      '  (relu): ReLU()',
      '  (rbr_reparam): Conv2d(32, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))',
      ')',
    ]);
  });

  it('says what became what, and that nothing changed', () => {
    const [report, measured] = output.trimEnd().split('\n').slice(18);
    expect(report).toMatch(/^3×3 \+ 1×1 \+ identity → 3×3: 10496 → 9248 parameters, largest difference \d\.\de-\d+$/);
    const [, largest, found] =
      /^largest output ([\d.]+), largest difference on a random image ([\d.e+-]+)$/.exec(measured) ?? [];
    expect(Number(found)).toBeLessThan(2e-6 * Number(largest));
  });

  it('writes two models and nothing else', () => {
    expect(readdirSync(folder).sort()).toEqual(['model.onnx', 'rep_model.onnx']);
  });

  it('exports three branches, then one convolution', () => {
    expect(operatorsOf(file('model.onnx'))).toBe(
      'Conv BatchNormalization Conv BatchNormalization Add BatchNormalization Add Relu',
    );
    expect(operatorsOf(file('rep_model.onnx'))).toBe('Conv Relu');
  });

  it.skipIf(!hasOnnxRuntime)('exports two models that ONNX Runtime finds equal', async () => {
    const images = randn([1, 32, 24, 24], { generator: new Random(3) });
    const [before, after] = [
      await runModel(file('model.onnx'), { images }),
      await runModel(file('rep_model.onnx'), { images }),
    ];
    expect(Object.keys(before)).toEqual(['output']);
    expect(difference(after.output, before.output).relative).toBeLessThan(2e-6);
  });
});

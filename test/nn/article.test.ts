/**
 * The eight faults of the article's block, one by one: what each costs on data, and that ours does not have it.
 *
 * Each fault is put into an otherwise right block. The numbers are those of docs/article.md: a test fails when the page
 * says another.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  ConvBlock,
  createRepVGG,
  type Module,
  manualSeed,
  Random,
  ReparamBlock,
  randn,
  referenceForward,
  repconv,
} from '../../lib/index.js';
import type { FoldedBlock } from '../../lib/nn/blocks/reparamBlock.js';
import { referenceOps as f } from '../../lib/ops/reference.js';
import { difference, isIdentical } from '../../lib/tensor/compare.js';
import { type AnyTensor, Tensor, zeros } from '../../lib/tensor/tensor.js';
import { refusalOf } from '../formats/refusal.js';
import { trained } from './trained.js';

type T = Tensor<'float64'>;

const page = readFileSync(new URL('../../docs/article.md', import.meta.url), 'utf8');
afterEach(() => vi.restoreAllMocks());

/** The section of one fault on the page. */
function section(fault: number): string {
  const found = page.split(/^## /m).find((part) => part.startsWith(`${fault}. `));
  if (found === undefined) throw new Error(`docs/article.md has no section ${fault}`);
  return found;
}

/** The page's section of this fault has these numbers, to three digits, or two where they are small. */
function expectDocumented(fault: number, ...values: number[]): void {
  const texts = values.map((value) => `**${value < 1e-3 ? value.toExponential(1) : value.toPrecision(3)}**`);
  const shown = section(fault).match(/\*\*[\d.e-]+\*\*/g);
  expect(shown).toEqual(expect.arrayContaining(texts));
}

/** The article's input: one image of 32 channels, 24×24. */
const image = (channels = 32, size = 24): T =>
  randn([1, channels, size, size], { generator: new Random(1), dtype: 'float64' });

/** A trained block, and its parts as the article calls them. */
function blockAndParts(...[inChannels, outChannels, options]: ConstructorParameters<typeof ConvBlock>) {
  const block = trained(new ConvBlock(inChannels, outChannels, options));
  const children = new Map(block.namedChildren());
  const part =
    (name: string) =>
    (x: T): T =>
      (children.get(name) as Module).compute(f, x);
  return { block, dense: part('conv3_3'), pointwise: part('conv1_1'), norm: part('rbr_identity') };
}

const linear = (block: ConvBlock, x: T): T => block.linear(f, x);
const sum = (...values: T[]): T => values.reduce((a, b) => f.add(a, b));
const largest = (x: AnyTensor): number => difference(x, zeros(x.shape, 'float64')).absolute;
const minus = (a: T, b: T): T =>
  new Tensor(
    'float64',
    a.shape,
    a.data.map((value, i) => value - b.data[i]),
  );

/** γ/√(σ² + ε) of a batch norm of the block. */
function scaleOf(block: ConvBlock, norm: string): Float64Array {
  const numbers = (key: string): Float64Array => block.stateDict().get(`${norm}.${key}`)!.to('float64').data;
  return numbers('weight').map((weight, c) => weight / Math.sqrt(numbers('running_var')[c] + 1e-5));
}

/** Largest difference on the outermost ring of pixels, and inside. */
function ringAndInside(a: T, b: T): [number, number] {
  const [, , H, W] = a.shape;
  const found: [number, number] = [0, 0];
  minus(a, b).data.forEach((value, i) => {
    const [y, x] = [Math.floor(i / W) % H, i % W];
    const where = y === 0 || x === 0 || y === H - 1 || x === W - 1 ? 0 : 1;
    found[where] = Math.max(found[where], Math.abs(value));
  });
  return found;
}

it('the table of the page repeats what its sections say', () => {
  const rows = [...page.matchAll(/^\| (\d) \| .* \| (.*) \|$/gm)];
  expect(rows.map(([, fault]) => Number(fault))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  for (const [, fault, effect] of rows)
    for (const number of effect.match(/\d+\.\d+/g) ?? [])
      expect(section(Number(fault)), effect).toContain(`**${number}**`);
});

describe('fault 1: forward adds the bare input where a batch norm of it is folded', () => {
  it('makes the fused block another function, by max|x − bn(x)|', () => {
    const { block, dense, pointwise, norm } = blockAndParts(32, 32);
    const x = image();
    const error = difference(sum(dense(x), pointwise(x), x), linear(block, x)).absolute;
    expect(error).toBeCloseTo(largest(minus(x, norm(x))), 12);
    expectDocumented(1, error, largest(linear(block, x)));
  });

  it('stays unnoticed with fresh statistics, where batch norm is nearly the identity', () => {
    const fresh = new Map(new ConvBlock(32, 32).eval().namedChildren()).get('rbr_identity') as Module;
    const x = image();
    const error = difference(x, fresh.compute(f, x)).relative;
    expect(error).toBeCloseTo(1 - 1 / Math.sqrt(1 + 1e-5), 8);
    expectDocumented(1, error);
  });

  it('fails where input and output differ in channels, or spreads the one channel over all', () => {
    const [wider, gray] = [blockAndParts(32, 48), blockAndParts(1, 48)];
    expect(refusalOf(() => sum(wider.dense(image()), image()))).toMatchObject({ code: 'ERR_SHAPE' });
    const x = image(1);
    expect(difference(sum(gray.dense(x), gray.pointwise(x), x), linear(gray.block, x)).absolute).toBeCloseTo(
      largest(x),
      12,
    );
    expectDocumented(1, largest(x));
  });

  it('is mended: the sum has the batch norm that is folded, and none where the shapes differ', () => {
    const { block, dense, pointwise, norm } = blockAndParts(32, 32);
    const x = image();
    expect(isIdentical(linear(block, x), sum(dense(x), pointwise(x), norm(x)))).toBe(true);
    expect(difference(linear(repconv(block).model, x), linear(block, x)).relative).toBeLessThan(2e-7);
    const wider = blockAndParts(32, 48);
    expect(isIdentical(linear(wider.block, x), sum(wider.dense(x), wider.pointwise(x)))).toBe(true);
  });
});

describe('fault 2: the 1×1 branch has no stride', () => {
  it('fails at stride 2', () => {
    const [{ dense }, { pointwise }] = [blockAndParts(32, 32, { stride: 2 }), blockAndParts(32, 32)];
    const refusal = refusalOf(() => sum(dense(image()), pointwise(image())));
    expect(refusal.code).toBe('ERR_SHAPE');
    expect(section(2)).toContain(refusal.message);
  });

  it('gives a map of the wrong size, without a word, where the right one has a single pixel', () => {
    const [{ block, dense }, { pointwise }] = [blockAndParts(32, 32, { stride: 2 }), blockAndParts(32, 32)];
    const x = image(32, 2);
    expect(sum(dense(x), pointwise(x)).shape).toEqual([1, 32, 2, 2]);
    expect(linear(block, x).shape).toEqual([1, 32, 1, 1]);
  });

  it('is mended: both branches take every second pixel', () => {
    for (const size of [1, 2, 13, 24]) {
      const { block } = blockAndParts(32, 32, { stride: 2 });
      const x = image(32, size);
      expect(linear(block, x).shape.slice(2)).toEqual([Math.ceil(size / 2), Math.ceil(size / 2)]);
      expect(difference(linear(repconv(block).model, x), linear(block, x)).relative).toBeLessThan(2e-7);
    }
  });
});

describe('fault 3: groups never reach the branches', () => {
  it('makes their kernels several times too large', () => {
    const weights = (groups: number): number =>
      new ConvBlock(32, 32, { groups }).stateDict().get('conv3_3.conv.weight')!.size;
    expect(section(3)).toContain(`${weights(1)} weights instead of ${weights(4)}`);
  });

  it('makes the identity kernel, which knows the groups, spread over all channels when it has one', () => {
    const { block } = blockAndParts(32, 32);
    const x = image();
    const kernels = block.fold() as FoldedBlock;
    const [dense, pointwise] = kernels.terms.map((term) => term!.kernel.to('float64'));
    const centre = new Tensor('float64', [32, 32, 3, 3]);
    pointwise.data.forEach((value, i) => {
      centre.data[9 * i + 4] = value;
    });
    const identityOf = (inputs: number): T => {
      const kernel = new Tensor('float64', [32, inputs, 3, 3]);
      scaleOf(block, 'rbr_identity').forEach((scale, o) => {
        kernel.data[(o * inputs + (o % inputs)) * 9 + 4] = scale;
      });
      return kernel;
    };
    const fused = (inputs: number): T =>
      f.conv2d(
        x,
        sum(dense.reshape([32, 32, 3, 3]), centre, identityOf(inputs)),
        new Tensor('float64', [32], kernels.map.bias),
        {
          padding: 1,
        },
      );
    expect(difference(fused(32), linear(block, x)).relative).toBeLessThan(1e-13);
    expect(refusalOf(() => fused(8)).message).toContain('[32,32,3,3] and [32,8,3,3] do not broadcast');
    const error = difference(fused(1), linear(block, x)).absolute;
    expectDocumented(3, error, largest(linear(block, x)));
  });

  it('is mended: branches, identity and fused convolution have the groups', () => {
    for (const groups of [2, 4, 32]) {
      const { block } = blockAndParts(32, 32, { groups });
      const { model } = repconv(block);
      expect(model.stateDict().get('rbr_reparam.weight')?.shape).toEqual([32, 32 / groups, 3, 3]);
      expect(difference(linear(model, image()), linear(block, image())).relative).toBeLessThan(2e-7);
    }
  });
});

describe('fault 4: the fold drops the bias of the convolutions', () => {
  it('shifts every channel by Σ γ·b/σ', () => {
    const { block } = blockAndParts(32, 32);
    const { kernel, bias } = block.getEquivalentKernelBias();
    const lost = new Float64Array(32);
    for (const branch of ['conv3_3', 'conv1_1']) {
      const own = block.stateDict().get(`${branch}.conv.bias`)!.to('float64').data;
      scaleOf(block, `${branch}.bn`).forEach((scale, c) => {
        lost[c] += scale * own[c];
      });
    }
    const x = image();
    const dropped = bias.to('float64').data.map((value, c) => value - lost[c]);
    const fused = f.conv2d(x, kernel.to('float64'), new Tensor('float64', [32], dropped), { padding: 1 });
    const error = difference(fused, linear(block, x)).absolute;
    expect(error).toBeCloseTo(largest(new Tensor('float64', [32], lost)), 6);
    expectDocumented(4, error, largest(linear(block, x)));
  });

  it('is mended: it is folded like everything else', () => {
    const { block } = blockAndParts(32, 32);
    expect(difference(linear(repconv(block).model, image()), linear(block, image())).relative).toBeLessThan(2e-7);
  });
});

describe('fault 5: the padding mode reaches only the deploy constructor, and fusing drops it', () => {
  it('makes the two forms differ at the border, and there alone', () => {
    const { block } = blockAndParts(32, 32, { paddingMode: 'reflect' });
    const { kernel, bias } = block.getEquivalentKernelBias();
    const x = image();
    const [ring, inside] = ringAndInside(
      f.conv2d(x, kernel.to('float64'), bias.to('float64'), { padding: 1 }),
      linear(block, x),
    );
    expect(inside).toBeLessThan(2e-6);
    expectDocumented(5, ring, inside, largest(linear(block, x)));
  });

  it.each(['reflect', 'replicate', 'circular'] as const)(
    'is mended for %s: branches and fused convolution continue the image alike',
    (paddingMode) => {
      const { block } = blockAndParts(32, 32, { paddingMode });
      const { model } = repconv(block);
      expect(String(model)).toContain(`padding_mode=${paddingMode}`);
      expect(difference(linear(model, image()), linear(block, image())).relative).toBeLessThan(2e-7);
    },
  );
});

describe('fault 6: the deploy constructor fixes stride 1 and groups 1', () => {
  it('gives a map of another size from the same numbers, or cannot take them', () => {
    const { kernel, bias } = blockAndParts(32, 32, { stride: 2 }).block.getEquivalentKernelBias();
    const asWritten = new ConvBlock(32, 32, { deploy: true });
    asWritten.loadStateDict({ 'rbr_reparam.weight': kernel, 'rbr_reparam.bias': bias });
    expect(linear(asWritten, image()).shape).toEqual([1, 32, 24, 24]);
    expect(section(6)).toContain('24×24 where 12×12 is right');

    const grouped = blockAndParts(32, 32, { groups: 4 }).block.getEquivalentKernelBias();
    expect(() =>
      asWritten.loadStateDict({ 'rbr_reparam.weight': grouped.kernel, 'rbr_reparam.bias': grouped.bias }),
    ).toThrow('rbr_reparam.weight expects [32,32,3,3], got [32,8,3,3]');
    expect(section(6)).toContain('expects [32,32,3,3], got [32,8,3,3]');
  });

  it('is mended: with the same options, deploy: true takes the fused numbers and computes the same', () => {
    for (const options of [{ stride: 2 }, { groups: 4 }, { stride: 2, groups: 2, paddingMode: 'circular' }] as const) {
      const fused = repconv(blockAndParts(32, 32, options).block).model;
      const fresh = new ConvBlock(32, 32, { ...options, deploy: true });
      fresh.loadStateDict(fused.stateDict());
      expect(isIdentical(referenceForward(fresh, image()), referenceForward(fused, image()))).toBe(true);
    }
  });
});

describe('fault 7: nothing checks for evaluation mode', () => {
  it('folds statistics that the block, in training mode, does not use', () => {
    manualSeed(1);
    const block = new ConvBlock(32, 32);
    const x = image();
    const inTraining = linear(block, x);
    const error = difference(linear(repconv(block).model, x), inTraining);
    expectDocumented(7, error.absolute, largest(inTraining));
  });

  it('is mended: in place it is refused, and a copy is put into evaluation mode, which the report says', () => {
    const block = trained(new ConvBlock(32, 32)).train();
    expect(refusalOf(() => repconv(block, { copy: false }))).toMatchObject({ code: 'ERR_TRAIN_MODE' });
    expect(refusalOf(() => block.switchToDeploy())).toMatchObject({ code: 'ERR_TRAIN_MODE' });
    expect(block.deploy).toBe(false);
    const { model, report } = repconv(block);
    expect(report.switchedToEval).toBe(true);
    expect(difference(linear(model, image()), linear(block.eval(), image())).relative).toBeLessThan(2e-7);
  });
});

describe('fault 8: constructing prints', () => {
  it('is mended: neither constructing nor fusing writes a line', () => {
    const writes = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write'), vi.spyOn(console, 'log')];
    repconv(new ConvBlock(4, 4));
    const network = createRepVGG('repvgg-a0', { numClasses: 2 });
    for (const write of writes) expect(write).not.toHaveBeenCalled();
    const blocks = [...network.namedModules()].filter(([, module]) => module instanceof ReparamBlock);
    expect(section(8)).toContain(`${blocks.length} lines for a network as deep as RepVGG-A0`);
  });
});

/** Certificates: what they find is what there is, wherever it is. */
import { describe, expect, it } from 'vitest';
import { compareAnswersNatively } from '../../lib/engine/answers.js';
import { type Certificate, type CertificateOptions, certify } from '../../lib/reparam/certificate.js';
import type { ConvMap } from '../../lib/reparam/convMap.js';
import { compareAnswersPlainly } from '../../lib/reparam/plainAnswers.js';
import { isReason } from '../../lib/reparam/reason.js';
import { Random } from '../../lib/tensor/random.js';
import { Tensor, zeros } from '../../lib/tensor/tensor.js';
import { compute, folded, sentenceOfMap } from './folding.js';
import { conv, norm, type Part, pad, pool, type Sentence, sentenceOf, sum, transposed } from './parts.js';

interface Folded {
  readonly before: Sentence;
  readonly map: ConvMap;
}

function fold(part: Part, channels: number, seed = 1): Folded {
  const { sentence } = sentenceOf(part, channels, new Random(seed));
  const map = folded(sentence, channels);
  if (isReason(map)) throw new Error(String(map));
  return { before: sentence, map };
}

/** Compares the branches with a map, which may have been tampered with. */
function certified(
  { before, map }: Folded,
  after: ConvMap | Sentence = map,
  options: Partial<CertificateOptions> = {},
): Certificate {
  return certify(before, typeof after === 'function' ? after : sentenceOfMap(after), {
    channels: map.inChannels,
    reach: map.axes.map(({ dilation, kernel }) => dilation * (kernel - 1) + 1),
    stride: map.axes.map(({ stride }) => stride),
    ...options,
  });
}

/** The map with one number of its kernel changed, and by how much. */
function withKernel(map: ConvMap, index: number, change: (value: number) => number): { map: ConvMap; by: number } {
  const kernel = map.kernel.clone();
  kernel.data[index] = change(kernel.data[index]);
  return { map: { ...map, kernel }, by: Math.abs(kernel.data[index] - map.kernel.data[index]) };
}

const blocks: readonly [string, Part, number][] = [
  ['RepVGG', sum([conv(3, { padding: 1, bias: false }), norm()], [conv(1, { bias: false }), norm()], norm()), 4],
  ['RepVGG of stride 2', sum([conv(3, { padding: 1, stride: 2, out: 5 }), norm()], conv(1, { stride: 2, out: 5 })), 3],
  ['in 2 groups', sum(conv(3, { padding: 1, groups: 2 }), conv(1, { groups: 2 }), []), 4],
  ['depthwise, 5×5 + 3×3', sum(conv(5, { padding: 2, groups: 3 }), conv(3, { padding: 1, groups: 3 })), 3],
  ['even and asymmetric', sum(conv([4, 2], { padding: [1, 0, 2, 1] }), conv([1, 2], { padding: [0, 0, 0, 1] }), []), 3],
  ['dilated', sum(conv(3, { padding: 2, dilation: 2 }), conv(1)), 2],
  ['with a reflected border', sum(conv(3, { padding: 1, paddingMode: 'reflect' }), []), 3],
  ['with a circular border', [norm(), conv(3, { padding: [1, 0, 0, 1], paddingMode: 'circular' })], 3],
  ['with an average pool', sum(conv(3, { padding: 1 }), pool({ kernelSize: 3, stride: 1, padding: 1 })), 3],
  ['with a Pad step', sum([pad({ padding: 1, mode: 'replicate' }), conv(3)], conv(1)), 2],
  [
    'with scales and shifts',
    sum([{ kind: 'mul', shape: 'scalar' }], [conv(3, { padding: 1 }), { kind: 'add', shape: 'channel' }]),
    3,
  ],
  ['transposed', [sum(transposed(4, { stride: 2, padding: 1, groups: 2 }), transposed(2, { stride: 2 })), norm()], 4],
  ['of stride 3', sum(conv(3, { stride: 3 }), conv([3, 3], { stride: 3, groups: 2 })), 4],
];

describe.each(blocks)('the certificate of a block %s', (_, part, channels) => {
  it('is complete, and finds a few roundings of float64', () => {
    const certificate = certified(fold(part, channels));
    expect(certificate.complete).toBe(true);
    expect(certificate.samplesPerPosition).toBe(channels);
    expect(certificate.relative).toBeLessThanOrEqual(1e-14);
  });

  it('sees a change of 10⁻⁶ of any one weight, as large as it is', () => {
    const block = fold(part, channels);
    const exact = certified(block).absolute;
    for (let i = 0; i < block.map.kernel.size; i += 1 + (block.map.kernel.size > 60 ? i % 3 : 0)) {
      if (block.map.kernel.data[i] === 0) continue;
      const { map, by } = withKernel(block.map, i, (value) => value * (1 + 1e-6));
      expect(Math.abs(certified(block, map).absolute - by), `weight ${i}`).toBeLessThanOrEqual(exact + 1e-15);
    }
  });

  it('sees a weight where there should be none', () => {
    const block = fold(part, channels);
    const index = block.map.kernel.size - 1;
    const { map, by } = withKernel(block.map, index, (value) => value + 1e-7);
    expect(certified(block, map).absolute).toBeGreaterThanOrEqual(0.99 * by);
  });

  it('sees a change of any one bias', () => {
    const block = fold(part, channels);
    block.map.bias.forEach((_, o) => {
      const bias = block.map.bias.map((value, i) => (i === o ? value + 1e-9 : value));
      expect(certified(block, { ...block.map, bias }).absolute).toBeGreaterThanOrEqual(0.99e-9);
    });
  });

  it('is what plain loops over the same steps find, whole and on a budget', () => {
    const block = fold(part, channels);
    const { map } = withKernel(block.map, 0, (value) => value + 1e-3);
    for (const budget of [1e8, 1]) {
      const [native, plain] = [compareAnswersNatively, compareAnswersPlainly].map((compare) =>
        certified(block, map, { budget, compare }),
      );
      // Bits but for chained convolutions: their products and sums are rounded together where the processor can.
      expect(Math.abs(native.absolute - plain.absolute)).toBeLessThanOrEqual(
        1e-15 * (native.absolute / native.relative),
      );
      expect({ ...native, absolute: 0, relative: 0 }).toEqual({ ...plain, absolute: 0, relative: 0 });
    }
  });

  it('finds exactly what all impulses find, computed by the reference', () => {
    const block = fold(part, channels);
    const { map } = withKernel(block.map, 1, (value) => 1.25 * value + 0.01);
    const found = certified(block, map);
    expect(found.absolute).toBeCloseTo(largestDifference(block.before, sentenceOfMap(map), channels, found.map), 12);
  });
});

describe('a certificate sees', () => {
  const block = fold(sum(conv(3, { padding: 1 }), conv(1), []), 3);

  it('a border that is not continued as it was', () => {
    const reflecting = fold(sum(conv(3, { padding: 1, paddingMode: 'reflect' }), conv(1)), 3);
    expect(certified(reflecting, { ...reflecting.map, paddingMode: 'zeros' }).relative).toBeGreaterThan(0.01);
    expect(certified(reflecting, { ...reflecting.map, paddingMode: 'replicate' }).relative).toBeGreaterThan(0.01);
    expect(certified(reflecting, { ...reflecting.map, paddingMode: 'circular' }).relative).toBeGreaterThan(0.01);
  });

  it('a bias that the border of the second convolution should have seen', () => {
    const { sentence } = sentenceOf([conv(1), conv(3, { padding: 1 })], 3, new Random(1));
    const { sentence: unpadded } = sentenceOf([conv(1), conv(3)], 3, new Random(1));
    const wrong = { ...(folded(unpadded, 3) as ConvMap), padding: [1, 1, 1, 1] as const };
    expect(certified({ before: sentence, map: wrong }).relative).toBeGreaterThan(0.01);
  });

  it('a mean that leaves its border out', () => {
    const options = { kernelSize: 3, stride: 1, padding: 1 };
    const { map } = fold(pool(options), 2);
    const { sentence } = sentenceOf(pool({ ...options, countIncludePad: false }), 2, new Random(1));
    expect(certified({ before: sentence, map }).relative).toBeGreaterThan(0.01);
  });

  it('a kernel that lies one pixel off', () => {
    const even = fold(sum(conv(4, { padding: [1, 1, 2, 2] }), []), 3);
    const axes = even.map.axes.map((axis) => ({ ...axis, before: 2, after: 1 }));
    expect(certified(even, { ...even.map, axes }).relative).toBeGreaterThan(0.01);
  });

  it('rows and columns exchanged', () => {
    const { map } = block;
    const kernel = map.kernel.clone();
    for (let i = 0; i < kernel.size; i++)
      kernel.data[i] = map.kernel.data[i - (i % 9) + 3 * (i % 3) + (Math.floor(i / 3) % 3)];
    expect(certified(block, { ...map, kernel }).relative).toBeGreaterThan(0.01);
  });

  it('an output of another size, even where nothing is in it', () => {
    const strided = fold(conv(3, { padding: 1, stride: 2, bias: false }), 2);
    const padded = { ...strided.map, axes: strided.map.axes.map((axis) => ({ ...axis, after: 2 })) };
    expect(certified(strided, padded).absolute).toBeGreaterThan(0);
    const nothing: Sentence = (f, x) => f.conv2d(x, f.lift(zeros([1, 1, 3, 3])), null);
    const wider: Sentence = (f, x) => f.conv2d(x, f.lift(zeros([1, 1, 3, 3])), null, { padding: [0, 0, 1, 0] });
    expect(certify(nothing, wider, { channels: 1, reach: [3, 3], stride: [1, 1] }).absolute).toBe(Infinity);
  });

  it.each([NaN, Infinity, -Infinity])('%s in a weight or in a bias', (value) => {
    for (const index of [0, 13, block.map.kernel.size - 1]) {
      const found = certified(block, withKernel(block.map, index, () => value).map);
      expect([found.absolute, found.relative]).toEqual([Infinity, Infinity]);
    }
    const found = certified(block, { ...block.map, bias: block.map.bias.map((b, o) => (o === 1 ? value : b)) });
    expect([found.absolute, found.relative]).toEqual([Infinity, Infinity]);
  });

  it.each([NaN, Infinity])('%s on both sides, which proves nothing', (value) => {
    const broken: Sentence = (f, x) =>
      f.conv2d(x, f.lift(new Tensor('float64', [1, 1, 1, 1], Float64Array.of(value))), null);
    const found = certify(broken, broken, { channels: 1, reach: [1, 1], stride: [1, 1] });
    expect([found.absolute, found.relative]).toEqual([Infinity, Infinity]);
  });

  it('that nothing at all differs', () => {
    const certificate = certified(block, block.before);
    expect([certificate.absolute, certificate.relative]).toEqual([0, 0]);
  });
});

describe('a certificate on a budget', () => {
  const block = fold(sum([conv(3, { padding: 1, out: 24 }), norm()], conv(1, { out: 24 })), 32);

  it('says that it is not complete, and still drives every channel at every kind of border', () => {
    const certificate = certified(block, block.map, { budget: 2e4 });
    expect(certificate.complete).toBe(false);
    expect(certificate.samplesPerPosition).toBeLessThan(32);
    expect(certificate.positions).toBeGreaterThanOrEqual(25);
    expect(certificate.relative).toBeLessThanOrEqual(1e-14);
  });

  it('still sees a change of 10⁻⁶ of any one weight', () => {
    const generator = new Random(9);
    for (let repeat = 0; repeat < 12; repeat++) {
      // Corners, edges and the middle in turn.
      const index = 9 * generator.integer(0, 24 * 32 - 1) + [0, 2, 4, 6, 8, 1][repeat % 6];
      const { map, by } = withKernel(block.map, index, (value) => value * (1 + 1e-6));
      expect(certified(block, map, { budget: 2e4 }).absolute, `weight ${index}`).toBeGreaterThanOrEqual(0.99 * by);
    }
  });

  it('gives the same answer every time', () => {
    const { map } = withKernel(block.map, 77, (value) => 2 * value);
    expect(certified(block, map, { budget: 2e4 })).toEqual(certified(block, map, { budget: 2e4 }));
  });

  it('is complete as soon as it can be', () => {
    expect(certified(block, block.map, { budget: 1e9 }).complete).toBe(true);
  });
});

/** The largest |before − after| over the zero image and what every impulse adds to it. */
function largestDifference(before: Sentence, after: Sentence, channels: number, [H, W]: readonly number[]): number {
  const image = new Tensor('float64', [1, channels, H, W]);
  const [zeroBefore, zeroAfter] = [before, after].map((sentence) => compute(sentence, image).data);
  let largest = zeroBefore.reduce((most, value, i) => Math.max(most, Math.abs(value - zeroAfter[i])), 0);
  for (let i = 0; i < image.size; i++) {
    image.data[i] = 1;
    const [a, b] = [before, after].map((sentence) => compute(sentence, image).data);
    a.forEach((value, j) => {
      largest = Math.max(largest, Math.abs(value - zeroBefore[j] - (b[j] - zeroAfter[j])));
    });
    image.data[i] = 0;
  }
  return largest;
}

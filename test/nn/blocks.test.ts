/** Laws of the blocks, on random ones: fused equals unfused to the last digits, with a certificate that says so. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nativeOps } from '../../lib/engine/eager.js';
import { ConvBlock, MobileOneBlock, Random, type ReparamBlock, RepVGGBlock, randn, repconv } from '../../lib/index.js';
import { referenceOps } from '../../lib/ops/reference.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { firstBeyond, roundingBound } from './magnitude.js';
import { trained } from './trained.js';

fc.configureGlobal({ numRuns: 50 });

type Make = (deploy: boolean) => ReparamBlock;

const small = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const common = {
  seed: fc.nat(),
  groups: small(1, 3),
  perGroup: small(1, 5),
  outPerGroup: small(0, 4),
  stride: small(1, 3),
  eps: fc.constantFrom(1e-5, 1e-3),
};
/** No other number of output channels in a third of the cases: only then is there an identity. */
const channelsOf = (c: { groups: number; perGroup: number; outPerGroup: number }): [number, number] => [
  c.groups * c.perGroup,
  c.groups * (c.outPerGroup < 2 ? c.perGroup : c.outPerGroup),
];
const images = fc.tuple(small(1, 2), small(2, 9), small(2, 9));

const blocks: Record<
  string,
  fc.Arbitrary<{ make: Make; seed: number; image: [number, number, number]; line: string }>
> = {
  ConvBlock: fc
    .record({ ...common, paddingMode: fc.constantFrom('zeros', 'reflect', 'replicate', 'circular'), image: images })
    .map(({ seed, image, ...c }) => {
      const [ci, co] = channelsOf(c);
      const options = { stride: c.stride, groups: c.groups, paddingMode: c.paddingMode, eps: c.eps };
      return {
        make: (deploy) => new ConvBlock(ci, co, { ...options, deploy }),
        seed,
        image,
        line: JSON.stringify([ci, co, options]),
      };
    }),
  RepVGGBlock: fc.record({ ...common, image: images }).map(({ seed, image, ...c }) => {
    const [ci, co] = channelsOf(c);
    const options = { stride: c.stride, groups: c.groups, eps: c.eps, useSe: co >= 16 };
    return {
      make: (deploy) => new RepVGGBlock(ci, co, { ...options, deploy }),
      seed,
      image,
      line: JSON.stringify([ci, co, options]),
    };
  }),
  MobileOneBlock: fc
    .record({
      ...common,
      kernel: fc.constantFrom(1, 3, 5),
      branches: small(1, 4),
      depthwise: fc.boolean(),
      image: images,
    })
    .map(({ seed, image, kernel, ...c }) => {
      const [ci, co] = c.depthwise ? [c.perGroup * c.groups, c.perGroup * c.groups] : channelsOf(c);
      const groups = c.depthwise ? ci : c.groups;
      const options = {
        stride: c.stride,
        padding: (kernel - 1) / 2,
        groups,
        branches: c.branches,
        eps: c.eps,
        useSe: co >= 16,
      };
      const make: Make = (deploy) => new MobileOneBlock(ci, co, kernel, { ...options, deploy });
      return { make, seed, image, line: JSON.stringify([ci, co, kernel, options]) };
    }),
};

describe.each(Object.entries(blocks))('%s, whatever its options', (_, arbitrary) => {
  it('computes fused what it computes unfused, each element within (n + 16)·2⁻⁵³·Σ|x||w| in float64, which is less than 1e-13 of the sum', () => {
    fc.assert(
      fc.property(arbitrary, ({ make, seed, image: [N, H, W], line }) => {
        const block = trained(make(false), seed).to('float64');
        const x = randn([N, block.inChannels, H, W], { generator: new Random(seed), dtype: 'float64' });
        const bound = roundingBound((f, value) => block.linear(f, value), x);
        const fused = repconv(block).model;
        expect(firstBeyond(fused.linear(referenceOps, x), block.linear(referenceOps, x), bound), line).toBe(null);
      }),
    );
  });

  it('computes fused what it computes unfused, each element within (n + 16)·2⁻²⁴·Σ|x||w| in float32', () => {
    fc.assert(
      fc.property(arbitrary, ({ make, seed, image: [N, H, W], line }) => {
        const block = trained(make(false), seed);
        const x = randn([N, block.inChannels, H, W], { generator: new Random(seed) });
        const bound = roundingBound((f, value) => block.linear(f, value), x);
        const before = block.linear(nativeOps(), x);
        block.switchToDeploy();
        expect(firstBeyond(block.linear(nativeOps(), x), before, bound), line).toBe(null);
      }),
    );
  });

  it('has a certificate that covers every input, and shows no more than the one rounding of four weights, as a corner may collect them', () => {
    fc.assert(
      fc.property(
        arbitrary,
        fc.constantFrom<['float32' | 'float64', number]>(['float32', 4 * 2 ** -24], ['float64', 16 * 2 ** -53]),
        ({ make, seed, line }, [dtype, limit]) => {
          const { report } = repconv(trained(make(false), seed).to(dtype));
          const certificate = report.blocks[0].certificate!;
          expect(certificate, line).toMatchObject({ complete: true });
          expect(certificate.relative, line).toBeLessThanOrEqual(limit);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('loads what was fused strictly when made with deploy: true, and computes the same bits', () => {
    fc.assert(
      fc.property(arbitrary, ({ make, seed, image: [N, H, W], line }) => {
        const fused = repconv(trained(make(false), seed)).model;
        const fresh = make(true).eval();
        fresh.loadStateDict(fused.stateDict());
        const x = randn([N, fused.inChannels, H, W], { generator: new Random(seed) });
        expect(isIdentical(fresh.forward(x), fused.forward(x)), line).toBe(true);
        expect(String(fresh)).toBe(String(fused));
      }),
    );
  });
});

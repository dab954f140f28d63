/**
 * The steps that all folding consists of, over kernels [O, I, T] in float64: output channels, input channels per group,
 * taps.
 *
 * `nativeArithmetic` is what is used. It computes nothing at once: its kernels are tensors that know which sum they are
 * (engine/fusion.ts), and are computed when their numbers are read, or, by a {@link computation}, in the format that is
 * wanted, all steps in one pass over the weights. `plainArithmetic` says the same in a few loops and is its oracle.
 */
import {
  type ComputedKernel,
  computeKernel,
  type KernelDType,
  type KernelRequest,
  type KernelSum,
} from '../engine/fusion.js';
import type { Steps } from '../steps.js';
import { Tensor, WhenRead } from '../tensor/tensor.js';

/**
 * A kernel as [O, I, T]. Its numbers are those of float64; float32 is where they lie when they are a model's weights as
 * they came.
 */
export type Kernel = Tensor<KernelDType>;

export interface Arithmetic {
  /** kernel[o, i, t] · factors[o], or, over input channels, · factors[g(o)·I + i]. */
  scaleChannels(kernel: Kernel, factors: Float64Array, over: 'output' | 'input', groups: number): Kernel;
  /**
   * base + kernel, tap t of the kernel at taps[t] of `tapCount`, its `kernelGroups` groups spread over the fewer,
   * larger `groups` of the result (what lies outside a kernel's own group is zero).
   */
  placeTaps(
    base: Kernel | null,
    kernel: Kernel,
    placement: { taps: readonly number[]; tapCount: number; kernelGroups: number; groups: number },
  ): Kernel;
  /**
   * Σ_m second[o, m, t] · first[g(o)·M + m, i, s] as [O, I, t·S + s]: the second kernel applied to the channels of the
   * first.
   */
  contractChannels(second: Kernel, first: Kernel, groups: number): Kernel;
  /** [C of all groups, O per group, T] as [O, C per group, T]. */
  swapChannels(kernel: Kernel, groups: number): Kernel;
}

export const nativeArithmetic: Arithmetic = {
  scaleChannels(kernel, factors, over, groups) {
    const sum = sumOf(kernel, groups);
    const scaled = (known: Float64Array | null): Float64Array => known?.map((f, c) => f * factors[c]) ?? factors;
    const terms = sum.terms.map((term) =>
      over === 'output' ? { ...term, outputs: scaled(term.outputs) } : { ...term, inputs: scaled(term.inputs) },
    );
    return deferred({ ...sum, terms });
  },
  placeTaps(base, kernel, { taps, tapCount, kernelGroups, groups }) {
    const [O, I] = kernel.shape;
    const placed = sumOf(kernel, kernelGroups).terms.map((term) => ({ ...term, taps: term.taps.map((t) => taps[t]) }));
    const terms = [...(base === null ? [] : sumOf(base, groups).terms), ...placed];
    return deferred({ shape: [O, (I * kernelGroups) / groups, tapCount], groups, terms });
  },
  contractChannels(second, first, groups) {
    const shape = [second.shape[0], first.shape[1], second.shape[2] * first.shape[2]];
    const source = { second: sumOf(second, groups), first: sumOf(first, groups) };
    return deferred({ shape, groups, terms: [termOf(source, shape, groups)] });
  },
  swapChannels(kernel, groups) {
    const [rows, perGroup, T] = kernel.shape;
    const shape = [perGroup * groups, rows / groups, T];
    return deferred({ shape, groups, terms: [{ ...termOf(kernel, shape, groups), isSwapped: true }] });
  },
};

/** Which sum a kernel is that has not been computed. */
const sums = new WeakMap<Kernel, KernelSum>();

/** A kernel that is computed when it is read. */
function deferred(sum: KernelSum): Kernel {
  const kernel: Kernel = new Tensor<'float64'>(
    'float64',
    sum.shape,
    new WhenRead<'float64'>(() => {
      sums.delete(kernel);
      let rest = computeKernel(sum, { dtype: 'float64', isSwapped: false }).kernel.data;
      return {
        write(stretch) {
          stretch.set(rest.subarray(0, stretch.length));
          rest = rest.subarray(stretch.length);
        },
      };
    }),
  );
  sums.set(kernel, sum);
  return kernel;
}

function sumOf(kernel: Kernel, groups: number): KernelSum {
  return sums.get(kernel) ?? { shape: kernel.shape, groups, terms: [termOf(kernel, kernel.shape, groups)] };
}

function termOf(
  source: KernelSum['terms'][number]['source'],
  shape: readonly number[],
  groups: number,
): KernelSum['terms'][number] {
  const taps = Array.from({ length: shape[2] }, (_, tap) => tap);
  return { source, isSwapped: false, groups, outputs: null, inputs: null, taps };
}

/** What folding has to wait for: a kernel computed. */
export interface Computation<D extends KernelDType = KernelDType> {
  readonly name: 'compute';
  readonly sum: KernelSum;
  readonly request: KernelRequest<D>;
}

/** The numbers of a kernel in the format that is wanted, each rounded once. */
export function* computation<D extends KernelDType>(
  kernel: Kernel,
  groups: number,
  request: KernelRequest<D>,
): Steps<Computation, ComputedKernel<D>> {
  return (yield { name: 'compute', sum: sumOf(kernel, groups), request }) as ComputedKernel<D>;
}

/** Computes, and waits for it. */
export function computeSync({ sum, request }: Computation): ComputedKernel<KernelDType> {
  return computeKernel(sum, request);
}

/** The kernel itself where it lies in float64, else a copy that does. */
export function inFloat64(kernel: Kernel): Tensor<'float64'> {
  return kernel.dtype === 'float64' ? (kernel as Tensor<'float64'>) : kernel.to('float64');
}

export const plainArithmetic: Arithmetic = {
  scaleChannels(kernel, factors, over, groups) {
    const [O, I, T] = kernel.shape;
    const result = kernel.to('float64');
    const numbers = result.data;
    for (let o = 0; o < O; o++) {
      for (let i = 0; i < I; i++) {
        const factor = over === 'output' ? factors[o] : factors[Math.floor(o / (O / groups)) * I + i];
        for (let t = 0; t < T; t++) numbers[(o * I + i) * T + t] *= factor;
      }
    }
    return result;
  },

  placeTaps(base, kernel, { taps, tapCount, kernelGroups, groups }) {
    const [O, J, S] = kernel.shape;
    const I = (J * kernelGroups) / groups;
    const result = base?.clone() ?? new Tensor('float64', [O, I, tapCount]);
    for (let o = 0; o < O; o++) {
      const first = Math.floor(o / (O / kernelGroups)) * J - Math.floor(o / (O / groups)) * I;
      for (let j = 0; j < J; j++) {
        for (let s = 0; s < S; s++)
          result.data[(o * I + first + j) * tapCount + taps[s]] += kernel.data[(o * J + j) * S + s];
      }
    }
    return result;
  },

  contractChannels(second, first, groups) {
    const [O, M, T] = second.shape;
    const [, I, S] = first.shape;
    const result = new Tensor('float64', [O, I, T * S]);
    for (let o = 0; o < O; o++) {
      const group = Math.floor(o / (O / groups));
      for (let m = 0; m < M; m++) {
        for (let i = 0; i < I; i++) {
          for (let t = 0; t < T; t++) {
            for (let s = 0; s < S; s++) {
              result.data[((o * I + i) * T + t) * S + s] +=
                second.data[(o * M + m) * T + t] * first.data[((group * M + m) * I + i) * S + s];
            }
          }
        }
      }
    }
    return result;
  },

  swapChannels(kernel, groups) {
    const [rows, B, T] = kernel.shape;
    const A = rows / groups;
    const result = new Tensor('float64', [groups * B, A, T]);
    for (let g = 0; g < groups; g++) {
      for (let a = 0; a < A; a++) {
        for (let b = 0; b < B; b++) {
          const from = ((g * A + a) * B + b) * T;
          result.data.set(kernel.data.subarray(from, from + T), ((g * B + b) * A + a) * T);
        }
      }
    }
    return result;
  },
};

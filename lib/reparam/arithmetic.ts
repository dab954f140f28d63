/**
 * The three steps that all folding consists of, over kernels [O, I, T] in float64 (output channels, input channels per group, taps).
 *
 * `nativeArithmetic` is what is used (native/ops/fusion.cc, multithreaded); `plainArithmetic` says the same in a few loops and is its oracle.
 */
import { foldKernels } from '../engine/fusion.js';
import { Tensor } from '../tensor/tensor.js';

/** A kernel as [O, I, T]. */
export type Kernel = Tensor<'float64'>;

export interface Arithmetic {
  /** kernel[o, i, t] · factors[o], or, over input channels, · factors[g(o)·I + i]. */
  scaleChannels(kernel: Kernel, factors: Float64Array, over: 'output' | 'input', groups: number): Kernel;
  /**
   * base + kernel, tap t of the kernel at taps[t] of `tapCount`, its `kernelGroups` groups spread over the fewer, larger `groups` of the result
   * (what lies outside a kernel's own group is zero).
   */
  placeTaps(
    base: Kernel | null,
    kernel: Kernel,
    placement: { taps: readonly number[]; tapCount: number; kernelGroups: number; groups: number },
  ): Kernel;
  /** Σ_m second[o, m, t] · first[g(o)·M + m, i, s] as [O, I, t·S + s]: the second kernel applied to the channels of the first. */
  contractChannels(second: Kernel, first: Kernel, groups: number): Kernel;
}

export const nativeArithmetic: Arithmetic = {
  scaleChannels(kernel, factors, over, groups) {
    return foldKernels('scaleChannels', [kernel, new Tensor('float64', [factors.length], factors)], kernel.shape, {
      input: over === 'input' ? 1 : 0,
      groups,
    });
  },
  placeTaps(base, kernel, { taps, tapCount, kernelGroups, groups }) {
    const shape = [kernel.shape[0], (kernel.shape[1] * kernelGroups) / groups, tapCount];
    return foldKernels('placeTaps', [base, kernel], shape, { taps, kernelGroups, groups });
  },
  contractChannels(second, first, groups) {
    return foldKernels('contractChannels', [second, first], [second.shape[0], first.shape[1], second.shape[2] * first.shape[2]], {
      groups,
    });
  },
};

export const plainArithmetic: Arithmetic = {
  scaleChannels(kernel, factors, over, groups) {
    const [O, I, T] = kernel.shape;
    const result = kernel.clone();
    for (let o = 0; o < O; o++) {
      for (let i = 0; i < I; i++) {
        const factor = over === 'output' ? factors[o] : factors[Math.floor(o / (O / groups)) * I + i];
        for (let t = 0; t < T; t++) result.data[(o * I + i) * T + t] *= factor;
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
        for (let s = 0; s < S; s++) result.data[(o * I + first + j) * tapCount + taps[s]] += kernel.data[(o * J + j) * S + s];
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
};

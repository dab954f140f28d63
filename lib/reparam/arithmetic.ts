/**
 * The three steps that all folding consists of, over kernels [O, I, T] in float64 (output channels, input channels per
 * group, taps), and the question whether a kernel can be folded at all.
 *
 * `nativeArithmetic` is what is used (native/ops/fusion.cc, multithreaded); `plainArithmetic` says the same in a few
 * loops and is its oracle.
 */
import { foldKernels, type KernelDType } from '../engine/fusion.js';
import { sizeOf } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * A kernel as [O, I, T]. Its numbers are those of float64; float32 is where they lie when they are a model's weights as
 * they came, or will be rounded to float32 next.
 */
export type Kernel = Tensor<KernelDType>;

export interface Arithmetic {
  /** Whether no number is infinite or NaN. */
  isFinite(kernel: Kernel): boolean;
  /** kernel[o, i, t] · factors[o], or, over input channels, · factors[g(o)·I + i]; the product rounded to `dtype`. */
  scaleChannels(
    kernel: Kernel,
    factors: Float64Array,
    over: 'output' | 'input',
    groups: number,
    dtype?: KernelDType,
  ): Kernel;
  /**
   * base + kernel, tap t of the kernel at taps[t] of `tapCount`, its `kernelGroups` groups spread over the fewer,
   * larger `groups` of the result (what lies outside a kernel's own group is zero).
   */
  placeTaps(
    base: Tensor<'float64'> | null,
    kernel: Kernel,
    placement: { taps: readonly number[]; tapCount: number; kernelGroups: number; groups: number },
  ): Tensor<'float64'>;
  /**
   * Σ_m second[o, m, t] · first[g(o)·M + m, i, s] as [O, I, t·S + s]: the second kernel applied to the channels of the
   * first.
   */
  contractChannels(second: Kernel, first: Kernel, groups: number): Tensor<'float64'>;
}

export const nativeArithmetic: Arithmetic = {
  isFinite(kernel) {
    if (kernel.size < atOnce) return plainArithmetic.isFinite(kernel);
    const result = foldKernels({
      ...{ operation: 'isFinite', inputs: [kernel], shape: [1, 1, 1], dtype: 'float64' },
      ...{ attributes: {}, work: kernel.size },
    });
    return result.data[0] === 1;
  },
  scaleChannels(kernel, factors, over, groups, dtype = 'float64') {
    return foldKernels({
      ...{
        operation: 'scaleChannels',
        inputs: [kernel, new Tensor('float64', [factors.length], factors)],
        shape: kernel.shape,
        dtype,
      },
      ...{ attributes: { input: over === 'input' ? 1 : 0, groups }, work: kernel.size },
    });
  },
  placeTaps(base, kernel, { taps, tapCount, kernelGroups, groups }) {
    const shape = [kernel.shape[0], (kernel.shape[1] * kernelGroups) / groups, tapCount];
    return foldKernels({
      ...{ operation: 'placeTaps', inputs: [base, kernel], shape, dtype: 'float64' },
      ...{ attributes: { taps, kernelGroups, groups }, work: sizeOf(shape) },
    });
  },
  contractChannels(second, first, groups) {
    const [I, T] = [first.shape[1], second.shape[2] * first.shape[2]];
    return foldKernels({
      ...{ operation: 'contractChannels', inputs: [inFloat64(second), inFloat64(first)], dtype: 'float64' },
      ...{ shape: [second.shape[0], I, T], attributes: { groups }, work: second.size * I * first.shape[2] },
    });
  },
};

/** Numbers that are looked at here in the time that a call takes, 8 µs. */
const atOnce = 2048;

/** The kernel itself where it lies in float64, else a copy that does. */
export function inFloat64(kernel: Kernel): Tensor<'float64'> {
  return kernel.dtype === 'float64' ? (kernel as Tensor<'float64'>) : kernel.to('float64');
}

export const plainArithmetic: Arithmetic = {
  isFinite(kernel) {
    return kernel.data.every(Number.isFinite);
  },

  scaleChannels(kernel, factors, over, groups, dtype = 'float64') {
    const [O, I, T] = kernel.shape;
    const result = kernel.to('float64');
    for (let o = 0; o < O; o++) {
      for (let i = 0; i < I; i++) {
        const factor = over === 'output' ? factors[o] : factors[Math.floor(o / (O / groups)) * I + i];
        for (let t = 0; t < T; t++) result.data[(o * I + i) * T + t] *= factor;
      }
    }
    return dtype === 'float64' ? result : result.to(dtype);
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
};

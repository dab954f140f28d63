/**
 * The arithmetic of folding on the native side (native/ops/fusion.cc): a kernel that is the sum of others, scaled,
 * placed and contracted, computed in one pass over them, in float64, and rounded as it is stored.
 */
import { sizeOf } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { nativeAddon } from './addon.js';
import { nativeOptions } from './eager.js';
import type { Program, ProgramStep, ProgramValue } from './program.js';

/** Formats in which kernels lie in memory; computing is in float64. */
export type KernelDType = 'float64' | 'float32';

/** A kernel [O, I, T] (output channels, input channels per group, taps): the sum of terms, in their order. */
export interface KernelSum {
  readonly shape: readonly number[];
  readonly groups: number;
  readonly terms: readonly KernelTerm[];
}

export interface KernelTerm {
  /** Where its numbers lie, or of which two kernels it is the product. */
  readonly source: Tensor<KernelDType> | KernelProduct;
  /** Whether they are stored with the channel axes exchanged: [I of all groups, O per group, T]. */
  readonly isSwapped: boolean;
  /**
   * Groups of the source; those of the sum are as many or fewer, and what lies outside a group of the source is zero.
   */
  readonly groups: number;
  /** Factors of output channels, and of the input channels of all groups. */
  readonly outputs: Float64Array | null;
  readonly inputs: Float64Array | null;
  /** Where each of its taps goes. */
  readonly taps: readonly number[];
}

/**
 * Σ_m second[o, m, t] · first[g(o)·M + m, i, s] as [O, I, t·S + s]: the second applied to the channels of the first.
 */
export interface KernelProduct {
  readonly second: KernelSum;
  readonly first: KernelSum;
}

/** What is wanted of a sum. */
export interface KernelRequest<D extends KernelDType> {
  readonly dtype: D;
  /** Whether the channel axes are to be exchanged in the result. */
  readonly isSwapped: boolean;
}

export interface ComputedKernel<D extends KernelDType> {
  readonly kernel: Tensor<D>;
  /** Whether all its numbers are, before they are rounded. */
  readonly isFinite: boolean;
}

/** Computes a kernel here and now. */
export function computeKernel<D extends KernelDType>(sum: KernelSum, request: KernelRequest<D>): ComputedKernel<D> {
  const { program, shapes, kernel, finite, work } = programOf(sum, request);
  const options = nativeOptions(work < alone ? { threads: 1 } : {});
  nativeAddon().execute(program, shapes, [], [kernel.data, finite.data], options);
  return { kernel, isFinite: finite.data[0] === 1 };
}

/**
 * Work that one thread does alone. Waking another takes 30 µs, in which one thread scales 100 000 numbers; what is as
 * fast as memory gains little even above a million (EPYC, Zen 5, two cores).
 */
const alone = 2 ** 20;

/** The shape of a kernel, or with its channel axes exchanged. */
function storedShape([O, I, T]: readonly number[], groups: number, isSwapped: boolean): readonly number[] {
  return isSwapped ? [I * groups, O / groups, T] : [O, I, T];
}

/** The steps that compute a kernel, and where it goes. `work`: numbers that it passes over, or multiply-adds. */
function programOf<D extends KernelDType>(sum: KernelSum, { dtype, isSwapped }: KernelRequest<D>) {
  const values: ProgramValue[] = [];
  const steps: ProgramStep[] = [];
  const shapes: (readonly number[])[] = [];
  let work = 0;
  const add = (value: ProgramValue, shape: readonly number[]): number => {
    values.push(value);
    return shapes.push(shape) - 1;
  };
  const constant = ({ dtype, shape, data }: Tensor<KernelDType>): number =>
    add({ dtype, layout: 'plain', shape, data }, shape);
  const factors = (numbers: Float64Array | null): number =>
    numbers === null ? -1 : constant(new Tensor('float64', [numbers.length], numbers));

  const emitSum = ({ shape, groups, terms }: KernelSum, into: KernelDType, swapped: boolean): [number, number] => {
    const inputs: number[] = [];
    const input = (value: number): number => (value < 0 ? -1 : inputs.push(value) - 1);
    const records = terms.flatMap((term) => {
      const source = input(term.source instanceof Tensor ? constant(term.source) : emitProduct(term.source));
      work += sizeOf(shapes[inputs[source]]);
      const [outputs, perInput] = [input(factors(term.outputs)), input(factors(term.inputs))];
      return [source, outputs, perInput, term.groups, Number(term.isSwapped), term.taps.length];
    });
    work += sizeOf(shape);
    const kernel = add({ dtype: into, layout: 'plain' }, storedShape(shape, groups, swapped));
    const finite = add({ dtype: 'float64', layout: 'plain' }, [1]);
    const attributes = { terms: records, taps: terms.flatMap(({ taps }) => taps), groups, swapped: Number(swapped) };
    steps.push({ operation: 'sumKernels', label: 'sumKernels', inputs, outputs: [kernel, finite], attributes });
    return [kernel, finite];
  };
  const emitProduct = ({ second, first }: KernelProduct): number => {
    const [outer, inner] = [second, first].map((operand) => emitSum(operand, 'float64', false)[0]);
    const [O, M, T] = second.shape;
    const [, I, S] = first.shape;
    work += O * M * T * I * S;
    const product = add({ dtype: 'float64', layout: 'plain' }, [O, I, T * S]);
    const attributes = { groups: second.groups };
    const step = { operation: 'contractChannels', label: 'contractChannels', attributes };
    steps.push({ ...step, inputs: [outer, inner], outputs: [product] });
    return product;
  };
  const outputs = emitSum(sum, dtype, isSwapped);
  const program: Program = { values, steps, inputs: [], outputs };
  return { program, shapes, kernel: new Tensor(dtype, shapes[outputs[0]]), finite: new Tensor('float64', [1]), work };
}

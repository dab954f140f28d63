/**
 * Preprocessing that `compile` builds into a session: decoded images go in as bytes.
 *
 * A byte x of channel c becomes (x / 255 − mean[c]) / std[c], rounded to float32 after each operation: the numbers, to
 * the last bit, that torchvision's ToTensor and Normalize give (mean and std are theirs, in units of the range 0 … 1).
 * It is done natively, by the step that lays the image out for the first layer.
 */
import { listOf } from '../checks.js';
import type { Normalization } from '../engine/programBuilder.js';
import { listed, printable, RepconvError, shown } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { isPlainObject, optionsOf } from '../options.js';
import { showShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import type { PreprocessSpec } from './options.js';

/**
 * The normalization of each input that comes as bytes, by name. @throws ERR_INPUT, ERR_SHAPE for an input that is no
 * image
 */
export function checkedPreprocess(
  spec: PreprocessSpec | undefined,
  inputs: readonly Value[],
): ReadonlyMap<string, Normalization> {
  const refuse = (text: string): RepconvError => new RepconvError('ERR_INPUT', `compile: preprocess${text}`);
  if (spec !== undefined && !isPlainObject(spec)) throw refuse(` expects a plain object, got ${shown(spec)}`);
  return new Map(
    Object.entries(spec ?? {}).map(([name, options]) => {
      const input = inputs.find((candidate) => candidate.name === name);
      if (input === undefined)
        throw refuse(` expects names of inputs (${listed(inputs.map((value) => value.name))}), got ${listed([name])}`);
      const shownName = printable(name, 60);
      const defaults = { from: undefined, mean: undefined, std: undefined };
      const { from, ...given } = optionsOf(options, defaults, 'compile', `preprocess.${shownName}`);
      if (from !== 'uint8-nhwc') throw refuse(`.${shownName}.from expects uint8-nhwc, got ${shown(from)}`);
      const { shape } = input.type;
      const channels = shape[1];
      if (shape.length !== 4 || typeof channels !== 'number')
        throw new RepconvError(
          'ERR_SHAPE',
          `compile: preprocess.${shownName} expects an input [N,C,H,W] whose channels are known, got ${showShape(shape)}`,
        );
      const perChannel = (what: 'mean' | 'std', fallback: number): Tensor => {
        const numbers = listOf(
          given[what] ?? new Array<number>(channels).fill(fallback),
          `compile: preprocess.${shownName}.${what}`,
          [channels],
          'finite numbers, one per channel',
          (entry): entry is number => typeof entry === 'number' && Number.isFinite(Math.fround(entry)),
        );
        return new Tensor('float32', [channels], Float32Array.from(numbers));
      };
      const [mean, std] = [perChannel('mean', 0), perChannel('std', 1)];
      if (std.data.includes(0)) throw refuse(`.${shownName}.std expects numbers other than 0, got ${shown(given.std)}`);
      return [name, { mean, std }];
    }),
  );
}

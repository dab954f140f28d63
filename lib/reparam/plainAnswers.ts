/** Answers to impulses in a few loops: the oracle of the native ones (native/ops/answers.cc). */
import type { AnswerStep, AnswerSteps, CompareAnswers, Layout, Samples } from '../engine/answers.js';

export const compareAnswersPlainly: CompareAnswers = (steps, layouts, samples) => {
  const [before, after] = steps.compared;
  const C = steps.channels[before];
  let [distance, magnitude] = [0, 0];
  for (const [l, layout] of layouts.entries()) {
    for (const image of imagesOf(samples, l, steps.channels[0])) {
      const answers = answersTo(image, steps, layout, samples.kind === 'zero');
      for (let p = 0; p < layout.pairs.length; p += 2) {
        const [x, y] = [layout.pairs[p], layout.pairs[p + 1]];
        for (let c = 0; c < C; c++) {
          const expected = x < 0 ? 0 : answers[before][x * C + c];
          const found = y < 0 ? 0 : answers[after][y * C + c];
          magnitude = larger(magnitude, Math.abs(expected));
          distance = larger(distance, Math.abs(expected - found));
        }
      }
    }
  }
  return { distance, magnitude };
};

/** Every value as [pixel][channel], from what value 0 is. */
export function answersTo(
  image: Float64Array,
  { steps, channels }: AnswerSteps,
  layout: Layout,
  isZero: boolean,
): Float64Array[] {
  const answers = [image];
  for (const [i, step] of steps.entries()) {
    const C = channels[i + 1];
    const result = new Float64Array(layout.pixels[i + 1] * C);
    const moves = movesOf(layout, i);
    switch (step.kind) {
      case 'contract':
        for (const move of moves) contract(step, answers[step.input], channels[step.input], result, C, move);
        break;
      case 'place':
        for (const [from, to, which] of moves) {
          const [x, share] = step.shares === null ? [step.inputs[which], 1] : [step.inputs[0], step.shares[which]];
          for (let c = 0; c < C; c++) result[to * C + c] += share * answers[x][from * C + c];
        }
        break;
      case 'scale':
        for (let at = 0; at < result.length; at++) result[at] = answers[step.input][at] * step.factors[at % C];
        break;
      case 'shift':
        if (!isZero) result.set(answers[step.input]);
        for (const [from, to] of moves)
          for (let c = 0; c < C; c++) result[to * C + c] += answers[step.input][from * C + c];
        for (let at = 0; isZero && at < result.length; at++) result[at] += step.shift[at % C];
        break;
    }
    answers.push(result);
  }
  return answers;
}

/** One pixel through one tap: every channel to the outputs of its group. */
function contract(
  { weight, groups, isTransposed }: AnswerStep & { kind: 'contract' },
  x: Float64Array,
  channels: number,
  result: Float64Array,
  C: number,
  [from, to, tap]: readonly number[],
): void {
  const [inputs, outputs, taps] = [channels / groups, C / groups, weight.shape[2]];
  for (let c = 0; c < channels; c++) {
    const value = x[from * channels + c];
    if (value === 0) continue;
    const first = Math.floor(c / inputs) * outputs;
    for (let o = 0; o < outputs; o++) {
      const row = isTransposed ? c * outputs + o : (first + o) * inputs + (c % inputs);
      result[to * C + first + o] += value * weight.data[row * taps + tap];
    }
  }
}

function movesOf({ moves }: Layout, step: number): (readonly number[])[] {
  const flat = moves[step];
  return Array.from({ length: flat.length / 3 }, (_, m) => flat.slice(3 * m, 3 * m + 3));
}

/** What value 0 is, sample by sample. */
function* imagesOf(samples: Samples, layout: number, channels: number): Generator<Float64Array> {
  switch (samples.kind) {
    case 'zero':
      yield new Float64Array();
      return;
    case 'impulses':
      for (let c = samples.firstChannel; c < samples.firstChannel + samples.count; c++)
        yield new Float64Array(channels).fill(1, c, c + 1);
      return;
    case 'mixes': {
      const [, count] = samples.numbers.shape;
      for (let s = layout * count; s < (layout + 1) * count; s++)
        yield samples.numbers.data.slice(s * channels, (s + 1) * channels);
    }
  }
}

/** The larger of both; infinite where the second is not a number. */
function larger(most: number, value: number): number {
  return Number.isNaN(value) ? Infinity : Math.max(most, value);
}

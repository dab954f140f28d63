// Two affine sentences as steps over sparse images, and where an impulse goes through them: what lib/engine/answers.ts
// writes into the attributes of `compareAnswers`.
//
// Value 0 is the image with the impulse, step i makes value i + 1. Of a value only the pixels are there that the
// impulse reaches, by number; moves say how they lie to each other.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/operation.h"

namespace repconv {

// contract   every pixel through the taps of a kernel [O, I/G, T], or [I, O/G, T] where it is transposed
// place      pixels to other places, with shares; or the sum of two values
// scale      every channel times its factor
// shift      a number for every channel at every pixel, in the answer to the zero image alone
enum class AnswerKind { contract, place, scale, shift };

struct AnswerStep {
  AnswerKind kind = AnswerKind::scale;
  std::vector<int> inputs;
  int constant = -1;  // index of the program step's input that has its numbers; -1: none
  int64_t groups = 1;
  bool isTransposed = false;

  bool isSum() const { return kind == AnswerKind::place && constant < 0; }
};

// What one place of the impulse reaches.
struct AnswerLayout {
  std::vector<int64_t> pixels;  // of each value
  std::vector<std::vector<PixelMove>> moves;  // of each step, in order; `which` is a tap, a share or an operand
  std::vector<PixelPair> pairs;
};

struct AnswerSteps {
  std::vector<int64_t> channels;  // of each value
  std::vector<AnswerStep> steps;
  int64_t before = 0, after = 0;  // the values compared
  std::vector<AnswerLayout> layouts;
  // What is in value 0: nothing; one channel after the other, from the first on; or mixes of all channels, a constant
  // [layouts, samples, channels].
  bool isZero = false;
  int64_t firstChannel = 0, impulses = 0;
  int mixes = -1;

  bool areImpulses() const { return !isZero && mixes < 0; }
  // Samples of each layout.
  int64_t samples(const StepTypes& types) const {
    return isZero ? 1 : mixes >= 0 ? types.input(static_cast<size_t>(mixes))->shape[1] : impulses;
  }

  static Result<AnswerSteps> read(const Attributes& attributes);
  // Whether the constants have the types that the steps want.
  bool fits(const StepTypes& types) const;
};

}  // namespace repconv

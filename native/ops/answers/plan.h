// How the answers of one set of layouts and samples are computed: what is stored on the way, how many samples at once,
// and where everything lies in a member's scratch memory.
#pragma once

#include <algorithm>
#include <memory>

#include "ops/answers/steps.h"

namespace repconv {

// Steps one behind the other that are computed without being stored: so deep do the functions call themselves.
inline constexpr int kMostDepth = 32;

// How a step reads one of its inputs in one layout.
struct AnswerReading {
  std::vector<PixelMove> moves;
  bool isInPlace = false;  // every pixel stays where it is, and there are no others
};

struct AnswerPlan {
  std::shared_ptr<const AnswerSteps> all;
  std::vector<ValueType> constants;  // by the index of the input
  int64_t samples = 0;
  int64_t chunk = 1;  // samples computed at once
  std::vector<char> isStored;  // of each value: a convolution reads it whole, or several steps do
  std::vector<std::vector<std::vector<AnswerReading>>> readings;  // of each layout and step, for each of its inputs
  // In scratch memory, counted in numbers of float64: turned taps of each contraction, stored tiles of each layout and
  // value, and tiles that are made while another one is.
  std::vector<int64_t> turnedAt;
  std::vector<std::vector<int64_t>> storedAt;
  int64_t stackAt = 0;
  size_t scratchBytes = 0;

  static Result<AnswerPlan> make(std::shared_ptr<const AnswerSteps> steps, const StepTypes& types);

  // Value 0 is no step's.
  const AnswerStep& stepOf(int64_t value) const { return all->steps[static_cast<size_t>(value - 1)]; }
  int64_t channels(int64_t value) const { return all->channels[static_cast<size_t>(value)]; }
  // The channels of a group of a contraction.
  int64_t inputs(int64_t value) const { return channels(stepOf(value).inputs[0]) / stepOf(value).groups; }
  int64_t outputs(int64_t value) const { return channels(value) / stepOf(value).groups; }
  int64_t taps(int64_t value) const { return constants[static_cast<size_t>(stepOf(value).constant)].shape[2]; }
  // Whether `value` is read from where it is stored, while `root` is computed.
  bool isReadStored(int64_t value, int64_t root) const {
    return isStored[static_cast<size_t>(value)] != 0 && value != root;
  }

 private:
  void chooseStored();
  bool layOut(int64_t chunk);
  int64_t widthOf(int64_t value, const std::vector<int64_t>& widths) const;
  int64_t stackOf(int64_t value, const AnswerLayout& layout, int64_t root) const;
};

}  // namespace repconv

#include "ops/answers/plan.h"

namespace repconv {
namespace {

constexpr int64_t kLanes = kAnswerLanes;
// Samples computed at once, unless their values would be larger than this: with eight, what one block of a 3×3 needs
// stays in the first-level cache (32 took 1.07 times as long; EPYC, Zen 5).
constexpr int64_t kChunk = 8;
constexpr size_t kMostScratchBytes = size_t{4} << 20;
constexpr int64_t kMostNumbers = int64_t{1} << 40;

// An impulse that goes through taps is read from the taps: they come from where `which` says.
std::vector<AnswerReading> readingsOf(const AnswerSteps& all, const AnswerLayout& layout, size_t s) {
  const AnswerStep& step = all.steps[s];
  std::vector<AnswerReading> readings(step.inputs.size());
  const bool isImpulse = step.kind == AnswerKind::contract && step.inputs[0] == 0 && all.areImpulses();
  for (PixelMove move : layout.moves[s]) {
    if (isImpulse) move.from = move.which;
    readings[step.isSum() ? static_cast<size_t>(move.which) : 0].moves.push_back(move);
  }
  for (size_t i = 0; i < readings.size(); i++) {
    const std::vector<PixelMove>& moves = readings[i].moves;
    const auto stays = [](const PixelMove& move) { return move.from == move.to; };
    readings[i].isInPlace = layout.pixels[static_cast<size_t>(step.inputs[i])] == layout.pixels[s + 1] &&
                            static_cast<int64_t>(moves.size()) == layout.pixels[s + 1] &&
                            std::all_of(moves.begin(), moves.end(), stays);
  }
  return readings;
}

}  // namespace

Result<AnswerPlan> AnswerPlan::make(std::shared_ptr<const AnswerSteps> steps, const StepTypes& types) {
  AnswerPlan plan;
  plan.samples = steps->samples(types);
  plan.all = std::move(steps);
  for (const ValueType* type : types.inputs) plan.constants.push_back(type != nullptr ? *type : ValueType{});
  plan.chooseStored();
  for (const AnswerLayout& layout : plan.all->layouts) {
    plan.readings.emplace_back();
    for (size_t s = 0; s < plan.all->steps.size(); s++)
      plan.readings.back().push_back(readingsOf(*plan.all, layout, s));
  }
  for (int64_t chunk = std::clamp<int64_t>(plan.samples, 1, kChunk);; chunk /= 2) {
    const bool fits = plan.layOut(chunk);
    if (fits && (plan.scratchBytes <= kMostScratchBytes || chunk == 1)) return plan;
    if (chunk == 1) return failure(Code::outOfMemory, "compareAnswers: no memory for so many pixels and channels");
  }
}

void AnswerPlan::chooseStored() {
  const size_t values = all->channels.size();
  isStored.assign(values, 0);
  std::vector<int> readers(values), depth(values);
  for (const AnswerStep& step : all->steps) {
    for (int input : step.inputs) readers[static_cast<size_t>(input)]++;
  }
  for (size_t s = 0; s < all->steps.size(); s++) {
    const AnswerStep& step = all->steps[s];
    if (step.kind == AnswerKind::contract) isStored[static_cast<size_t>(step.inputs[0])] = 1;
    int deepest = 0;
    for (int input : step.inputs) deepest = std::max(deepest, depth[static_cast<size_t>(input)]);
    const bool isDeep = deepest + 1 >= kMostDepth;
    if (readers[s + 1] > 1 || isDeep) isStored[s + 1] = 1;
    depth[s + 1] = isDeep || step.kind == AnswerKind::contract ? 0 : deepest + 1;
  }
  isStored[0] = 0;
}

// Channels of a value that a chunk of impulses reaches at most.
int64_t AnswerPlan::widthOf(int64_t value, const std::vector<int64_t>& widths) const {
  if (value == 0) return all->mixes >= 0 ? channels(0) : all->isZero ? 0 : chunk;
  const AnswerStep& step = stepOf(value);
  int64_t width = 0;
  for (int input : step.inputs) width = std::max(width, widths[static_cast<size_t>(input)]);
  if (step.kind == AnswerKind::shift && all->isZero) return channels(value);
  // Two operands may reach to different sides.
  if (step.inputs.size() > 1) return channels(value);
  if (step.kind != AnswerKind::contract || width == 0) return width;
  return std::min(step.groups, (width - 1) / inputs(value) + 2) * outputs(value);
}

// Where everything lies that a member needs for so many samples at once; false where it is more than there can be.
bool AnswerPlan::layOut(int64_t samplesAtOnce) {
  chunk = samplesAtOnce;
  int64_t size = 0;
  const auto take = [&size](int64_t numbers) {
    const int64_t at = size;
    size = std::min(kMostNumbers, size + roundUp(numbers, kLanes));
    return at;
  };
  const int64_t values = static_cast<int64_t>(all->channels.size());
  take(2 * values);  // the range of each value's channels
  std::vector<int64_t> widths;
  for (int64_t v = 0; v < values; v++) widths.push_back(std::min(channels(v), widthOf(v, widths)));
  turnedAt.assign(all->steps.size(), 0);
  for (int64_t v = 1; v < values; v++) {
    const AnswerStep& step = stepOf(v);
    if (step.kind != AnswerKind::contract) continue;
    // A block of outputs may begin and end inside of groups.
    const int64_t groups = std::min(step.groups, (kLanes - 1) / outputs(v) + 2);
    const int64_t rows = std::min(widths[static_cast<size_t>(step.inputs[0])], groups * inputs(v));
    turnedAt[static_cast<size_t>(v - 1)] = take(rows * taps(v) * kLanes);
  }
  storedAt.assign(all->layouts.size(), {});
  int64_t stack = 0;
  for (size_t l = 0; l < all->layouts.size(); l++) {
    const AnswerLayout& layout = all->layouts[l];
    for (int64_t v = 0; v < values; v++) {
      const int64_t blocks = (widths[static_cast<size_t>(v)] + 2 * (kLanes - 1)) / kLanes;
      const int64_t tile = chunk * layout.pixels[static_cast<size_t>(v)] * kLanes;
      const bool isKept = isStored[static_cast<size_t>(v)] != 0;
      storedAt[l].push_back(isKept ? take(blocks * tile) : 0);
      if (isKept) stack = std::max(stack, stackOf(v, layout, v));
    }
    // The two that are compared lie on the stack themselves.
    stack = std::max(stack, layout.pixels[static_cast<size_t>(all->before)] +
                                layout.pixels[static_cast<size_t>(all->after)] +
                                std::max(stackOf(all->before, layout, -1), stackOf(all->after, layout, -1)));
  }
  stackAt = take(stack * chunk * kLanes);
  scratchBytes = static_cast<size_t>(roundUp(size, kLanes)) * sizeof(double);
  return size < kMostNumbers;
}

// Pixels of the tiles that lie on the stack while `value` is computed, beside its own.
int64_t AnswerPlan::stackOf(int64_t value, const AnswerLayout& layout, int64_t root) const {
  if (value == 0 || isReadStored(value, root)) return 0;
  const AnswerStep& step = stepOf(value);
  if (step.kind == AnswerKind::contract) return 0;
  int64_t most = 0;
  for (int input : step.inputs)
    most = std::max(most, layout.pixels[static_cast<size_t>(input)] + stackOf(input, layout, root));
  return most;
}

}  // namespace repconv

#include "executor/parts.h"

#include <algorithm>

#include "core/cpu_info.h"

namespace repconv {
namespace {

// What a step reads and writes: images of the whole batch, and weights, which each part reads again.
struct Traffic {
  size_t images = 0, weights = 0;
};

// Whether the step may run for part of a batch of N.
bool isCuttable(const Program& program, const ProgramStep& step, const std::vector<ValueType>& types,
                const std::vector<size_t>& valueBytes, int64_t N, Traffic* traffic) {
  if (!step.operation->isPerImage()) return false;
  *traffic = {};
  for (size_t i = 0; i < step.inputs.size(); i++) {
    if (step.inputs[i] == kNoValue) continue;
    const size_t value = static_cast<size_t>(step.inputs[i]);
    const std::vector<int64_t>& shape = types[value].shape;
    const bool isBatch = !shape.empty() && shape[0] == N;
    if (program.values[value].constant != nullptr) {
      // A weight, or parameters of channels; but not numbers for each image.
      if (!step.operation->packs(i) && isBatch && shape.size() > 1) return false;
      traffic->weights += valueBytes[value];
      continue;
    }
    // A value of another rank would broadcast, its first axis against one that is no batch.
    if (!isBatch || shape.size() != types[static_cast<size_t>(step.outputs[0])].shape.size()) return false;
    traffic->images += valueBytes[value];
  }
  for (int output : step.outputs) {
    const std::vector<int64_t>& shape = types[static_cast<size_t>(output)].shape;
    if (shape.empty() || shape[0] != N) return false;
    traffic->images += valueBytes[static_cast<size_t>(output)];
  }
  return true;
}

}  // namespace

size_t mostWholeBytes() { return 2 * cpuInfo().l2Bytes; }

Parts cutIntoParts(const Program& program, const std::vector<ValueType>& types, const std::vector<size_t>& valueBytes,
                   int threads, size_t partBytes) {
  Parts parts;
  if (program.inputs.empty()) return parts;
  const std::vector<int64_t>& first = types[static_cast<size_t>(program.inputs[0])].shape;
  const int64_t N = first.empty() ? 1 : first[0];
  // Images enough that no thread waits long for the last.
  if (N < 2 || (N % threads != 0 && N < 4 * threads)) return parts;
  Traffic traffic;
  const auto pays = [&] {
    return traffic.images > partBytes && traffic.weights <= traffic.images / static_cast<size_t>(N);
  };
  size_t steps = 0;
  while (steps < program.steps.size() && isCuttable(program, program.steps[steps], types, valueBytes, N, &traffic) &&
         pays())
    steps++;
  if (steps == 0) return parts;
  parts = {steps, static_cast<size_t>(N), std::vector<Share>(types.size(), Share::none)};
  for (int value : program.inputs) parts.shares[static_cast<size_t>(value)] = Share::image;
  for (size_t s = 0; s < steps; s++) {
    for (int value : program.steps[s].outputs) parts.shares[static_cast<size_t>(value)] = Share::anew;
  }
  // What is read behind the parts has to be there whole.
  const auto keep = [&parts](const std::vector<int>& values) {
    for (int value : values) {
      if (value != kNoValue && parts.share(static_cast<size_t>(value)) == Share::anew)
        parts.shares[static_cast<size_t>(value)] = Share::image;
    }
  };
  for (size_t s = steps; s < program.steps.size(); s++) keep(program.steps[s].inputs);
  keep(program.outputs);
  return parts;
}

}  // namespace repconv

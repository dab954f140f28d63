#include "executor/parts.h"

#include <algorithm>

#include "core/cpu_info.h"

namespace repconv {
namespace {

// Whether the step may run for part of a batch of N, and what it reads and writes for all of it.
bool isCuttable(const Program& program, const ProgramStep& step, const std::vector<ValueType>& types, const std::vector<size_t>& valueBytes, int64_t N, size_t* bytes) {
  if (!step.operation->isPerImage()) return false;
  *bytes = 0;
  for (size_t i = 0; i < step.inputs.size(); i++) {
    if (step.inputs[i] == kNoValue) continue;
    const size_t value = static_cast<size_t>(step.inputs[i]);
    const std::vector<int64_t>& shape = types[value].shape;
    const bool isBatch = !shape.empty() && shape[0] == N;
    if (program.values[value].constant != nullptr) {
      // A weight, or parameters of channels; but not numbers for each image.
      if (!step.operation->packs(i) && isBatch && shape.size() > 1) return false;
      continue;
    }
    // Of another rank it would broadcast, its first axis against one that is no batch.
    if (!isBatch || shape.size() != types[static_cast<size_t>(step.outputs[0])].shape.size()) return false;
    *bytes += valueBytes[value];
  }
  for (int output : step.outputs) {
    const std::vector<int64_t>& shape = types[static_cast<size_t>(output)].shape;
    if (shape.empty() || shape[0] != N) return false;
    *bytes += valueBytes[static_cast<size_t>(output)];
  }
  return true;
}

}  // namespace

size_t mostWholeBytes() { return 8 * cpuInfo().l2Bytes; }

Parts cutIntoParts(const Program& program, const std::vector<ValueType>& types, const std::vector<size_t>& valueBytes, int threads, size_t partBytes) {
  Parts parts;
  if (program.inputs.empty()) return parts;
  const std::vector<int64_t>& first = types[static_cast<size_t>(program.inputs[0])].shape;
  const int64_t N = first.empty() ? 1 : first[0];
  // Equal parts, so that one plan serves them all.
  int64_t images = std::min<int64_t>(N, threads);
  while (images > 1 && N % images != 0) images--;
  if (images == N) return parts;
  size_t bytes = 0, steps = 0;
  while (steps < program.steps.size() && isCuttable(program, program.steps[steps], types, valueBytes, N, &bytes) && bytes > partBytes) steps++;
  if (steps == 0) return parts;
  parts = {steps, static_cast<size_t>(N / images), images, std::vector<Share>(types.size(), Share::none)};
  for (int value : program.inputs) parts.shares[static_cast<size_t>(value)] = Share::stretch;
  for (size_t s = 0; s < steps; s++) {
    for (int value : program.steps[s].outputs) parts.shares[static_cast<size_t>(value)] = Share::anew;
  }
  // What is read behind the parts has to be there whole.
  const auto keep = [&parts](const std::vector<int>& values) {
    for (int value : values) {
      if (value != kNoValue && parts.share(static_cast<size_t>(value)) == Share::anew) parts.shares[static_cast<size_t>(value)] = Share::stretch;
    }
  };
  for (size_t s = steps; s < program.steps.size(); s++) keep(program.steps[s].inputs);
  keep(program.outputs);
  return parts;
}

}  // namespace repconv

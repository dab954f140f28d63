#include "executor/program.h"

namespace repconv {

StepTypes ProgramStep::typesOf(const std::vector<ValueType>& types) const {
  StepTypes result;
  for (int input : inputs) result.inputs.push_back(input == kNoValue ? nullptr : &types[static_cast<size_t>(input)]);
  for (int output : outputs) result.outputs.push_back(&types[static_cast<size_t>(output)]);
  return result;
}

Status Program::check() const {
  if (values.size() > kMaxValues || steps.size() > kMaxValues)
    return failure(Code::limit, "program: more than %zu values or steps", kMaxValues);
  const int count = static_cast<int>(values.size());
  std::vector<bool> isMade(values.size());
  for (size_t v = 0; v < values.size(); v++) {
    isMade[v] = values[v].constant != nullptr;
    if (isMade[v] && values[v].layout != Layout::plain)
      return failure(Code::input, "program: constant %zu expects the plain layout", v);
    if (values[v].dtype == DType::uint8 && isMade[v])
      return failure(Code::input, "program: value %zu of uint8 is no input", v);
  }
  const auto make = [&](int value) {
    if (value < 0 || value >= count || isMade[static_cast<size_t>(value)]) return false;
    isMade[static_cast<size_t>(value)] = true;
    return true;
  };
  for (int input : inputs) {
    if (!make(input) || values[static_cast<size_t>(input)].layout != Layout::plain)
      return failure(Code::input, "program: input %d is no plain value of its own", input);
  }
  for (size_t s = 0; s < steps.size(); s++) {
    for (size_t i = 0; i < steps[s].inputs.size(); i++) {
      const int input = steps[s].inputs[i];
      if (input != kNoValue && (input < 0 || input >= count || !isMade[static_cast<size_t>(input)])) {
        return failure(Code::input, "program: step %zu (%s) reads value %d before it is made", s, steps[s].name.c_str(),
                       input);
      }
      if (input == kNoValue) continue;
      const DType dtype = values[static_cast<size_t>(input)].dtype;
      if (!steps[s].operation->reads(i, dtype))
        return failure(Code::input, "program: step %zu (%s) does not read %s as input %zu", s, steps[s].name.c_str(),
                       dtypeName(dtype), i);
    }
    for (int output : steps[s].outputs) {
      if (!make(output))
        return failure(Code::input, "program: step %zu (%s) makes value %d, which is not free", s,
                       steps[s].name.c_str(), output);
      const DType dtype = values[static_cast<size_t>(output)].dtype;
      if (!steps[s].operation->makes(dtype))
        return failure(Code::input, "program: step %zu (%s) does not make %s", s, steps[s].name.c_str(),
                       dtypeName(dtype));
    }
  }
  // An output has memory of its own: it is the result of a step, named once.
  std::vector<bool> isStepResult(values.size());
  for (const ProgramStep& step : steps) {
    for (int output : step.outputs) isStepResult[static_cast<size_t>(output)] = true;
  }
  for (int output : outputs) {
    if (output < 0 || output >= count || !isStepResult[static_cast<size_t>(output)] ||
        values[static_cast<size_t>(output)].layout != Layout::plain) {
      return failure(Code::input, "program: output %d is no plain result of a step", output);
    }
    isStepResult[static_cast<size_t>(output)] = false;
  }
  return Status();
}

const char* dtypeName(DType dtype) {
  return dtype == DType::float64 ? "float64" : dtype == DType::uint8 ? "uint8" : "float32";
}

Status checkShape(const std::vector<int64_t>& shape) {
  if (shape.size() > kMaxRank)
    return failure(Code::shape, "program: a value has %zu axes, more than %zu", shape.size(), kMaxRank);
  int64_t size = 1;
  for (int64_t extent : shape) {
    if (extent < 0 || extent > kMaxExtent)
      return failure(Code::shape, "program: extent %lld is out of range", static_cast<long long>(extent));
    // No overflow: 2^40 · 2^31 < 2^63 would not hold, but 2^32 · 2^31 does, and beyond 2^40 the loop has left.
    size *= extent == 0 ? 1 : extent;
    if (size > kMaxElements)
      return failure(Code::shape, "program: a value of shape %s is too large", showShape(shape).c_str());
  }
  return Status();
}

}  // namespace repconv

// A program: what crosses the boundary. Plain data that says what to compute, as values and steps in order; read once,
// then only trusted.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ops/operation.h"

namespace repconv {

inline constexpr int kNoValue = -1;
// Limits of the reader. A program beyond them is refused before its values and steps are made, a shape before anything
// of its size is.
inline constexpr size_t kMaxValues = 1 << 20;
inline constexpr size_t kMaxRank = 8;
inline constexpr int64_t kMaxExtent = 0x7fffffff;
inline constexpr int64_t kMaxElements = int64_t{1} << 40;

struct ProgramValue {
  DType dtype = DType::float32;
  Layout layout = Layout::plain;
  const void* constant = nullptr;  // data of a constant
  std::vector<int64_t> shape;  // of a constant; the others get theirs with each plan
  bool isPrivate = false;  // of a constant that nobody changes or frees as long as the session may read it
};

struct ProgramStep {
  std::string name;  // of the operation
  std::string label;  // for people: which layer
  std::vector<int> inputs;  // kNoValue where an optional one is absent
  std::vector<int> outputs;
  std::unique_ptr<Operation> operation;

  // The types of its inputs and outputs, from those of all values.
  StepTypes typesOf(const std::vector<ValueType>& types) const;
};

struct Program {
  std::vector<ProgramValue> values;
  std::vector<ProgramStep> steps;
  std::vector<int> inputs;
  std::vector<int> outputs;

  // Every value is made once, before it is read: it is an input, a constant, or an output of one step. Inputs and
  // outputs are plain. Numbers are of the format that the steps which read and make them compute in; bytes are an
  // input.
  Status check() const;
};

// Whether a shape is within the limits.
Status checkShape(const std::vector<int64_t>& shape);

const char* dtypeName(DType dtype);
inline size_t elementBytes(DType dtype) { return dtype == DType::float64 ? 8 : dtype == DType::uint8 ? 1 : 4; }

}  // namespace repconv

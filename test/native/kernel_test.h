// Tests of single kernels: each is checked on memory between guard pages, in every table this processor can run, and
// again with the kernel replaced by one that does nothing, when the check must fail.
#pragma once

#include <string>
#include <vector>

#include "guarded.h"
#include "kernels/table.h"
#include "test.h"

namespace repconv::test {

// An empty text, or the first difference from the plain loops beside the check.
using Difference = std::string;

struct KernelCheck {
  const char* kernel;
  Difference (*compare)(const KernelTable& kernels, Side side);
  void (*disable)(KernelTable& kernels);
};

std::vector<KernelCheck>& kernelChecks();

struct KernelRegistration {
  explicit KernelRegistration(const KernelCheck& check) { kernelChecks().push_back(check); }
};

// What untouched memory holds: a number that no check computes.
inline constexpr float kUntouched = -12345678.0f;

// Whole numbers whose sums of products stay exact in float32.
inline float smallInteger(Random& random) { return static_cast<float>(random.between(-8, 8)); }

// Element by element, the same bits or both NaN; `what` names the array.
Difference compareFloats(const char* what, const float* got, const float* expected, size_t size);

inline float clampOf(float value, float low, float high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

}  // namespace repconv::test

// One block of memory for all values that live only inside a run: values that are never needed at the same time share
// their place.
#pragma once

#include <vector>

#include "executor/program.h"

namespace repconv {

inline constexpr size_t kOutside = ~size_t{0};

// Where a value lies, and during which steps its place is taken.
struct Placement {
  int value;
  size_t offset, sizeBytes;
  int from, to;
};

struct ArenaPlan {
  std::vector<size_t> offsets;  // per value; kOutside for inputs, outputs, constants and what lies elsewhere
  std::vector<Placement> placements;
  size_t sizeBytes = 0;
};

// Plans those of the values that live only inside a run for which `isHere` says so; the others lie elsewhere.
ArenaPlan planArena(const Program& program, const std::vector<size_t>& valueBytes, const std::vector<bool>& isHere);

}  // namespace repconv

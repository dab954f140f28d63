#include "executor/arena.h"

#include <algorithm>

namespace repconv {
namespace {

// A place in the arena: the values that have it (one, and those made in place of it) and the steps during which it is
// taken.
struct Place {
  std::vector<size_t> values;
  size_t sizeBytes;
  int from, to;
  size_t offset = 0;

  bool overlapsInTime(const Place& other) const { return from <= other.to && other.from <= to; }
};

// First fit by decreasing size.
size_t assignOffsets(std::vector<Place>& places) {
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.sizeBytes > b.sizeBytes; });
  std::vector<const Place*> byOffset;
  const auto isBefore = [](const Place* a, const Place* b) { return a->offset < b->offset; };
  size_t total = 0;
  for (Place& place : places) {
    for (const Place* other : byOffset) {
      if (!place.overlapsInTime(*other)) continue;
      if (place.offset + place.sizeBytes <= other->offset) break;
      place.offset = std::max(place.offset, other->offset + other->sizeBytes);
    }
    total = std::max(total, place.offset + place.sizeBytes);
    byOffset.insert(std::upper_bound(byOffset.begin(), byOffset.end(), &place, isBefore), &place);
  }
  return total;
}

}  // namespace

ArenaPlan planArena(const Program& program, const std::vector<size_t>& valueBytes, const std::vector<bool>& isHere) {
  const size_t count = program.values.size();
  std::vector<bool> isOutside(count);
  for (size_t v = 0; v < count; v++) isOutside[v] = program.values[v].constant != nullptr || !isHere[v];
  for (int value : program.inputs) isOutside[static_cast<size_t>(value)] = true;
  for (int value : program.outputs) isOutside[static_cast<size_t>(value)] = true;
  const int steps = static_cast<int>(program.steps.size());
  std::vector<int> lastRead(count, -1);
  for (int s = 0; s < steps; s++) {
    for (int input : program.steps[static_cast<size_t>(s)].inputs) {
      if (input != kNoValue) lastRead[static_cast<size_t>(input)] = s;
    }
  }

  std::vector<Place> places;
  std::vector<size_t> placeOf(count, kOutside);
  for (int s = 0; s < steps; s++) {
    const ProgramStep& step = program.steps[static_cast<size_t>(s)];
    for (int output : step.outputs) {
      const size_t v = static_cast<size_t>(output);
      if (isOutside[v]) continue;
      const int until = std::max(lastRead[v], s);
      const size_t input = step.inputs.empty() || step.inputs[0] == kNoValue ? v : static_cast<size_t>(step.inputs[0]);
      if (step.operation->isInPlace(0) && placeOf[input] != kOutside && lastRead[input] == s) {
        Place& place = places[placeOf[input]];
        placeOf[v] = placeOf[input];
        place.values.push_back(v);
        place.to = until;
        continue;
      }
      placeOf[v] = places.size();
      // One cache line more: a vector load that begins at the last element stays inside.
      places.push_back({{v}, roundUp(valueBytes[v], kCacheLineBytes) + kCacheLineBytes, s, until});
    }
  }
  ArenaPlan plan;
  plan.sizeBytes = assignOffsets(places);
  plan.offsets.assign(count, kOutside);
  for (const Place& place : places) {
    for (size_t value : place.values) {
      plan.offsets[value] = place.offset;
      plan.placements.push_back({static_cast<int>(value), place.offset, valueBytes[value], place.from, place.to});
    }
  }
  return plan;
}

}  // namespace repconv

#include "ops/panels.h"

#include <algorithm>

namespace repconv {

PanelPlan planPanels(const KernelTable& kernels, int groups, int64_t channels, int64_t depth) {
  return planPanels(kernels.vectorLength, kMaxPanelVectors, groups, channels, depth);
}

PanelPlan planPanels(int vectorLength, int maxVectors, int groups, int64_t channels, int64_t depth) {
  PanelPlan plan;
  plan.depth = depth;
  const int VL = vectorLength;
  for (int group = 0; group < groups; group++) {
    int64_t first = 0;
    while (first < channels) {
      const int64_t left = (channels - first + VL - 1) / VL;
      // Threes as long as they last; a remainder of one makes two twos of a three and a one: a tile of one vector reads
      // too much per product.
      const int vectors = left == 4 ? 2 : static_cast<int>(std::min<int64_t>(left, maxVectors));
      const int64_t covered = std::min<int64_t>(channels - first, vectors * VL);
      plan.panels.push_back(
          {group * channels + first, group, vectors, static_cast<int>(covered), plan.weightFloats, plan.biasFloats});
      plan.weightFloats += static_cast<size_t>(depth * vectors * VL);
      plan.biasFloats += static_cast<size_t>(vectors * VL);
      first += covered;
    }
  }
  return plan;
}

}  // namespace repconv

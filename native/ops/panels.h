// Weights of a dense product, cut into panels of a few vectors of output channels and laid out in the order in which
// the register tile reads them:
//
//     panel 0: [k = 0: 48 channels][k = 1: 48 channels] … [k = K−1]      panel 1: …
//
// so that a product over any number of pixels streams each panel once, front to back. Channels that fill up the last
// vector are zero.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/table.h"

namespace repconv {

struct Panel {
  int64_t firstChannel;  // in the output
  int group;
  int vectors;
  int channels;
  size_t weightOffset;  // in floats
  size_t biasOffset;

  int lastLanes(int vectorLength) const { return channels - (vectors - 1) * vectorLength; }
};

struct PanelPlan {
  std::vector<Panel> panels;
  int64_t depth = 0;  // K: products per output
  size_t weightFloats = 0;
  size_t biasFloats = 0;

  size_t sizeBytes() const { return (weightFloats + biasFloats) * sizeof(float); }
};

// Panels for `groups` groups of `channels` outputs each.
PanelPlan planPanels(const KernelTable& kernels, int groups, int64_t channels, int64_t depth);
// The same for another kernel's vectors.
PanelPlan planPanels(int vectorLength, int maxVectors, int groups, int64_t channels, int64_t depth);

// Fills packed memory (weights, then biases). weightAt(channel, k) with the channel counted over all groups; bias may
// be null.
template <typename WeightAt>
void packPanels(const KernelTable& kernels, const PanelPlan& plan, const WeightAt& weightAt, const float* bias,
                float* packed) {
  for (const Panel& panel : plan.panels) {
    const int width = panel.vectors * kernels.vectorLength;
    float *weights = packed + panel.weightOffset, *biases = packed + plan.weightFloats + panel.biasOffset;
    for (int64_t k = 0; k < plan.depth; k++) {
      for (int i = 0; i < panel.channels; i++) weights[k * width + i] = weightAt(panel.firstChannel + i, k);
      std::fill_n(weights + k * width + panel.channels, width - panel.channels, 0.0f);
    }
    for (int i = 0; i < width; i++)
      biases[i] = bias != nullptr && i < panel.channels ? bias[panel.firstChannel + i] : 0.0f;
  }
}

}  // namespace repconv

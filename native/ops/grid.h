// A dense product over a grid of output pixels: what direct convolution, 1×1 convolution, im2col, transposed
// convolution and linear layers have in common. For each output pixel the input is a fixed pattern of runs relative to
// a moving point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/table.h"
#include "ops/epilogue.h"
#include "ops/panels.h"

namespace repconv {

// The pattern of runs, the same for every pixel. Run offsets are for group 0; group g lies g·groupStride further.
struct RunPattern {
  std::vector<ptrdiff_t> offsets;
  int length = 0;
  ptrdiff_t groupStride = 0;

  int64_t depth() const { return static_cast<int64_t>(offsets.size()) * length; }
};

struct Grid {
  const float* in;  // where the pattern of pixel (0, 0) starts
  ptrdiff_t inRow, inPixel;
  float* out;
  ptrdiff_t outRow, outPixel;
  const float* residual;  // or null
  ptrdiff_t residualRow, residualPixel;
  int64_t rows, columns;
  int64_t capacity;  // channels a pixel has room for: the last panel may fill it with what belongs to no channel
};

// One panel's weights and how much of its last vector is stored.
struct PanelWeights {
  const float* weights;
  const float* bias;
  int vectors;
  int lastLanes;
  // What will be read after these, fetched on the way; none: unknown.
  const float* next = nullptr;
  int64_t nextFloats = 0;
};

// One panel for all pixels; the grid's pointers are those of the panel's group and first channel.
void computePanel(const KernelTable& kernels, const Grid& grid, const RunPattern& pattern, const PanelWeights& panel,
                  const Epilogue& epilogue);

// Panels panelBegin … panelEnd − 1 for all pixels: panel by panel, so that a panel stays in cache while the pixels
// pass. `following`: weights that are read
// after the last of them; null: unknown.
void computeGrid(const KernelTable& kernels, const Grid& grid, const RunPattern& pattern, const PanelPlan& plan,
                 const float* packed, size_t panelBegin, size_t panelEnd, const Epilogue& epilogue,
                 const float* following = nullptr);

// How a product over images is cut into tasks: images × row blocks × panel blocks.
struct WorkSplit {
  int64_t rowBlocks = 1;
  int64_t panelBlocks = 1;
};

struct WorkSize {
  int64_t images, rows;
  size_t panels, weightBytes, inputBytesPerImage;
};

// By images and rows, unless the weights outweigh the activations by far: reading the other's activations costs more
// than reading shared weights twice (192 → 192 channels at 14×14 on two cores, split by channel 195 µs, by rows 161
// µs).
WorkSplit splitWork(const WorkSize& size, int threads);

}  // namespace repconv

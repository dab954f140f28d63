// What the dense algorithms (direct, pointwise, im2col) share: one packing of the weights, taps outermost, channels
// innermost.
#pragma once

#include "ops/conv/conv.h"
#include "ops/grid.h"

namespace repconv {

struct PackedConv {
  PanelPlan plan;
  const float* packed = nullptr;
};

// The session's packed weights of this step: made once, shared by its plans.
Result<PackedConv> packDenseConv(const ConvPlan& plan);

// The runs of one output pixel relative to its top left tap. Rows of taps merge into one run where pixels are dense,
// undilated and ungrouped.
RunPattern tapRuns(const ConvGeometry& geometry, ptrdiff_t pixel, ptrdiff_t row);

// Activations that are no clamp, over rows that were just stored.
void activateRows(const KernelTable& kernels, const Epilogue& epilogue, const Image& image, float* memory, int64_t n,
                  int64_t rowBegin, int64_t rowEnd);

}  // namespace repconv

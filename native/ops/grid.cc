#include "ops/grid.h"

#include <algorithm>

#include "core/cpu_info.h"
#include "core/memory.h"

namespace repconv {

void computePanel(const KernelTable& kernels, const Grid& grid, const RunPattern& pattern, const PanelWeights& panel,
                  const Epilogue& epilogue) {
  GemmTile tile{};
  tile.pixelStride = grid.inPixel;
  tile.runOffsets = pattern.offsets.data();
  tile.runCount = static_cast<int>(pattern.offsets.size());
  tile.runLength = pattern.length;
  tile.outPixelStride = grid.outPixel;
  tile.residualPixelStride = grid.residualPixel;
  tile.low = epilogue.low();
  tile.high = epilogue.high();
  tile.weights = panel.weights;
  tile.bias = panel.bias;
  tile.lastLanes = panel.lastLanes;
  const GemmKernel* byPixels = kernels.gemm[panel.vectors];
  const int64_t most = kernels.tilePixels[panel.vectors];
  // Tiles of nearly equal width: 14 pixels are 7 + 7, not 8 + 6.
  const int64_t tiles = (grid.columns + most - 1) / most;
  // What comes next is fetched evenly, a line for each product at most: prefetches wait for the same buffers as loads
  // do, and a line that was fetched already costs as much as one that was not (three for each product: 0.19 ms for
  // RepVGG-A0's first layer instead of 0.16; EPYC, Zen 5).
  tile.prefetch = panel.weights;
  const int64_t products = pattern.depth();
  if (panel.next != nullptr) {
    const int64_t sizeBytes = panel.nextFloats * static_cast<int64_t>(sizeof(float)),
                  fetches = std::max<int64_t>(grid.rows * tiles * products, 1);
    tile.prefetchStep = std::min<int64_t>(sizeBytes / fetches + 1, kCacheLineBytes);
  }
  for (int64_t y = 0; y < grid.rows; y++) {
    int64_t x = 0;
    for (int64_t t = 0; t < tiles; t++) {
      const int64_t end = grid.columns * (t + 1) / tiles;
      tile.in = grid.in + y * grid.inRow + x * grid.inPixel;
      tile.out = grid.out + y * grid.outRow + x * grid.outPixel;
      if (grid.residual != nullptr) tile.residual = grid.residual + y * grid.residualRow + x * grid.residualPixel;
      if (panel.next != nullptr)
        tile.prefetch = reinterpret_cast<const char*>(panel.next) + (y * tiles + t) * products * tile.prefetchStep;
      byPixels[end - x](tile);
      x = end;
    }
  }
}

void computeGrid(const KernelTable& kernels, const Grid& grid, const RunPattern& pattern, const PanelPlan& plan,
                 const float* packed, size_t panelBegin, size_t panelEnd, const Epilogue& epilogue,
                 const float* following) {
  for (size_t index = panelBegin; index < panelEnd; index++) {
    const Panel& panel = plan.panels[index];
    const bool isLast =
        index + 1 == plan.panels.size() && panel.firstChannel + panel.vectors * kernels.vectorLength <= grid.capacity;
    Grid part = grid;
    part.in += panel.group * pattern.groupStride;
    part.out += panel.firstChannel;
    if (part.residual != nullptr) part.residual += panel.firstChannel;
    PanelWeights weights{packed + panel.weightOffset, packed + plan.weightFloats + panel.biasOffset, panel.vectors,
                         isLast ? kernels.vectorLength : panel.lastLanes(kernels.vectorLength)};
    weights.next = index + 1 < panelEnd ? packed + plan.panels[index + 1].weightOffset : following;
    weights.nextFloats = plan.depth * panel.vectors * kernels.vectorLength;
    computePanel(kernels, part, pattern, weights, epilogue);
  }
}

WorkSplit splitWork(const WorkSize& size, int threads) {
  WorkSplit split;
  const int64_t panels = static_cast<int64_t>(size.panels);
  const size_t activations = size.inputBytesPerImage * static_cast<size_t>(size.images);
  if (threads > 1 && size.weightBytes > 8 * activations && panels >= threads) {
    split.panelBlocks = panels >= 4 * threads ? 2 * threads : threads;
    return split;
  }
  if (size.images % threads != 0 && size.images < 4 * threads) split.rowBlocks = threads;
  // With several panels the input passes several times: keep what passes within half the second-level cache.
  const size_t half = cpuInfo().l2Bytes / 2;
  if (panels > 1 && size.inputBytesPerImage > half) {
    const int64_t blocks = static_cast<int64_t>(size.inputBytesPerImage / half + 1);
    split.rowBlocks = (blocks + split.rowBlocks - 1) / split.rowBlocks * split.rowBlocks;
  }
  split.rowBlocks = std::clamp<int64_t>(split.rowBlocks, 1, std::max<int64_t>(size.rows, 1));
  return split;
}

}  // namespace repconv

#include "ops/conv/dense.h"

namespace repconv {

Result<PackedConv> packDenseConv(const ConvPlan& plan) {
  const ConvGeometry& geometry = plan.geometry;
  const KernelTable& kernels = plan.context.kernels;
  const int64_t perGroup = geometry.channelsPerGroup();
  const int64_t taps = geometry.taps();
  PackedConv result;
  result.plan = planPanels(kernels, geometry.attributes.groups, geometry.outputsPerGroup(), taps * perGroup);
  Result<const void*> packed = plan.context.packed("dense", result.plan.sizeBytes(), [&](void* to) {
    const float* weight = plan.weight;
    packPanels(
        kernels, result.plan,
        [=](int64_t o, int64_t k) { return weight[(o * perGroup + k % perGroup) * taps + k / perGroup]; }, plan.bias,
        static_cast<float*>(to));
  });
  if (!packed.isOk()) return packed.status();
  result.packed = static_cast<const float*>(packed.value());
  return result;
}

RunPattern tapRuns(const ConvGeometry& geometry, ptrdiff_t pixel, ptrdiff_t row) {
  const ConvAttributes& attributes = geometry.attributes;
  const bool isMerged = attributes.groups == 1 && attributes.dilation[1] == 1 && pixel == geometry.C;
  RunPattern pattern;
  pattern.groupStride = static_cast<ptrdiff_t>(geometry.channelsPerGroup());
  pattern.length = static_cast<int>(isMerged ? geometry.L * geometry.C : geometry.channelsPerGroup());
  for (int64_t u = 0; u < geometry.K; u++) {
    for (int64_t v = 0; v < (isMerged ? 1 : geometry.L); v++) {
      pattern.offsets.push_back(u * attributes.dilation[0] * row + v * attributes.dilation[1] * pixel);
    }
  }
  return pattern;
}

void activateRows(const KernelTable& kernels, const Epilogue& epilogue, const Image& image, float* memory, int64_t n,
                  int64_t rowBegin, int64_t rowEnd) {
  if (epilogue.isClamp()) return;
  for (int64_t y = rowBegin; y < rowEnd; y++) {
    float* row = image.at(memory, n, y);
    kernels.activate(epilogue.activation, epilogue.alpha, row, row, static_cast<size_t>(image.W * image.pixel));
  }
}

}  // namespace repconv

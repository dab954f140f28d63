// Depthwise convolution: every channel by itself, a vector of channels at a time, taps read where they lie.
#include <cstring>

#include "ops/conv/dense.h"

namespace repconv {
namespace {

class DepthwiseTask : public Task {
 public:
  DepthwiseTask(const ConvPlan& plan, const float* packed) : in_(plan.in), out_(plan.out), packed_(packed), geometry_(plan.geometry) {
    if (plan.residual != nullptr) residual_ = *plan.residual;
    const ConvAttributes& attributes = geometry_.attributes;
    for (int64_t u = 0; u < geometry_.K; u++) {
      for (int64_t v = 0; v < geometry_.L; v++) {
        tapOffsets_.push_back((u * attributes.dilation[0] - attributes.padding[0]) * in_.row + (v * attributes.dilation[1] - attributes.padding[1]) * in_.pixel);
      }
    }
  }

  void run(const RunContext& context) const override {
    const ConvAttributes& attributes = geometry_.attributes;
    const float* residual = context.inputs[3] != nullptr ? context.input(3) : nullptr;
    const int64_t rows = geometry_.outH;
    context.team.parallelFor(static_cast<size_t>(geometry_.N * rows), [&](size_t item, int) {
      const int64_t n = static_cast<int64_t>(item) / rows, y = static_cast<int64_t>(item) % rows;
      DepthwiseRow row{};
      row.in = in_.at(context.input(0), n, y * attributes.stride[0]);
      row.inPixelStride = attributes.stride[1] * in_.pixel;
      row.tapOffsets = tapOffsets_.data();
      row.tapCount = static_cast<int>(tapOffsets_.size());
      row.weights = packed_;
      row.weightStride = out_.pixel;
      row.bias = packed_ + row.tapCount * out_.pixel;
      row.out = out_.at(context.output(), n, y);
      row.outPixelStride = out_.pixel;
      if (residual != nullptr) {
        row.residual = residual_.at(residual, n, y);
        row.residualPixelStride = residual_.pixel;
      }
      row.pixels = geometry_.outW;
      row.channels = out_.pixel;
      row.low = attributes.epilogue.low();
      row.high = attributes.epilogue.high();
      context.kernels.depthwise(row);
      activateRows(context.kernels, attributes.epilogue, out_, context.output(), n, y, y + 1);
      clearBorder(out_, context.output(), n, y, y + 1);
    });
  }

 private:
  Image in_, out_, residual_;
  const float* packed_;  // [tap][channel], then the bias, whole vectors
  ConvGeometry geometry_;
  std::vector<ptrdiff_t> tapOffsets_;
};

Result<std::unique_ptr<Task>> planDepthwise(const ConvPlan& plan) {
  const int64_t taps = plan.geometry.taps(), channels = plan.geometry.O, pixel = plan.out.pixel;
  const size_t floats = static_cast<size_t>((taps + 1) * pixel);
  Result<const void*> packed = plan.context.packed("depthwise", floats * sizeof(float), [&](void* memory) {
    float* to = static_cast<float*>(memory);
    std::memset(to, 0, floats * sizeof(float));
    for (int64_t t = 0; t < taps; t++) {
      for (int64_t c = 0; c < channels; c++) to[t * pixel + c] = plan.weight[c * taps + t];
    }
    if (plan.bias != nullptr) std::memcpy(to + taps * pixel, plan.bias, static_cast<size_t>(channels) * sizeof(float));
  });
  if (!packed.isOk()) return packed.status();
  return std::unique_ptr<Task>(new DepthwiseTask(plan, static_cast<const float*>(packed.value())));
}

bool isDepthwise(const ConvGeometry& geometry) {
  // Whole vectors of channels are read: the input must have them (fewer than a block may come tight).
  return geometry.channelsPerGroup() == 1 && geometry.O == geometry.C && geometry.C >= kChannelBlock;
}

double depthwiseCost(const ConvGeometry& geometry, const PlanContext& context) {
  const KernelTable& kernels = context.kernels;
  // One load per multiply-add: about half the rate of the register tile.
  return 2.0 * static_cast<double>(geometry.N * geometry.outH * geometry.outW * geometry.taps()) * static_cast<double>(roundUp(geometry.C, kChannelBlock)) /
         kernels.vectorLength;
}

}  // namespace

const ConvAlgorithm kDepthwiseConv = {"depthwise", isDepthwise, depthwiseCost, planDepthwise};

}  // namespace repconv

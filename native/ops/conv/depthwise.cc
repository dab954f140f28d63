// Depthwise convolution: every channel by itself, taps read where they lie.
#include <algorithm>
#include <cstring>

#include "ops/conv/dense.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

class DepthwiseTask : public Task {
 public:
  DepthwiseTask(const ConvPlan& plan, const float* packed)
      : in_(plan.in), out_(plan.out), packed_(packed), geometry_(plan.geometry) {
    if (plan.residual != nullptr) residual_ = *plan.residual;
    // As many rows as are worth handing to another thread, in whole blocks of the kernel.
    const int64_t block = plan.context.kernels.depthwiseRows, rowElements = std::max<int64_t>(1, out_.W * out_.pixel);
    rowsPerItem_ = std::max<int64_t>(1, static_cast<int64_t>(kChunkElements) / rowElements / block) * block;
  }

  void run(const RunContext& context) const override {
    const int64_t blocks = (out_.H + rowsPerItem_ - 1) / rowsPerItem_;
    context.team.parallelFor(static_cast<size_t>(out_.N * blocks), [&](size_t item, int) {
      const int64_t begin = static_cast<int64_t>(item) % blocks * rowsPerItem_;
      computeRows(context, static_cast<int64_t>(item) / blocks, begin, std::min(out_.H, begin + rowsPerItem_));
    });
  }

 private:
  void computeRows(const RunContext& context, int64_t n, int64_t begin, int64_t end) const {
    const ConvAttributes& attributes = geometry_.attributes;
    DepthwiseRows work{};
    work.in = in_.at(context.input(0), n, begin * attributes.stride[0] - attributes.padding[0], -attributes.padding[1]);
    work.inRow = attributes.stride[0] * in_.row;
    work.inPixel = attributes.stride[1] * in_.pixel;
    work.tapRow = attributes.dilation[0] * in_.row;
    work.tapPixel = attributes.dilation[1] * in_.pixel;
    work.tapRows = static_cast<int>(geometry_.K);
    work.tapColumns = static_cast<int>(geometry_.L);
    work.weights = packed_;
    work.weightStride = out_.pixel;
    work.bias = packed_ + geometry_.taps() * out_.pixel;
    work.out = out_.at(context.output(), n, begin);
    work.outRow = out_.row;
    work.outPixel = out_.pixel;
    if (context.inputs[3] != nullptr) {
      work.residual = residual_.at(context.input(3), n, begin);
      work.residualRow = residual_.row;
      work.residualPixel = residual_.pixel;
    }
    work.rows = end - begin;
    work.pixels = geometry_.outW;
    work.channels = out_.pixel;
    work.low = attributes.epilogue.low();
    work.high = attributes.epilogue.high();
    context.kernels.depthwise(work);
    activateRows(context.kernels, attributes.epilogue, out_, context.output(), n, begin, end);
    clearBorder(out_, context.output(), n, begin, end);
  }

  Image in_, out_, residual_;
  const float* packed_;  // [tap][channel], then the bias, whole vectors
  ConvGeometry geometry_;
  int64_t rowsPerItem_ = 1;
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
  return 2.0 * static_cast<double>(geometry.N * geometry.outH * geometry.outW * geometry.taps()) *
         static_cast<double>(roundUp(geometry.C, kChannelBlock)) / kernels.vectorLength;
}

}  // namespace

const ConvAlgorithm kDepthwiseConv = {"depthwise", isDepthwise, depthwiseCost, planDepthwise};

}  // namespace repconv

// im2col: the taps of every output pixel are copied into a row of a matrix, and the convolution is one matrix product
// over those rows.
//
// Copies what direct convolution reads in place, and wins where rows are short: a 4×4 map is two full tiles of 8 pixels
// instead of four half ones, and a row of the matrix is one long run.
#include <algorithm>
#include <cstring>

#include "ops/conv/dense.h"

namespace repconv {
namespace {

// Matrix rows and their products of at most this many bytes are made at a time; they stay in the second-level cache, a
// panel of weights beside them.
constexpr int64_t kBlockBytes = 512 << 10;

class Im2colTask : public Task {
 public:
  Im2colTask(const ConvPlan& plan, PackedConv packed)
      : in_(plan.in), out_(plan.out), packed_(std::move(packed)), geometry_(plan.geometry) {
    if (plan.residual != nullptr) residual_ = *plan.residual;
    tapPattern_ = tapRuns(geometry_, in_.pixel, in_.row);
    // A matrix row keeps all channels of a tap together; a group's share of it is one run per tap.
    const ConvAttributes& attributes = geometry_.attributes;
    const int64_t taps = geometry_.taps();
    rowFloats_ = taps * geometry_.C;
    rowPattern_.groupStride = static_cast<ptrdiff_t>(geometry_.channelsPerGroup());
    rowPattern_.length = static_cast<int>(attributes.groups == 1 ? rowFloats_ : geometry_.channelsPerGroup());
    for (int64_t t = 0; t < (attributes.groups == 1 ? 1 : taps); t++) rowPattern_.offsets.push_back(t * geometry_.C);
    // Tap runs copy all channels, whatever the groups.
    copyFloats_ = attributes.groups == 1 ? tapPattern_.length : static_cast<int>(geometry_.C);
    productFloats_ = roundUp(geometry_.O, kChannelBlock);
    blockPixels_ = std::clamp<int64_t>(
        kBlockBytes / ((rowFloats_ + productFloats_) * static_cast<int64_t>(sizeof(float))), 8, 256);
    memberScratchBytes =
        roundUp(static_cast<size_t>(blockPixels_ * (rowFloats_ + productFloats_)) * sizeof(float), kCacheLineBytes);
  }

  void run(const RunContext& context) const override {
    const int64_t pixels = geometry_.N * geometry_.outH * geometry_.outW;
    // At least one block for every member, if there are pixels enough for a tile each.
    const int64_t blocks = std::max((pixels + blockPixels_ - 1) / blockPixels_,
                                    std::min<int64_t>(context.team.capacity(), (pixels + 7) / 8));
    context.team.parallelFor(static_cast<size_t>(blocks), [&](size_t item, int member) {
      const int64_t block = static_cast<int64_t>(item);
      const int64_t begin = pixels * block / blocks, end = pixels * (block + 1) / blocks;
      float* matrix = context.scratch<float>(member);
      float* product = matrix + blockPixels_ * rowFloats_;
      for (int64_t p = begin; p < end; p++) copyTaps(context.input(0), p, matrix + (p - begin) * rowFloats_);
      Grid grid{};
      grid.in = matrix;
      grid.inPixel = rowFloats_;
      grid.out = product;
      grid.outPixel = grid.capacity = productFloats_;
      grid.rows = 1;
      grid.columns = end - begin;
      computeGrid(context.kernels, grid, rowPattern_, packed_.plan, packed_.packed, 0, packed_.plan.panels.size(),
                  Epilogue{});
      for (int64_t p = begin; p < end; p++) storePixel(context, p, product + (p - begin) * productFloats_);
    });
    context.team.parallelFor(static_cast<size_t>(geometry_.N), [&](size_t n, int) {
      clearBorder(out_, context.output(), static_cast<int64_t>(n), 0, out_.H);
    });
  }

 private:
  struct Position {
    int64_t n, y, x;
  };
  Position position(int64_t pixel) const {
    const int64_t perImage = geometry_.outH * geometry_.outW;
    return {pixel / perImage, pixel % perImage / geometry_.outW, pixel % geometry_.outW};
  }

  void copyTaps(const float* input, int64_t pixel, float* row) const {
    const ConvAttributes& attributes = geometry_.attributes;
    const Position at = position(pixel);
    const float* from = in_.at(input, at.n, at.y * attributes.stride[0] - attributes.padding[0],
                               at.x * attributes.stride[1] - attributes.padding[1]);
    for (ptrdiff_t offset : tapPattern_.offsets) {
      std::memcpy(row, from + offset, static_cast<size_t>(copyFloats_) * sizeof(float));
      row += copyFloats_;
    }
  }

  // Pixel by pixel to where it belongs, since rows of the image do not follow each other without a gap.
  void storePixel(const RunContext& context, int64_t pixel, const float* product) const {
    const Epilogue& epilogue = geometry_.attributes.epilogue;
    const Position at = position(pixel);
    const size_t channels = static_cast<size_t>(out_.pixel);
    float* to = out_.at(context.output(), at.n, at.y, at.x);
    if (context.inputs[3] != nullptr) {
      context.kernels.add(to, product, residual_.at(context.input(3), at.n, at.y, at.x), channels, epilogue.low(),
                          epilogue.high());
    } else {
      context.kernels.clampRow(to, product, channels, epilogue.low(), epilogue.high());
    }
    if (!epilogue.isClamp()) context.kernels.activate(epilogue.activation, epilogue.alpha, to, to, channels);
  }

  Image in_, out_, residual_;
  PackedConv packed_;
  ConvGeometry geometry_;
  RunPattern tapPattern_, rowPattern_;
  int64_t rowFloats_ = 0, productFloats_ = 0, blockPixels_ = 0;
  int copyFloats_ = 0;
};

Result<std::unique_ptr<Task>> planIm2col(const ConvPlan& plan) {
  Result<PackedConv> packed = packDenseConv(plan);
  if (!packed.isOk()) return packed.status();
  return std::unique_ptr<Task>(new Im2colTask(plan, std::move(packed.value())));
}

double im2colCost(const ConvGeometry& geometry, const PlanContext& context) {
  const KernelTable& kernels = context.kernels;
  const double pixels = static_cast<double>(geometry.N * geometry.outH * geometry.outW);
  const double perRow =
      tileRowCost(kernels, static_cast<int64_t>(pixels), geometry.outputsPerGroup()) * geometry.attributes.groups;
  // Copying in and moving out, in vectors: measured as about two multiply-adds for each vector moved.
  const double moved =
      pixels * static_cast<double>(geometry.taps() * geometry.C + 2 * geometry.O) / kernels.vectorLength;
  const double products = perRow * static_cast<double>(geometry.taps() * geometry.channelsPerGroup());
  return std::max(products, weightCost(kernels, geometry.O * geometry.taps() * geometry.channelsPerGroup())) +
         2 * moved;
}

}  // namespace

const ConvAlgorithm kIm2colConv = {"im2col", [](const ConvGeometry&) { return true; }, im2colCost, planIm2col};

}  // namespace repconv

// Direct convolution over padded NHWC: every output pixel reads its taps where they lie, rows of taps as one run. No
// copies, no branches at the border. And its special case, the 1×1 convolution over dense pixels, which is a plain
// matrix product over all pixels of an image.
#include <algorithm>

#include "ops/conv/dense.h"

namespace repconv {
namespace {

class DirectTask : public Task {
 public:
  DirectTask(const ConvPlan& plan, PackedConv packed, bool isOneRow)
      : in_(plan.in), out_(plan.out), packed_(std::move(packed)), geometry_(plan.geometry) {
    if (plan.residual != nullptr) residual_ = *plan.residual;
    packedWeights = packed_.packed;
    rows_ = isOneRow ? 1 : geometry_.outH;
    columns_ = isOneRow ? geometry_.outH * geometry_.outW : geometry_.outW;
    const ConvAttributes& attributes = geometry_.attributes;
    pattern_ = tapRuns(geometry_, in_.pixel, in_.row);
    // The top left tap of output pixel (0, 0).
    start_ = -attributes.padding[0] * in_.row - attributes.padding[1] * in_.pixel;
    split_ = splitWork({geometry_.N, rows_, packed_.plan.panels.size(), packed_.plan.weightFloats * sizeof(float),
                        static_cast<size_t>(in_.image) * sizeof(float)},
                       plan.context.threads);
    if (isOneRow && split_.panelBlocks == 1) splitColumns(plan.context.threads);
  }

  void run(const RunContext& context) const override {
    const ConvAttributes& attributes = geometry_.attributes;
    const float* input = context.input(0);
    const float* residual = context.inputs[3] != nullptr ? context.input(3) : nullptr;
    float* output = context.output();
    const int64_t blocks = columnBlocks_ * split_.rowBlocks;
    const size_t panels = packed_.plan.panels.size();
    const auto computeBlock = [&](int64_t n, int64_t block, size_t panelBegin, size_t panelEnd) {
      const int64_t x = columns_ * (block % columnBlocks_) / columnBlocks_,
                    xEnd = columns_ * (block % columnBlocks_ + 1) / columnBlocks_;
      const int64_t y = rows_ * (block / columnBlocks_) / split_.rowBlocks,
                    yEnd = rows_ * (block / columnBlocks_ + 1) / split_.rowBlocks;
      Grid grid{};
      grid.inRow = attributes.stride[0] * in_.row;
      grid.inPixel = attributes.stride[1] * in_.pixel;
      grid.in = in_.at(input, n, 0) + start_ + y * grid.inRow + x * grid.inPixel;
      grid.outRow = out_.row;
      grid.outPixel = out_.pixel;
      grid.out = out_.at(output, n, y, x);
      if (residual != nullptr) {
        grid.residual = residual_.at(residual, n, y, x);
        grid.residualRow = residual_.row;
        grid.residualPixel = residual_.pixel;
      }
      grid.rows = yEnd - y;
      grid.columns = xEnd - x;
      grid.capacity = out_.pixel;
      computeGrid(context.kernels, grid, pattern_, packed_.plan, packed_.packed, panelBegin, panelEnd,
                  attributes.epilogue, context.following);
    };
    if (split_.panelBlocks > 1) {
      context.team.parallelFor(static_cast<size_t>(split_.panelBlocks), [&](size_t item, int) {
        for (int64_t n = 0; n < geometry_.N; n++) {
          computeBlock(n, 0, panels * item / static_cast<size_t>(split_.panelBlocks),
                       panels * (item + 1) / static_cast<size_t>(split_.panelBlocks));
        }
      });
      context.team.parallelFor(static_cast<size_t>(geometry_.N),
                               [&](size_t n, int) { finish(context, static_cast<int64_t>(n), 0, out_.H); });
      return;
    }
    context.team.parallelFor(static_cast<size_t>(geometry_.N * blocks), [&](size_t item, int) {
      const int64_t n = static_cast<int64_t>(item) / blocks, block = static_cast<int64_t>(item) % blocks;
      computeBlock(n, block, 0, panels);
      if (columnBlocks_ == 1 && rows_ == out_.H) {
        finish(context, n, rows_ * block / split_.rowBlocks, rows_ * (block + 1) / split_.rowBlocks);
      } else {
        activateColumns(context, n, columns_ * block / columnBlocks_, columns_ * (block + 1) / columnBlocks_);
      }
    });
  }

 private:
  // One row of H·W pixels: cut it as rows would have been.
  void splitColumns(int threads) {
    const WorkSplit split =
        splitWork({geometry_.N, geometry_.outH, packed_.plan.panels.size(), packed_.plan.weightFloats * sizeof(float),
                   static_cast<size_t>(in_.image) * sizeof(float)},
                  threads);
    columnBlocks_ = split.rowBlocks;
    split_.rowBlocks = 1;
  }

  void finish(const RunContext& context, int64_t n, int64_t rowBegin, int64_t rowEnd) const {
    activateRows(context.kernels, geometry_.attributes.epilogue, out_, context.output(), n, rowBegin, rowEnd);
    clearBorder(out_, context.output(), n, rowBegin, rowEnd);
  }

  // One row of pixels has no border to clear (planPointwise).
  void activateColumns(const RunContext& context, int64_t n, int64_t begin, int64_t end) const {
    const Epilogue& epilogue = geometry_.attributes.epilogue;
    if (epilogue.isClamp()) return;
    float* pixels = out_.at(context.output(), n, 0) + begin * out_.pixel;
    context.kernels.activate(epilogue.activation, epilogue.alpha, pixels, pixels,
                             static_cast<size_t>((end - begin) * out_.pixel));
  }

  Image in_, out_, residual_;
  PackedConv packed_;
  ConvGeometry geometry_;
  RunPattern pattern_;
  ptrdiff_t start_ = 0;
  int64_t rows_ = 0, columns_ = 0, columnBlocks_ = 1;
  WorkSplit split_;
};

bool isUnit(const ConvGeometry& geometry) {
  const ConvAttributes& a = geometry.attributes;
  return geometry.taps() == 1 && a.stride[0] == 1 && a.stride[1] == 1 &&
         (a.padding[0] | a.padding[1] | a.padding[2] | a.padding[3]) == 0;
}

Result<std::unique_ptr<Task>> planDirect(const ConvPlan& plan) {
  Result<PackedConv> packed = packDenseConv(plan);
  if (!packed.isOk()) return packed.status();
  return std::unique_ptr<Task>(new DirectTask(plan, std::move(packed.value()), false));
}

Result<std::unique_ptr<Task>> planPointwise(const ConvPlan& plan) {
  Result<PackedConv> packed = packDenseConv(plan);
  if (!packed.isOk()) return packed.status();
  // A border beside one of the images breaks the row of pixels; then it is a direct convolution of one tap. (So it is
  // where the output has a border above or below only, which leaves the row whole, but has to be cleared.)
  const bool isOneRow = plan.in.isDense() && plan.out.isDense() && plan.out.border.isNone() &&
                        (plan.residual == nullptr || plan.residual->isDense());
  return std::unique_ptr<Task>(new DirectTask(plan, std::move(packed.value()), isOneRow));
}

double directCost(const ConvGeometry& geometry, const PlanContext& context) {
  const KernelTable& kernels = context.kernels;
  const double perRow = tileRowCost(kernels, geometry.outW, geometry.outputsPerGroup()) * geometry.attributes.groups;
  const double products =
      perRow * static_cast<double>(geometry.N * geometry.outH * geometry.taps() * geometry.channelsPerGroup());
  return std::max(products, weightCost(kernels, geometry.O * geometry.taps() * geometry.channelsPerGroup()));
}

double pointwiseCost(const ConvGeometry& geometry, const PlanContext& context) {
  const KernelTable& kernels = context.kernels;
  const double perImage =
      tileRowCost(kernels, geometry.outH * geometry.outW, geometry.outputsPerGroup()) * geometry.attributes.groups;
  return std::max(perImage * static_cast<double>(geometry.N * geometry.channelsPerGroup()),
                  weightCost(kernels, geometry.O * geometry.channelsPerGroup()));
}

}  // namespace

const ConvAlgorithm kDirectConv = {"direct", [](const ConvGeometry&) { return true; }, directCost, planDirect};
const ConvAlgorithm kPointwiseConv = {"pointwise", isUnit, pointwiseCost, planPointwise};

}  // namespace repconv

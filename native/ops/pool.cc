// Pooling over windows, over bins that divide the image (adaptive), or over all of it (global): one walk over spans of
// rows and columns.
#include <algorithm>

#include "ops/operation.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

struct PoolAttributes {
  bool isMax = false;
  bool isAdaptive = false;  // bins; the output's extents say how many
  bool isCeil = false;
  bool countsPadding = true;
  int kernel[2] = {1, 1};
  int stride[2] = {1, 1};
  int padding[4] = {0, 0, 0, 0};
  int dilation[2] = {1, 1};
};

// Input positions from, from + step, … below `to`; `bound` positions lie inside the padded input.
struct Span {
  int64_t from, to, step, bound;
  int64_t length() const { return std::max<int64_t>(0, (to - from + step - 1) / step); }
};

Span spanOf(const PoolAttributes& a, int axis, int64_t i, int64_t extent, int64_t positions) {
  if (a.isAdaptive) {
    const int64_t from = i * extent / positions, to = ((i + 1) * extent + positions - 1) / positions;
    return {from, to, 1, to - from};
  }
  const int64_t start = i * a.stride[axis] - a.padding[axis], d = a.dilation[axis];
  const int64_t skipped = start < 0 ? (-start + d - 1) / d : 0;
  return {start + skipped * d, std::min(start + d * (a.kernel[axis] - 1) + 1, extent), d,
          std::min(start + a.kernel[axis], extent + a.padding[axis + 2]) - start};
}

// As windowExtent in lib/ops/window.ts: a last, incomplete window counts if it begins before the trailing padding.
int64_t positionsOf(const PoolAttributes& a, int axis, int64_t extent) {
  const int64_t stride = a.stride[axis], before = a.padding[axis];
  const int64_t reach = int64_t{a.dilation[axis]} * (a.kernel[axis] - 1),
                add = before + a.padding[axis + 2] - reach - 1 + stride;
  const int64_t room = extent + (a.isCeil ? std::min(add, before) + stride - 1 : add);
  return room < stride ? 0 : room / stride;
}

class PoolTask : public Task {
 public:
  PoolTask(const PlanContext& context, const PoolAttributes& attributes)
      : a_(attributes), in_(*context.inputImages[0]), out_(*context.outputImages[0]) {
    int64_t rows = 1, columns = 1;
    for (int64_t y = 0; y < out_.H; y++) rows = std::max(rows, spanOf(a_, 0, y, in_.H, out_.H).length());
    for (int64_t x = 0; x < out_.W; x++) columns = std::max(columns, spanOf(a_, 1, x, in_.W, out_.W).length());
    memberScratchBytes = roundUp(static_cast<size_t>(rows * columns) * sizeof(ptrdiff_t), kCacheLineBytes);
    // A few large windows are shared out by channels.
    channelBlocks_ =
        out_.N * out_.H < 2 * context.threads ? std::min<int64_t>(out_.pixel / kChannelBlock, 2 * context.threads) : 1;
  }

  void run(const RunContext& context) const override {
    context.team.parallelFor(static_cast<size_t>(out_.N * out_.H * channelBlocks_), [&](size_t item, int member) {
      const int64_t block = static_cast<int64_t>(item) % channelBlocks_,
                    line = static_cast<int64_t>(item) / channelBlocks_;
      const int64_t n = line / out_.H, y = line % out_.H, vectors = out_.pixel / kChannelBlock;
      const int64_t begin = vectors * block / channelBlocks_ * kChannelBlock,
                    end = vectors * (block + 1) / channelBlocks_ * kChannelBlock;
      ptrdiff_t* taps = context.scratch<ptrdiff_t>(member);
      const float* in = in_.at(context.input(0), n, 0) + begin;
      const Span row = spanOf(a_, 0, y, in_.H, out_.H);
      for (int64_t x = 0; x < out_.W; x++) {
        const Span column = spanOf(a_, 1, x, in_.W, out_.W);
        int64_t count = 0;
        for (int64_t v = row.from; v < row.to; v += row.step) {
          for (int64_t u = column.from; u < column.to; u += column.step) taps[count++] = v * in_.row + u * in_.pixel;
        }
        float* out = out_.at(context.output(), n, y, x) + begin;
        if (a_.isMax) {
          context.kernels.poolMax(out, in, taps, count, end - begin);
        } else {
          const int64_t divisor = a_.countsPadding ? row.bound * column.bound : count;
          context.kernels.poolMean(out, in, taps, count, end - begin, static_cast<float>(divisor));
        }
      }
      if (block == 0) clearBorder(out_, context.output(), n, y, y + 1);
    });
  }

 private:
  PoolAttributes a_;
  Image in_, out_;
  int64_t channelBlocks_ = 1;
};

class Pool : public Operation {
 public:
  explicit Pool(const PoolAttributes& attributes) : a_(attributes) {}

  Status check(const StepTypes& types) const override {
    const ValueType* input = types.input(0);
    if (input == nullptr || types.outputs.size() != 1 || input->shape.size() != 4 ||
        types.outputs[0]->shape.size() != 4)
      return failure(Code::shape, "pool: expects images");
    const std::vector<int64_t>&in = input->shape, &out = types.outputs[0]->shape;
    bool isRight =
        input->layout == Layout::nhwc && types.outputs[0]->layout == Layout::nhwc && in[0] == out[0] && in[1] == out[1];
    for (int axis = 0; axis < 2; axis++) {
      const int64_t extent = in[axis + 2], positions = out[axis + 2];
      isRight = isRight && extent > 0 && positions > 0;
      if (a_.isAdaptive) continue;
      isRight = isRight && positions == positionsOf(a_, axis, extent) && a_.padding[axis] * 2 <= a_.kernel[axis] &&
                a_.padding[axis + 2] * 2 <= a_.kernel[axis];
    }
    return isRight
               ? Status()
               : failure(Code::shape, "pool: %s does not pool to %s", showShape(in).c_str(), showShape(out).c_str());
  }

  bool isPerImage() const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new PoolTask(context, a_));
  }

 private:
  PoolAttributes a_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makePool(const Attributes& attributes) {
  PoolAttributes a;
  int kind = 0, isCeil = 0, countsPadding = 1, isAdaptive = 0;
  for (const Status& status :
       {attributes.word("kind", {"max", "average"}, &kind), attributes.integers("adaptive", 1, 0, &isAdaptive),
        attributes.integers("kernelSize", 2, 1, a.kernel), attributes.integers("stride", 2, 1, a.stride),
        attributes.integers("padding", 4, 0, a.padding), attributes.integers("dilation", 2, 1, a.dilation),
        attributes.integers("ceilMode", 1, 0, &isCeil), attributes.integers("countIncludePad", 1, 0, &countsPadding)}) {
    if (!status.isOk()) return status;
  }
  a.isMax = kind == 0;
  a.isAdaptive = isAdaptive != 0;
  a.isCeil = isCeil != 0;
  a.countsPadding = countsPadding != 0;
  return std::unique_ptr<Operation>(new Pool(a));
}

}  // namespace repconv

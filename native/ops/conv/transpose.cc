// convTranspose2d, gathered instead of scattered: output rows that are congruent modulo the stride read the same taps, each exactly one stride
// of input further, so every such *phase* is a direct convolution of its own over the same padded image.
//
//     y[i] = Σ_u w[u] · x[(i + p − u·d) / s]   over the u for which the division is exact;    i = phase + s·t  →  x[t + (phase + p − u·d)/s]
//
// Inputs: image (nhwc), weight [C, O/G, K, L] (constant), bias [O] or none (constant).
#include <algorithm>

#include "ops/conv/dense.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

struct TransposeAttributes {
  int stride[2] = {1, 1};
  int padding[4] = {0, 0, 0, 0};
  int outputPadding[2] = {0, 0};
  int dilation[2] = {1, 1};
  int groups = 1;
  Epilogue epilogue;
};

// Taps of one phase along one axis, with the input position of each relative to the phase's counter.
struct PhaseTaps {
  std::vector<int64_t> taps, offsets;
};

PhaseTaps phaseTaps(const TransposeAttributes& a, int axis, int64_t kernel, int64_t phase) {
  PhaseTaps result;
  for (int64_t u = 0; u < kernel; u++) {
    const int64_t reach = phase + a.padding[axis] - u * a.dilation[axis];
    if (reach % a.stride[axis] != 0) continue;
    result.taps.push_back(u);
    result.offsets.push_back(reach / a.stride[axis]);
  }
  return result;
}

class TransposeTask : public Task {
 public:
  struct Phase {
    RunPattern pattern;
    PanelPlan plan;
    const float* packed;
  };

  TransposeTask(const PlanContext& context, const TransposeAttributes& attributes, std::vector<Phase> phases)
      : a_(attributes), in_(*context.inputImages[0]), out_(*context.outputImages[0]), phases_(std::move(phases)) {}

  void run(const RunContext& context) const override {
    forRows(context.team, out_, [&](int64_t n, int64_t y) {
      for (int64_t phase = 0; phase < std::min<int64_t>(a_.stride[1], out_.W); phase++) {
        const Phase& p = phases_[static_cast<size_t>(y % a_.stride[0] * a_.stride[1] + phase)];
        Grid grid{};
        grid.in = in_.at(context.input(0), n, y / a_.stride[0]);
        grid.inPixel = in_.pixel;
        grid.out = out_.at(context.output(), n, y, phase);
        grid.outPixel = a_.stride[1] * out_.pixel;
        grid.rows = 1;
        grid.columns = (out_.W - phase + a_.stride[1] - 1) / a_.stride[1];
        grid.capacity = out_.pixel;
        computeGrid(context.kernels, grid, p.pattern, p.plan, p.packed, 0, p.plan.panels.size(), a_.epilogue);
      }
      activateRows(context.kernels, a_.epilogue, out_, context.output(), n, y, y + 1);
      clearBorder(out_, context.output(), n, y, y + 1);
    });
  }

 private:
  TransposeAttributes a_;
  Image in_, out_;
  std::vector<Phase> phases_;
};

class ConvTranspose2d : public Operation {
 public:
  explicit ConvTranspose2d(const TransposeAttributes& attributes) : a_(attributes) {}

  Status check(const StepTypes& types) const override {
    const ValueType *image = types.input(0), *weight = types.input(1), *bias = types.input(2);
    bool isRight = image != nullptr && weight != nullptr && types.outputs.size() == 1 && image->shape.size() == 4 && weight->shape.size() == 4 &&
                   types.outputs[0]->shape.size() == 4;
    if (isRight) {
      const std::vector<int64_t>&in = image->shape, &w = weight->shape, &out = types.outputs[0]->shape;
      isRight = image->layout == Layout::nhwc && types.outputs[0]->layout == Layout::nhwc && weight->layout == Layout::plain && in[1] == w[0] && w[0] > 0 &&
                w[0] % a_.groups == 0 && w[1] > 0 && w[2] > 0 && w[3] > 0 && out[0] == in[0] && out[1] == w[1] * a_.groups &&
                (bias == nullptr || bias->shape == std::vector<int64_t>{out[1]});
      for (int axis = 0; axis < 2; axis++) {
        const int64_t extent = (in[axis + 2] - 1) * a_.stride[axis] - a_.padding[axis] - a_.padding[axis + 2] + a_.dilation[axis] * (w[axis + 2] - 1) + a_.outputPadding[axis] + 1;
        isRight = isRight && extent > 0 && out[axis + 2] == extent;
      }
    }
    return isRight ? Status() : failure(Code::shape, "convTranspose2d: input, weight and output do not go together");
  }

  Border border(const StepTypes& types, size_t index) const override {
    Border border;
    if (index != 0) return border;
    int before[2] = {0, 0}, after[2] = {0, 0};
    for (int axis = 0; axis < 2; axis++) {
      const int64_t extent = types.inputs[0]->shape[axis + 2], positions = types.outputs[0]->shape[axis + 2];
      for (int64_t phase = 0; phase < std::min<int64_t>(a_.stride[axis], positions); phase++) {
        const int64_t last = (positions - 1 - phase) / a_.stride[axis];
        for (int64_t offset : phaseTaps(a_, axis, types.inputs[1]->shape[axis + 2], phase).offsets) {
          before[axis] = std::max(before[axis], static_cast<int>(-offset));
          after[axis] = std::max(after[axis], static_cast<int>(last + offset - extent + 1));
        }
      }
    }
    border.top = before[0];
    border.left = before[1];
    border.bottom = after[0];
    border.right = after[1];
    return border;
  }

  bool acceptsTight(size_t index) const override { return index == 0; }

  bool packs(size_t index) const override { return index > 0; }

  bool isPerImage() const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    const float *weight = context.constant(1), *bias = context.constant(2);
    if (weight == nullptr || (context.types->input(2) != nullptr && bias == nullptr)) return failure(Code::unsupported, "convTranspose2d: weight and bias must be constants");
    const std::vector<int64_t>& w = context.types->inputs[1]->shape;
    const int64_t perGroup = w[0] / a_.groups, outputs = w[1], K = w[2], L = w[3];
    const Image& in = *context.inputImages[0];
    std::vector<TransposeTask::Phase> phases;
    double products = 0;
    for (int64_t y = 0; y < a_.stride[0]; y++) {
      for (int64_t x = 0; x < a_.stride[1]; x++) {
        const PhaseTaps rows = phaseTaps(a_, 0, K, y), columns = phaseTaps(a_, 1, L, x);
        TransposeTask::Phase phase;
        std::vector<int64_t> taps;
        for (size_t u = 0; u < rows.taps.size(); u++) {
          for (size_t v = 0; v < columns.taps.size(); v++) {
            taps.push_back(rows.taps[u] * L + columns.taps[v]);
            phase.pattern.offsets.push_back(rows.offsets[u] * in.row + columns.offsets[v] * in.pixel);
          }
        }
        phase.pattern.length = static_cast<int>(perGroup);
        phase.pattern.groupStride = perGroup;
        phase.plan = planPanels(context.kernels, a_.groups, outputs, static_cast<int64_t>(taps.size()) * perGroup);
        const std::string key = "phase " + std::to_string(y) + " " + std::to_string(x);
        Result<const void*> packed = context.packed(key, phase.plan.sizeBytes(), [&](void* to) {
          const auto weightAt = [&](int64_t o, int64_t k) {
            const int64_t c = o / outputs * perGroup + k % perGroup;
            return weight[(c * outputs + o % outputs) * K * L + taps[static_cast<size_t>(k / perGroup)]];
          };
          packPanels(context.kernels, phase.plan, weightAt, bias, static_cast<float*>(to));
        });
        if (!packed.isOk()) return packed.status();
        phase.packed = static_cast<const float*>(packed.value());
        products += static_cast<double>(phase.plan.depth);
        phases.push_back(std::move(phase));
      }
    }
    std::unique_ptr<Task> task(new TransposeTask(context, a_, std::move(phases)));
    task->algorithm = "phases";
    task->macs = products / (a_.stride[0] * a_.stride[1]) * static_cast<double>(context.types->outputs[0]->size());
    return task;
  }

 private:
  TransposeAttributes a_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makeConvTranspose2d(const Attributes& attributes) {
  TransposeAttributes a;
  for (const Status& status : {attributes.integers("stride", 2, 1, a.stride), attributes.integers("padding", 4, 0, a.padding),
                               attributes.integers("outputPadding", 2, 0, a.outputPadding), attributes.integers("dilation", 2, 1, a.dilation),
                               attributes.integers("groups", 1, 1, &a.groups), Epilogue::read(attributes, &a.epilogue)}) {
    if (!status.isOk()) return status;
  }
  return std::unique_ptr<Operation>(new ConvTranspose2d(a));
}

}  // namespace repconv

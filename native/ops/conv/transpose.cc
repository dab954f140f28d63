// convTranspose2d, gathered instead of scattered: output rows that are congruent modulo the stride read the same taps,
// each exactly one stride of input further, so every such *phase* is a direct convolution of its own over the same
// padded image. Outputs that no tap reaches (where the stride is larger than the kernel) are the bias.
//
//     y[i] = Σ_u w[u] · x[(i + p − u·d) / s]   over the u for which the division is exact
//     i = phase + s·t  →  x[t + (phase + p − u·d) / s]
//
// Inputs: image (nhwc), weight [C, O/G, K, L] (constant), bias [O] or none (constant).
#include <algorithm>
#include <map>

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

// Limits of what is planned: how far a dilated kernel may reach (the border of the image is that wide), and phases with
// taps (each packs its own).
constexpr int64_t kMaxReach = 1 << 24;
constexpr int64_t kMaxPhases = 1 << 16;

// Taps of one phase along one axis, with the input position of each relative to the phase's counter t.
struct PhaseTaps {
  std::vector<int64_t> taps, offsets;
};

// The phases along one axis that have taps and, among `positions` outputs, a place: no more than the kernel has taps,
// whatever the stride.
std::map<int64_t, PhaseTaps> phasesOf(const TransposeAttributes& a, int axis, int64_t kernel, int64_t positions) {
  std::map<int64_t, PhaseTaps> phases;
  const int64_t stride = a.stride[axis];
  for (int64_t u = 0; u < kernel; u++) {
    const int64_t start = u * a.dilation[axis] - a.padding[axis];
    const int64_t phase = (start % stride + stride) % stride;
    if (phase >= positions) continue;
    phases[phase].taps.push_back(u);
    phases[phase].offsets.push_back((phase - start) / stride);
  }
  return phases;
}

// phase, phase + stride, … below `positions`.
int64_t countOf(int64_t phase, int64_t stride, int64_t positions) { return (positions - phase + stride - 1) / stride; }

class TransposeTask : public Task {
 public:
  struct Phase {
    RunPattern pattern;
    PanelPlan plan;
    const float* packed = nullptr;
  };
  struct Phases {
    std::vector<int64_t> rows, columns;  // ascending
    std::vector<Phase> all;  // [row][column]
    Phase bias;  // of every output that no tap reaches
  };

  TransposeTask(const PlanContext& context, const TransposeAttributes& attributes, Phases phases)
      : a_(attributes), in_(*context.inputImages[0]), out_(*context.outputImages[0]), phases_(std::move(phases)) {
    hasGaps_ = static_cast<int64_t>(phases_.columns.size()) < std::min<int64_t>(a_.stride[1], out_.W);
  }

  void run(const RunContext& context) const override {
    forRows(context.team, out_, [&](int64_t n, int64_t y, int) {
      const auto row = std::lower_bound(phases_.rows.begin(), phases_.rows.end(), y % a_.stride[0]);
      const bool hasTaps = row != phases_.rows.end() && *row == y % a_.stride[0];
      if (hasGaps_ || !hasTaps) compute(context, phases_.bias, context.input(0), n, y, 0, 1);
      for (size_t x = 0; hasTaps && x < phases_.columns.size(); x++) {
        const size_t phase = static_cast<size_t>(row - phases_.rows.begin()) * phases_.columns.size() + x;
        compute(context, phases_.all[phase], in_.at(context.input(0), n, y / a_.stride[0]), n, y, phases_.columns[x],
                a_.stride[1]);
      }
      activateRows(context.kernels, a_.epilogue, out_, context.output(), n, y, y + 1);
      clearBorder(out_, context.output(), n, y, y + 1);
    });
  }

 private:
  void compute(const RunContext& context, const Phase& phase, const float* in, int64_t n, int64_t y, int64_t first,
               int64_t step) const {
    Grid grid{};
    grid.in = in;
    grid.inPixel = in_.pixel;
    grid.out = out_.at(context.output(), n, y, first);
    grid.outPixel = step * out_.pixel;
    grid.rows = 1;
    grid.columns = countOf(first, step, out_.W);
    grid.capacity = out_.pixel;
    computeGrid(context.kernels, grid, phase.pattern, phase.plan, phase.packed, 0, phase.plan.panels.size(),
                a_.epilogue);
  }

  TransposeAttributes a_;
  Image in_, out_;
  Phases phases_;
  bool hasGaps_ = false;  // columns that no tap reaches
};

class ConvTranspose2d : public Operation {
 public:
  explicit ConvTranspose2d(const TransposeAttributes& attributes) : a_(attributes) {}

  Status check(const StepTypes& types) const override {
    const ValueType *image = types.input(0), *weight = types.input(1), *bias = types.input(2);
    bool isRight = image != nullptr && weight != nullptr && types.outputs.size() == 1 && image->shape.size() == 4 &&
                   weight->shape.size() == 4 && types.outputs[0]->shape.size() == 4;
    if (isRight) {
      const std::vector<int64_t>&in = image->shape, &w = weight->shape, &out = types.outputs[0]->shape;
      isRight = image->layout == Layout::nhwc && types.outputs[0]->layout == Layout::nhwc &&
                weight->layout == Layout::plain && in[1] == w[0] && w[0] > 0 && w[0] % a_.groups == 0 && w[1] > 0 &&
                w[2] > 0 && w[3] > 0 && out[0] == in[0] && out[1] == w[1] * a_.groups &&
                (bias == nullptr || bias->shape == std::vector<int64_t>{out[1]});
      for (int axis = 0; axis < 2; axis++) {
        const int64_t reach = a_.dilation[axis] * (w[axis + 2] - 1);
        if (reach > kMaxReach) {
          return failure(Code::limit, "convTranspose2d: weight %s with dilation %d reaches %lld pixels, more than %lld",
                         showShape(w).c_str(), a_.dilation[axis], static_cast<long long>(reach),
                         static_cast<long long>(kMaxReach));
        }
        const int64_t extent = (in[axis + 2] - 1) * a_.stride[axis] - a_.padding[axis] - a_.padding[axis + 2] + reach +
                               a_.outputPadding[axis] + 1;
        isRight = isRight && extent > 0 && out[axis + 2] == extent;
      }
      const auto phases = [&](size_t axis) { return std::min<int64_t>({w[axis + 2], a_.stride[axis], out[axis + 2]}); };
      if (isRight && phases(0) * phases(1) > kMaxPhases) {
        return failure(Code::limit, "convTranspose2d: weight %s at stride %d,%d has up to %lld phases, more than %lld",
                       showShape(w).c_str(), a_.stride[0], a_.stride[1], static_cast<long long>(phases(0) * phases(1)),
                       static_cast<long long>(kMaxPhases));
      }
    }
    return isRight ? Status() : failure(Code::shape, "convTranspose2d: input, weight and output do not go together");
  }

  Border border(const PlanContext& context, size_t index) const override {
    Border border;
    if (index != 0) return border;
    const StepTypes& types = *context.types;
    int before[2] = {0, 0}, after[2] = {0, 0};
    for (int axis = 0; axis < 2; axis++) {
      const int64_t extent = types.inputs[0]->shape[axis + 2], positions = types.outputs[0]->shape[axis + 2];
      for (const auto& [phase, taps] : phasesOf(a_, axis, types.inputs[1]->shape[axis + 2], positions)) {
        const int64_t last = countOf(phase, a_.stride[axis], positions) - 1;
        for (int64_t offset : taps.offsets) {
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
    if (weight == nullptr || (context.types->input(2) != nullptr && bias == nullptr))
      return failure(Code::unsupported, "convTranspose2d: weight and bias must be constants");
    const std::vector<int64_t>& w = context.types->inputs[1]->shape;
    const int64_t perGroup = w[0] / a_.groups, outputs = w[1], K = w[2], L = w[3];
    const Image &in = *context.inputImages[0], &out = *context.outputImages[0];
    // Packs one phase; `name` says which it is to the session, whose plans share it.
    const auto pack = [&](TransposeTask::Phase& phase, const std::string& name,
                          const std::vector<int64_t>& taps) -> Status {
      phase.pattern.length = static_cast<int>(perGroup);
      phase.pattern.groupStride = perGroup;
      phase.plan = planPanels(context.kernels, a_.groups, outputs, static_cast<int64_t>(taps.size()) * perGroup);
      Result<const void*> packed = context.packed(name, phase.plan.sizeBytes(), [&](void* to) {
        const auto weightAt = [&](int64_t o, int64_t k) {
          const int64_t c = o / outputs * perGroup + k % perGroup;
          return weight[(c * outputs + o % outputs) * K * L + taps[static_cast<size_t>(k / perGroup)]];
        };
        packPanels(context.kernels, phase.plan, weightAt, bias, static_cast<float*>(to));
      });
      if (packed.isOk()) phase.packed = static_cast<const float*>(packed.value());
      return packed.status();
    };
    TransposeTask::Phases phases;
    double macs = 0;
    const std::map<int64_t, PhaseTaps> rows = phasesOf(a_, 0, K, out.H), columns = phasesOf(a_, 1, L, out.W);
    for (const auto& column : columns) phases.columns.push_back(column.first);
    for (const auto& [y, row] : rows) {
      phases.rows.push_back(y);
      for (const auto& [x, column] : columns) {
        TransposeTask::Phase phase;
        std::vector<int64_t> taps;
        for (size_t u = 0; u < row.taps.size(); u++) {
          for (size_t v = 0; v < column.taps.size(); v++) {
            taps.push_back(row.taps[u] * L + column.taps[v]);
            phase.pattern.offsets.push_back(row.offsets[u] * in.row + column.offsets[v] * in.pixel);
          }
        }
        if (Status status = pack(phase, "phase " + std::to_string(y) + " " + std::to_string(x), taps); !status.isOk())
          return status;
        const int64_t positions = countOf(y, a_.stride[0], out.H) * countOf(x, a_.stride[1], out.W);
        macs += static_cast<double>(out.N * out.C * positions) * static_cast<double>(phase.plan.depth);
        phases.all.push_back(std::move(phase));
      }
    }
    if (Status status = pack(phases.bias, "bias", {}); !status.isOk()) return status;
    std::unique_ptr<Task> task(new TransposeTask(context, a_, std::move(phases)));
    task->algorithm = "phases";
    task->macs = macs;
    return task;
  }

 private:
  TransposeAttributes a_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makeConvTranspose2d(const Attributes& attributes) {
  TransposeAttributes a;
  for (const Status& status :
       {attributes.integers("stride", 2, 1, a.stride), attributes.integers("padding", 4, 0, a.padding),
        attributes.integers("outputPadding", 2, 0, a.outputPadding), attributes.integers("dilation", 2, 1, a.dilation),
        attributes.integers("groups", 1, 1, &a.groups), Epilogue::read(attributes, &a.epilogue)}) {
    if (!status.isOk()) return status;
  }
  return std::unique_ptr<Operation>(new ConvTranspose2d(a));
}

}  // namespace repconv

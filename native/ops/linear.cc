// linear: rows of a plain value times a weight [O, F], plus a bias: the register tile with rows as pixels.
#include "ops/conv/conv.h"
#include "ops/grid.h"
#include "ops/operation.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

// Features are summed in stretches of at most so many, each added to the sum of those before it: 100 000 of one sign in
// one accumulator would be off by 8e-4. Rows go through a panel's stretches in blocks of so many, whose sums lie in
// scratch memory meanwhile.
constexpr int64_t kStretchFeatures = 256;
constexpr int64_t kBlockRows = 64;

class LinearTask : public Task {
 public:
  LinearTask(int64_t rows, int64_t features, int64_t outputs, PanelPlan plan, const float* packed,
             const Epilogue& epilogue)
      : rows_(rows),
        features_(features),
        outputs_(outputs),
        plan_(std::move(plan)),
        packed_(packed),
        epilogue_(epilogue) {
    whole_.offsets = last_.offsets = {0};
    whole_.length = kStretchFeatures;
    last_.length = static_cast<int>(features - (features - 1) / kStretchFeatures * kStretchFeatures);
    if (features > kStretchFeatures) memberScratchBytes = kBlockRows * kMaxPanelFloats * sizeof(float);
    macs = static_cast<double>(rows * outputs) * static_cast<double>(features);
  }

  void run(const RunContext& context) const override {
    // The weights are the larger part: each panel is read once, and panels are shared out.
    context.team.parallelFor(plan_.panels.size(), [&](size_t panel, int member) {
      for (int64_t row = 0; row < rows_; row += kBlockRows)
        computeBlock(context, plan_.panels[panel], row, context.scratch<float>(member));
    });
    if (epilogue_.isClamp()) return;
    forChunks(context.team, static_cast<size_t>(rows_ * outputs_), [&](size_t begin, size_t end) {
      context.kernels.activate(epilogue_.activation, epilogue_.alpha, context.output() + begin,
                               context.output() + begin, end - begin);
    });
  }

 private:
  static constexpr size_t kMaxPanelFloats = kMaxPanelVectors * kChannelBlock;

  void computeBlock(const RunContext& context, const Panel& panel, int64_t row, float* sums) const {
    static constexpr float kNoBias[kMaxPanelFloats] = {};
    const int64_t width = panel.vectors * context.kernels.vectorLength;
    for (int64_t from = 0; from < features_; from += kStretchFeatures) {
      const RunPattern& pattern = from + kStretchFeatures < features_ ? whole_ : last_;
      const bool isLast = &pattern == &last_;
      Grid grid{};
      grid.in = context.input(0) + row * features_ + from;
      grid.inPixel = features_;
      grid.out = isLast ? context.output() + row * outputs_ + panel.firstChannel : sums;
      grid.outPixel = isLast ? outputs_ : width;
      grid.residual = from > 0 ? sums : nullptr;
      grid.residualPixel = width;
      grid.rows = 1;
      grid.columns = std::min(rows_ - row, kBlockRows);
      const PanelWeights weights{packed_ + panel.weightOffset + from * width,
                                 from > 0 ? kNoBias : packed_ + plan_.weightFloats + panel.biasOffset, panel.vectors,
                                 isLast ? panel.lastLanes(context.kernels.vectorLength) : context.kernels.vectorLength};
      computePanel(context.kernels, grid, pattern, weights, isLast ? epilogue_ : Epilogue{});
    }
  }

  int64_t rows_, features_, outputs_;
  RunPattern whole_, last_;
  PanelPlan plan_;
  const float* packed_;
  Epilogue epilogue_;
};

// Inputs: rows [..., F], weight [O, F] (constant), bias [O] or none (constant).
class Linear : public Operation {
 public:
  explicit Linear(const Epilogue& epilogue) : epilogue_(epilogue) {}

  Status check(const StepTypes& types) const override {
    const ValueType *input = types.input(0), *weight = types.input(1), *bias = types.input(2);
    bool isRight = input != nullptr && weight != nullptr && types.outputs.size() == 1 && !input->shape.empty() &&
                   weight->shape.size() == 2;
    if (isRight) {
      std::vector<int64_t> shape = input->shape;
      shape.back() = weight->shape[0];
      isRight = weight->shape[1] == input->shape.back() && weight->shape[0] > 0 && weight->shape[1] > 0 &&
                types.outputs[0]->shape == shape && input->layout == Layout::plain &&
                types.outputs[0]->layout == Layout::plain &&
                (bias == nullptr || bias->shape == std::vector<int64_t>{weight->shape[0]});
    }
    return isRight ? Status() : failure(Code::shape, "linear: input, weight and output do not go together");
  }

  bool packs(size_t index) const override { return index > 0; }

  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    const float *weight = context.constant(1), *bias = context.constant(2);
    if (weight == nullptr || (context.types->input(2) != nullptr && bias == nullptr))
      return failure(Code::unsupported, "linear: weight and bias must be constants");
    const int64_t outputs = context.types->inputs[1]->shape[0], features = context.types->inputs[1]->shape[1],
                  rows = context.types->inputs[0]->size() / features;
    // bfloat16 halves what is read of the weights, which is what a few rows cost. (Pairs of bfloat16 are as long as
    // float32.)
    if (context.precision == Precision::bfloat16 && context.bfloat16 != nullptr)
      return planBfloat16(context, rows, features, outputs);
    PanelPlan plan = planPanels(context.kernels, 1, outputs, features);
    Result<const void*> packed = context.packed("linear", plan.sizeBytes(), [&](void* to) {
      packPanels(
          context.kernels, plan, [=](int64_t o, int64_t k) { return weight[o * features + k]; }, bias,
          static_cast<float*>(to));
    });
    if (!packed.isOk()) return packed.status();
    return std::unique_ptr<Task>(
        new LinearTask(rows, features, outputs, std::move(plan), static_cast<const float*>(packed.value()), epilogue_));
  }

 private:
  // As a 1×1 convolution over one column of pixels, each a row's features: rows of an image can be cut into blocks.
  Result<std::unique_ptr<Task>> planBfloat16(const PlanContext& context, int64_t rows, int64_t features,
                                             int64_t outputs) const {
    ConvGeometry geometry{};
    geometry.attributes.epilogue = epilogue_;
    geometry.N = geometry.W = geometry.K = geometry.L = geometry.outW = 1;
    geometry.C = features;
    geometry.O = outputs;
    geometry.H = geometry.outH = rows;
    const auto columnOf = [rows](int64_t channels) {
      Image image;
      image.N = image.W = 1;
      image.H = rows;
      image.C = image.pixel = image.row = channels;
      image.image = rows * channels;
      return image;
    };
    Result<std::unique_ptr<Task>> task = kBfloat16Conv.plan(
        {context, geometry, columnOf(features), columnOf(outputs), nullptr, context.constant(1), context.constant(2)});
    if (task.isOk()) {
      task.value()->algorithm = kBfloat16Conv.name;
      task.value()->macs = geometry.macs();
    }
    return task;
  }

  Epilogue epilogue_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makeLinear(const Attributes& attributes) {
  Epilogue epilogue;
  if (Status status = Epilogue::read(attributes, &epilogue); !status.isOk()) return status;
  return std::unique_ptr<Operation>(new Linear(epilogue));
}

}  // namespace repconv

// linear: rows of a plain value times a weight [O, F], plus a bias: the register tile with rows as pixels.
#include "ops/grid.h"
#include "ops/operation.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

class LinearTask : public Task {
 public:
  LinearTask(int64_t rows, int64_t features, int64_t outputs, PanelPlan plan, const float* packed, const Epilogue& epilogue)
      : rows_(rows), features_(features), outputs_(outputs), plan_(std::move(plan)), packed_(packed), epilogue_(epilogue) {
    pattern_.offsets = {0};
    pattern_.length = static_cast<int>(features);
    macs = static_cast<double>(rows * features * outputs);
  }

  void run(const RunContext& context) const override {
    // The weights are the larger part: each panel is read once, and panels are shared out.
    const size_t panels = plan_.panels.size();
    context.team.parallelFor(panels, [&](size_t panel, int) {
      Grid grid{};
      grid.in = context.input(0);
      grid.inPixel = features_;
      grid.out = context.output();
      grid.outPixel = outputs_;
      grid.rows = 1;
      grid.columns = rows_;
      computeGrid(context.kernels, grid, pattern_, plan_, packed_, panel, panel + 1, epilogue_);
    });
    if (epilogue_.isClamp()) return;
    forChunks(context.team, static_cast<size_t>(rows_ * outputs_), [&](size_t begin, size_t end) {
      context.kernels.activate(epilogue_.activation, epilogue_.alpha, context.output() + begin, context.output() + begin, end - begin);
    });
  }

 private:
  int64_t rows_, features_, outputs_;
  PanelPlan plan_;
  const float* packed_;
  RunPattern pattern_;
  Epilogue epilogue_;
};

// Inputs: rows [..., F], weight [O, F] (constant), bias [O] or none (constant).
class Linear : public Operation {
 public:
  explicit Linear(const Epilogue& epilogue) : epilogue_(epilogue) {}

  Status check(const StepTypes& types) const override {
    const ValueType *input = types.input(0), *weight = types.input(1), *bias = types.input(2);
    bool isRight = input != nullptr && weight != nullptr && types.outputs.size() == 1 && !input->shape.empty() && weight->shape.size() == 2;
    if (isRight) {
      std::vector<int64_t> shape = input->shape;
      shape.back() = weight->shape[0];
      isRight = weight->shape[1] == input->shape.back() && weight->shape[0] > 0 && weight->shape[1] > 0 && types.outputs[0]->shape == shape && input->layout == Layout::plain &&
                types.outputs[0]->layout == Layout::plain && (bias == nullptr || bias->shape == std::vector<int64_t>{weight->shape[0]});
    }
    return isRight ? Status() : failure(Code::shape, "linear: input, weight and output do not go together");
  }

  bool packs(size_t index) const override { return index > 0; }

  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    const float *weight = context.constant(1), *bias = context.constant(2);
    if (weight == nullptr || (context.types->input(2) != nullptr && bias == nullptr)) return failure(Code::unsupported, "linear: weight and bias must be constants");
    const int64_t outputs = context.types->inputs[1]->shape[0], features = context.types->inputs[1]->shape[1];
    PanelPlan plan = planPanels(context.kernels, 1, outputs, features);
    Result<const void*> packed = context.packed("linear", plan.sizeBytes(), [&](void* to) {
      packPanels(context.kernels, plan, [=](int64_t o, int64_t k) { return weight[o * features + k]; }, bias, static_cast<float*>(to));
    });
    if (!packed.isOk()) return packed.status();
    return std::unique_ptr<Task>(new LinearTask(context.types->inputs[0]->size() / features, features, outputs, std::move(plan), static_cast<const float*>(packed.value()), epilogue_));
  }

 private:
  Epilogue epilogue_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makeLinear(const Attributes& attributes) {
  Epilogue epilogue;
  if (Status status = Epilogue::read(attributes, &epilogue); !status.isOk()) return status;
  return std::unique_ptr<Operation>(new Linear(epilogue));
}

}  // namespace repconv

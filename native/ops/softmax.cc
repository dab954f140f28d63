// softmax along one axis of a plain value. Lines that do not lie together in memory are gathered, one at a time.
#include "ops/operation.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

class SoftmaxTask : public Task {
 public:
  SoftmaxTask(const ValueType& type, size_t axis) : extent_(type.shape[axis]) {
    for (size_t i = axis + 1; i < type.shape.size(); i++) step_ *= type.shape[i];
    lines_ = extent_ == 0 ? 0 : type.size() / extent_;
    memberScratchBytes = roundUp(static_cast<size_t>(extent_) * sizeof(float), kCacheLineBytes);
  }

  void run(const RunContext& context) const override {
    context.team.parallelFor(static_cast<size_t>(lines_), [&](size_t line, int member) {
      const int64_t at = static_cast<int64_t>(line) / step_ * step_ * extent_ + static_cast<int64_t>(line) % step_;
      const float* in = context.input(0) + at;
      float* out = context.output() + at;
      const size_t size = static_cast<size_t>(extent_);
      if (step_ == 1) {
        context.kernels.softmax(out, in, size);
        return;
      }
      float* gathered = context.scratch<float>(member);
      for (size_t i = 0; i < size; i++) gathered[i] = in[static_cast<int64_t>(i) * step_];
      context.kernels.softmax(gathered, gathered, size);
      for (size_t i = 0; i < size; i++) out[static_cast<int64_t>(i) * step_] = gathered[i];
    });
  }

 private:
  int64_t extent_, step_ = 1, lines_;
};

class Softmax : public Operation {
 public:
  explicit Softmax(int axis) : axis_(static_cast<size_t>(axis)) {}
  Status check(const StepTypes& types) const override {
    const ValueType* input = types.input(0);
    const bool isRight = input != nullptr && types.outputs.size() == 1 && input->shape == types.outputs[0]->shape &&
                         axis_ < input->shape.size() && input->layout == Layout::plain &&
                         types.outputs[0]->layout == Layout::plain;
    return isRight ? Status() : failure(Code::shape, "softmax: expects a plain value and an axis of it");
  }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new SoftmaxTask(*context.types->inputs[0], axis_));
  }

 private:
  size_t axis_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makeSoftmax(const Attributes& attributes) {
  int axis = 0;
  if (Status status = attributes.integers("axis", 1, 0, &axis); !status.isOk()) return status;
  return std::unique_ptr<Operation>(new Softmax(axis));
}

}  // namespace repconv

// concat: plain values along any axis. (Images are joined plane by plane; a join of pixels is not worth a second form
// until a network needs it.)
#include <cstring>

#include "ops/operation.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

class ConcatTask : public Task {
 public:
  ConcatTask(const StepTypes& types, size_t axis) {
    const std::vector<int64_t>& shape = types.outputs[0]->shape;
    for (size_t i = 0; i < axis; i++) outer_ *= shape[i];
    for (const ValueType* input : types.inputs) {
      int64_t run = 1;
      for (size_t i = axis; i < shape.size(); i++) run *= input->shape[i];
      runs_.push_back(static_cast<size_t>(run));
      total_ += static_cast<size_t>(run);
    }
  }

  void run(const RunContext& context) const override {
    context.team.parallelFor(static_cast<size_t>(outer_), [&](size_t outer, int) {
      float* to = context.output() + outer * total_;
      for (size_t i = 0; i < runs_.size(); i++) {
        // An empty input may have no memory at all.
        if (runs_[i] > 0) std::memcpy(to, context.input(i) + outer * runs_[i], runs_[i] * sizeof(float));
        to += runs_[i];
      }
    });
  }

 private:
  int64_t outer_ = 1;
  size_t total_ = 0;
  std::vector<size_t> runs_;
};

class Concat : public Operation {
 public:
  explicit Concat(int axis) : axis_(static_cast<size_t>(axis)) {}

  Status check(const StepTypes& types) const override {
    if (types.inputs.empty() || types.outputs.size() != 1 || types.outputs[0]->layout != Layout::plain ||
        axis_ >= types.outputs[0]->shape.size()) {
      return failure(Code::shape, "concat: expects plain inputs and an axis of theirs");
    }
    std::vector<int64_t> shape = types.outputs[0]->shape;
    int64_t sum = 0;
    for (const ValueType* input : types.inputs) {
      if (input == nullptr || input->layout != Layout::plain || input->shape.size() != shape.size())
        return failure(Code::shape, "concat: expects plain inputs of the same rank");
      sum += input->shape[axis_];
      shape[axis_] = input->shape[axis_];
      if (shape != input->shape)
        return failure(Code::shape, "concat: %s does not join %s", showShape(input->shape).c_str(),
                       showShape(types.outputs[0]->shape).c_str());
    }
    return sum == types.outputs[0]->shape[axis_] ? Status()
                                                 : failure(Code::shape, "concat: the inputs do not add up to %s",
                                                           showShape(types.outputs[0]->shape).c_str());
  }

  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new ConcatTask(*context.types, axis_));
  }

 private:
  size_t axis_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makeConcat(const Attributes& attributes) {
  int axis = 0;
  if (Status status = attributes.integers("axis", 1, 0, &axis); !status.isOk()) return status;
  return std::unique_ptr<Operation>(new Concat(axis));
}

}  // namespace repconv

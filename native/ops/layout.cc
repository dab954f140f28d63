// Steps that only move data: between the two layouts, and to another shape.
#include <cstring>

#include "ops/operation.h"
#include "ops/parallel.h"
#include "ops/rounded_rows.h"

namespace repconv {
namespace {

class LayoutTask : public Task {
 public:
  LayoutTask(const Image& image, bool isToNhwc, const Bfloat16Kernels* bfloat16)
      : image_(image), isToNhwc_(isToNhwc), bfloat16_(bfloat16) {
    memberScratchBytes = rowScratchBytes(image);
  }

  void run(const RunContext& context) const override {
    const ptrdiff_t plane = image_.H * image_.W;
    forRows(context.team, image_, [&](int64_t n, int64_t y, int member) {
      const ptrdiff_t planes = n * image_.C * plane + y * image_.W;
      if (isToNhwc_) {
        writeRow(image_, bfloat16_, context.outputs[0], n, y, context.scratch<float>(member), [&](float* row) {
          context.kernels.interleave(row, image_.pixel, context.input(0) + planes, plane, image_.C, image_.W);
        });
        clearBorder(image_, context.outputs[0], n, y, y + 1);
      } else {
        context.kernels.deinterleave(context.output() + planes, plane, image_.at(context.input(0), n, y), image_.pixel,
                                     image_.C, image_.W);
      }
    });
  }

 private:
  Image image_;
  bool isToNhwc_;
  const Bfloat16Kernels* bfloat16_;
};

// toNhwc: [N, C, H, W] plain → nhwc. toPlain: the way back.
template <bool kToNhwc>
class ChangeLayout : public Operation {
 public:
  Status check(const StepTypes& types) const override {
    const ValueType* input = types.input(0);
    const bool isRight = input != nullptr && types.outputs.size() == 1 && input->shape.size() == 4 &&
                         input->shape == types.outputs[0]->shape && (input->layout == Layout::plain) == kToNhwc &&
                         (types.outputs[0]->layout == Layout::nhwc) == kToNhwc;
    return isRight ? Status()
                   : failure(Code::shape, "%s: expects an image of 4 axes in the other layout",
                             kToNhwc ? "toNhwc" : "toPlain");
  }
  bool acceptsTight(size_t) const override { return true; }
  bool producesTight() const override { return true; }
  bool storesRounded(const PlanContext&) const override { return kToNhwc; }
  bool isPerImage() const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(
        new LayoutTask(kToNhwc ? *context.outputImages[0] : *context.inputImages[0], kToNhwc, context.bfloat16));
  }
};

class CopyTask : public Task {
 public:
  explicit CopyTask(size_t sizeBytes) : sizeBytes_(sizeBytes) {}
  void run(const RunContext& context) const override {
    if (context.outputs[0] != context.inputs[0] && sizeBytes_ > 0)
      std::memcpy(context.outputs[0], context.inputs[0], sizeBytes_);
  }

 private:
  size_t sizeBytes_;
};

// reshape: the same elements in the same order; costs nothing where the output may lie on the input.
class Reshape : public Operation {
 public:
  Status check(const StepTypes& types) const override {
    const ValueType* input = types.input(0);
    const bool isRight = input != nullptr && types.outputs.size() == 1 && input->layout == Layout::plain &&
                         types.outputs[0]->layout == Layout::plain && input->size() == types.outputs[0]->size();
    return isRight ? Status() : failure(Code::shape, "reshape: expects plain values with the same number of elements");
  }
  bool isInPlace(size_t) const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    const ValueType& type = *context.types->inputs[0];
    return std::unique_ptr<Task>(new CopyTask(static_cast<size_t>(type.size()) * sizeof(float)));
  }
};

}  // namespace

Result<std::unique_ptr<Operation>> makeToNhwc(const Attributes&) {
  return std::unique_ptr<Operation>(new ChangeLayout<true>);
}
Result<std::unique_ptr<Operation>> makeToPlain(const Attributes&) {
  return std::unique_ptr<Operation>(new ChangeLayout<false>);
}
Result<std::unique_ptr<Operation>> makeReshape(const Attributes&) { return std::unique_ptr<Operation>(new Reshape); }

}  // namespace repconv

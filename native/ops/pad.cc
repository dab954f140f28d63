// pad: a border of a constant, or continued from the image; pixels are copied whole.
#include <cstring>

#include "ops/operation.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

enum class Mode { zeros, reflect, replicate, circular };

// The index of the image that position `i` shows; −1 for the constant. (lib/ops/pad.ts)
int64_t source(int64_t i, int64_t extent, Mode mode) {
  if (i >= 0 && i < extent) return i;
  switch (mode) {
    case Mode::zeros:
      return -1;
    case Mode::replicate:
      return i < 0 ? 0 : extent - 1;
    case Mode::reflect:
      return i < 0 ? -i : 2 * (extent - 1) - i;
    case Mode::circular:
      return i < 0 ? i + extent : i - extent;
  }
  return -1;
}

class PadTask : public Task {
 public:
  PadTask(const PlanContext& context, const int* padding, Mode mode, float value)
      : in_(*context.inputImages[0]),
        out_(*context.outputImages[0]),
        top_(padding[0]),
        left_(padding[1]),
        mode_(mode),
        value_(value) {}

  void run(const RunContext& context) const override {
    forRows(context.team, out_, [&](int64_t n, int64_t y, int) {
      float* to = out_.at(context.output(), n, y);
      const int64_t row = source(y - top_, in_.H, mode_);
      for (int64_t x = 0; x < out_.W; x++) {
        const int64_t column = source(x - left_, in_.W, mode_);
        if (row < 0 || column < 0) {
          for (int64_t c = 0; c < out_.C; c++) to[x * out_.pixel + c] = value_;
        } else {
          std::memcpy(to + x * out_.pixel, in_.at(context.input(0), n, row, column),
                      static_cast<size_t>(in_.C) * sizeof(float));
        }
      }
      clearBorder(out_, context.output(), n, y, y + 1);
    });
  }

 private:
  Image in_, out_;
  int64_t top_, left_;
  Mode mode_;
  float value_;
};

class Pad : public Operation {
 public:
  static Result<std::unique_ptr<Operation>> make(const Attributes& attributes) {
    auto pad = std::make_unique<Pad>();
    int mode = 0;
    double value = 0;
    for (const Status& status :
         {attributes.integers("padding", 4, 0, pad->padding_), attributes.number("value", &value),
          attributes.word("mode", {"zeros", "reflect", "replicate", "circular"}, &mode)}) {
      if (!status.isOk()) return status;
    }
    pad->mode_ = static_cast<Mode>(mode);
    pad->value_ = static_cast<float>(value);
    return std::unique_ptr<Operation>(std::move(pad));
  }

  Status check(const StepTypes& types) const override {
    const ValueType* input = types.input(0);
    if (input == nullptr || types.outputs.size() != 1 || input->shape.size() != 4 || input->layout != Layout::nhwc)
      return failure(Code::shape, "pad: expects an nhwc image");
    const ValueType* output = types.outputs[0];
    const std::vector<int64_t> padded = {input->shape[0], input->shape[1], input->shape[2] + padding_[0] + padding_[2],
                                         input->shape[3] + padding_[1] + padding_[3]};
    bool isRight = output->shape == padded && output->layout == Layout::nhwc;
    for (int side = 0; side < 4 && mode_ != Mode::zeros; side++) {
      const int64_t extent = input->shape[2 + side % 2];
      isRight =
          isRight && (padding_[side] == 0 || (extent > 0 && padding_[side] <= (mode_ == Mode::reflect    ? extent - 1
                                                                               : mode_ == Mode::circular ? extent
                                                                                                         : INT64_MAX)));
    }
    return isRight ? Status()
                   : failure(Code::shape, "pad: %s does not pad to %s", showShape(input->shape).c_str(),
                             showShape(output->shape).c_str());
  }

  bool acceptsTight(size_t) const override { return true; }
  bool producesTight() const override { return true; }

  bool isPerImage() const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new PadTask(context, padding_, mode_, value_));
  }

 private:
  int padding_[4] = {0, 0, 0, 0};
  Mode mode_ = Mode::zeros;
  float value_ = 0;
};

}  // namespace

Result<std::unique_ptr<Operation>> makePad(const Attributes& attributes) { return Pad::make(attributes); }

}  // namespace repconv

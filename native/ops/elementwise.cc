// add, multiply, activation, prelu: element by element, in either layout.
#include <cstring>
#include <vector>

#include "ops/epilogue.h"
#include "ops/operation.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

enum class Binary { add, multiply };

const char* nameOf(Binary kind) { return kind == Binary::add ? "add" : "mul"; }

// Two images of one shape; or an image and one value per channel, for all images or for each.
class ImageBinaryTask : public Task {
 public:
  ImageBinaryTask(const PlanContext& context, Binary kind, const Epilogue& epilogue, const float* neutral)
      : kind_(kind),
        epilogue_(epilogue),
        neutral_(neutral),
        a_(*context.inputImages[0]),
        b_(*context.inputImages[1]),
        out_(*context.outputImages[0]) {}

  void run(const RunContext& context) const override {
    const bool isPerChannel = b_.H * b_.W == 1 && out_.H * out_.W != 1;
    forRows(context.team, out_, [&](int64_t n, int64_t y, int) {
      float* out = out_.at(context.output(), n, y);
      const float* a = a_.at(context.input(0), n, y);
      const size_t size = static_cast<size_t>(out_.W * out_.pixel);
      if (isPerChannel) {
        // x·1 + b and x·b + (−0) are exact.
        const float* b = b_.at(context.input(1), b_.N == 1 ? 0 : n, 0);
        const bool isAdd = kind_ == Binary::add;
        context.kernels.affine({out, a, isAdd ? neutral_ : b, isAdd ? b : neutral_, nullptr, out_.W, out_.pixel,
                                epilogue_.low(), epilogue_.high()});
      } else {
        const auto kernel = kind_ == Binary::add ? context.kernels.add : context.kernels.multiply;
        kernel(out, a, b_.at(context.input(1), b_.N == 1 ? 0 : n, y), size, epilogue_.low(), epilogue_.high());
      }
      if (!epilogue_.isClamp()) context.kernels.activate(epilogue_.activation, epilogue_.alpha, out, out, size);
      clearBorder(out_, context.output(), n, y, y + 1);
    });
  }

 private:
  Binary kind_;
  Epilogue epilogue_;
  const float* neutral_;  // per channel: 1 for add, −0 for multiply
  Image a_, b_, out_;
};

// Plain values that broadcast: along the last axis each input is a run or one number; the axes before are walked one by
// one.
class PlainBinaryTask : public Task {
 public:
  PlainBinaryTask(const StepTypes& types, Binary kind) : kind_(kind), shape_(types.outputs[0]->shape) {
    for (int i = 0; i < 2; i++) {
      const std::vector<int64_t>& shape = types.inputs[i]->shape;
      strides_[i].assign(shape_.size(), 0);
      int64_t stride = 1;
      for (size_t axis = shape.size(); axis-- > 0; stride *= shape[axis]) {
        if (shape[axis] != 1) strides_[i][axis + shape_.size() - shape.size()] = stride;
      }
    }
    mergeAxes();
  }

  void run(const RunContext& context) const override {
    const int64_t run = shape_.back();
    int64_t rows = 1;
    for (size_t axis = 0; axis + 1 < shape_.size(); axis++) rows *= shape_[axis];
    const int64_t pieces = (run + static_cast<int64_t>(kChunkElements) - 1) / static_cast<int64_t>(kChunkElements);
    context.team.parallelFor(static_cast<size_t>(rows * pieces), [&](size_t item, int) {
      const int64_t row = static_cast<int64_t>(item) / pieces, piece = static_cast<int64_t>(item) % pieces;
      const int64_t begin = run * piece / pieces, size = run * (piece + 1) / pieces - begin;
      const float* in[2];
      for (int i = 0; i < 2; i++) in[i] = context.input(i) + offset(i, row) + (strides_[i].back() != 0 ? begin : 0);
      compute(context.kernels, context.output() + row * run + begin, in, static_cast<size_t>(size));
    });
  }

 private:
  void compute(const KernelTable& kernels, float* out, const float* const* in, size_t size) const {
    const bool isRun[2] = {strides_[0].back() != 0, strides_[1].back() != 0};
    if (isRun[0] == isRun[1] && (isRun[0] || size == 1)) {
      const float infinity = std::numeric_limits<float>::infinity();
      (kind_ == Binary::add ? kernels.add : kernels.multiply)(out, in[0], in[1], size, -infinity, infinity);
      return;
    }
    const float number = *in[isRun[0] ? 1 : 0];
    const float* values = in[isRun[0] ? 0 : 1];
    kernels.affinePlane(out, values, size, kind_ == Binary::add ? 1.0f : number, kind_ == Binary::add ? number : -0.0f);
  }

  int64_t offset(int input, int64_t row) const {
    int64_t at = 0;
    for (size_t axis = shape_.size() - 1; axis-- > 0; row /= shape_[axis])
      at += row % shape_[axis] * strides_[input][axis];
    return at;
  }

  // Neighbouring axes along which both inputs go on as they would in one axis become one: same shapes end as a single
  // run.
  void mergeAxes() {
    if (shape_.empty()) {
      shape_ = {1};
      strides_[0] = strides_[1] = {0};
    }
    for (size_t axis = shape_.size() - 1; axis-- > 0;) {
      bool isOne = true;
      for (const auto& strides : strides_) isOne = isOne && strides[axis] == strides[axis + 1] * shape_[axis + 1];
      if (!isOne) continue;
      shape_[axis] *= shape_[axis + 1];
      shape_.erase(shape_.begin() + static_cast<ptrdiff_t>(axis) + 1);
      for (auto& strides : strides_) {
        strides[axis] = strides[axis + 1];
        strides.erase(strides.begin() + static_cast<ptrdiff_t>(axis) + 1);
      }
    }
  }

  Binary kind_;
  std::vector<int64_t> shape_;
  std::vector<int64_t> strides_[2];
};

class BinaryOperation : public Operation {
 public:
  BinaryOperation(Binary kind, const Epilogue& epilogue) : kind_(kind), epilogue_(epilogue) {}

  Status check(const StepTypes& types) const override {
    const ValueType *a = types.input(0), *b = types.input(1);
    if (a == nullptr || b == nullptr || types.outputs.size() != 1)
      return failure(Code::input, "%s: expects two inputs and an output", nameOf(kind_));
    const ValueType* out = types.outputs[0];
    bool isRight = a->layout == out->layout && b->layout == out->layout;
    if (out->layout == Layout::nhwc) {
      const bool isPerChannel = b->shape.size() == 4 && (b->shape[0] == 1 || b->shape[0] == out->shape[0]) &&
                                b->shape[1] == out->shape[1] && b->shape[2] == 1 && b->shape[3] == 1;
      isRight = isRight && out->shape.size() == 4 && a->shape == out->shape && (b->shape == out->shape || isPerChannel);
    } else {
      isRight = isRight && epilogue_.activation == Activation::none && broadcasts(*a, *out) && broadcasts(*b, *out) &&
                isReached(*a, *b, *out);
    }
    return isRight ? Status()
                   : failure(Code::shape, "%s: %s and %s do not make %s", nameOf(kind_), showShape(a->shape).c_str(),
                             showShape(b->shape).c_str(), showShape(out->shape).c_str());
  }

  bool isPerImage() const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    if (context.types->outputs[0]->layout == Layout::plain)
      return std::unique_ptr<Task>(new PlainBinaryTask(*context.types, kind_));
    const size_t room = roundUp(static_cast<size_t>(context.types->outputs[0]->shape[1]), kChannelBlock);
    Result<const void*> neutral = context.packed("neutral", room * sizeof(float), [&](void* memory) {
      for (size_t c = 0; c < room; c++) static_cast<float*>(memory)[c] = kind_ == Binary::add ? 1.0f : -0.0f;
    });
    if (!neutral.isOk()) return neutral.status();
    return std::unique_ptr<Task>(
        new ImageBinaryTask(context, kind_, epilogue_, static_cast<const float*>(neutral.value())));
  }

 private:
  static bool broadcasts(const ValueType& from, const ValueType& to) {
    if (from.shape.size() > to.shape.size()) return false;
    for (size_t i = 0; i < from.shape.size(); i++) {
      const int64_t extent = from.shape[from.shape.size() - 1 - i];
      if (extent != 1 && extent != to.shape[to.shape.size() - 1 - i]) return false;
    }
    return true;
  }

  // Every extent of the output is that of an input: where both broadcast, there is nothing to walk along.
  static bool isReached(const ValueType& a, const ValueType& b, const ValueType& out) {
    const auto extent = [](const ValueType& type, size_t fromEnd) {
      return fromEnd < type.shape.size() ? type.shape[type.shape.size() - 1 - fromEnd] : 1;
    };
    for (size_t i = 0; i < out.shape.size(); i++) {
      if (extent(out, i) != extent(a, i) && extent(out, i) != extent(b, i)) return false;
    }
    return true;
  }

  Binary kind_;
  Epilogue epilogue_;
};

class ActivationTask : public Task {
 public:
  ActivationTask(const PlanContext& context, const Epilogue& epilogue)
      : epilogue_(epilogue), size_(static_cast<size_t>(context.types->inputs[0]->size())) {
    isNhwc_ = context.types->inputs[0]->layout == Layout::nhwc;
    if (!isNhwc_) return;
    in_ = *context.inputImages[0];
    out_ = *context.outputImages[0];
  }

  void run(const RunContext& context) const override {
    const KernelTable& kernels = context.kernels;
    if (!isNhwc_) {
      forChunks(context.team, size_, [&](size_t begin, size_t end) {
        kernels.activate(epilogue_.activation, epilogue_.alpha, context.output() + begin, context.input(0) + begin,
                         end - begin);
      });
      return;
    }
    forRows(context.team, out_, [&](int64_t n, int64_t y, int) {
      kernels.activate(epilogue_.activation, epilogue_.alpha, out_.at(context.output(), n, y),
                       in_.at(context.input(0), n, y), static_cast<size_t>(out_.W * out_.pixel));
      clearBorder(out_, context.output(), n, y, y + 1);
    });
  }

 private:
  Epilogue epilogue_;
  size_t size_;
  bool isNhwc_ = false;
  Image in_, out_;
};

class ActivationOperation : public Operation {
 public:
  explicit ActivationOperation(const Epilogue& epilogue) : epilogue_(epilogue) {}
  Status check(const StepTypes& types) const override {
    const ValueType* input = types.input(0);
    const bool isRight = input != nullptr && types.outputs.size() == 1 && input->shape == types.outputs[0]->shape &&
                         input->layout == types.outputs[0]->layout;
    return isRight ? Status() : failure(Code::shape, "activation: expects an input and an output of one type");
  }
  bool isPerImage() const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new ActivationTask(context, epilogue_));
  }

 private:
  Epilogue epilogue_;
};

// prelu: leakyRelu with a slope for each plane of a plain value [N, C, …].
class PreluTask : public Task {
 public:
  explicit PreluTask(const StepTypes& types) {
    const std::vector<int64_t>& shape = types.inputs[0]->shape;
    channels_ = types.inputs[1]->shape[0];
    const int64_t size = types.inputs[0]->size();
    planes_ = channels_ == 1 ? 1 : shape[0] * shape[1];
    planeSize_ = planes_ == 0 ? 0 : static_cast<size_t>(size / planes_);
  }
  void run(const RunContext& context) const override {
    context.team.parallelFor(static_cast<size_t>(planes_), [&](size_t plane, int) {
      const size_t at = plane * planeSize_;
      const float slope = context.input(1)[plane % static_cast<size_t>(channels_)];
      context.kernels.activate(Activation::leakyRelu, slope, context.output() + at, context.input(0) + at, planeSize_);
    });
  }

 private:
  int64_t channels_, planes_;
  size_t planeSize_;
};

class Prelu : public Operation {
 public:
  Status check(const StepTypes& types) const override {
    const ValueType *input = types.input(0), *slope = types.input(1);
    const bool isRight = input != nullptr && slope != nullptr && types.outputs.size() == 1 &&
                         input->shape == types.outputs[0]->shape && input->layout == Layout::plain &&
                         types.outputs[0]->layout == Layout::plain && slope->shape.size() == 1 &&
                         (slope->shape[0] == 1 || (input->shape.size() >= 2 && slope->shape[0] == input->shape[1]));
    return isRight ? Status() : failure(Code::shape, "prelu: expects plain values and one slope or one per channel");
  }
  bool isPerImage() const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new PreluTask(*context.types));
  }
};

template <Binary kKind>
Result<std::unique_ptr<Operation>> makeBinary(const Attributes& attributes) {
  Epilogue epilogue;
  if (Status status = Epilogue::read(attributes, &epilogue); !status.isOk()) return status;
  return std::unique_ptr<Operation>(new BinaryOperation(kKind, epilogue));
}

}  // namespace

Result<std::unique_ptr<Operation>> makeAdd(const Attributes& attributes) { return makeBinary<Binary::add>(attributes); }
Result<std::unique_ptr<Operation>> makeMul(const Attributes& attributes) {
  return makeBinary<Binary::multiply>(attributes);
}
Result<std::unique_ptr<Operation>> makeActivation(const Attributes& attributes) {
  Epilogue epilogue;
  if (Status status = Epilogue::read(attributes, &epilogue); !status.isOk()) return status;
  return std::unique_ptr<Operation>(new ActivationOperation(epilogue));
}
Result<std::unique_ptr<Operation>> makePrelu(const Attributes&) { return std::unique_ptr<Operation>(new Prelu); }

}  // namespace repconv

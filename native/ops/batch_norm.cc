// batchNorm with running statistics, as one scale and shift per channel; and batchNormTraining, which finds the
// statistics first. Inputs of both: x, weight or none, bias or none, running mean, running variance; batchNorm also
// takes a residual (like the output) or none.
#include <cmath>
#include <cstring>
#include <vector>

#include "ops/epilogue.h"
#include "ops/operation.h"
#include "ops/parallel.h"

namespace repconv {
namespace {

enum Input : size_t { kX, kWeight, kBias, kMean, kVariance, kResidual };

Status checkParameters(const char* name, const StepTypes& types, bool needsStatistics) {
  const ValueType* x = types.input(kX);
  if (x == nullptr || types.outputs.empty() || x->shape.size() < 2 || x->shape != types.outputs[0]->shape) {
    return failure(Code::shape, "%s: expects an input and an output of the same shape", name);
  }
  const std::vector<int64_t> perChannel = {x->shape[1]};
  for (size_t index = kWeight; index <= kVariance; index++) {
    const ValueType* parameter = types.input(index);
    if (parameter == nullptr && needsStatistics && index >= kMean)
      return failure(Code::input, "%s: expects running statistics", name);
    if (parameter != nullptr && parameter->shape != perChannel) {
      return failure(Code::shape, "%s: parameter %d expects shape %s, got %s", name, static_cast<int>(index),
                     showShape(perChannel).c_str(), showShape(parameter->shape).c_str());
    }
  }
  return Status();
}

// Channels of a plain value [N, C, …].
struct Planes {
  explicit Planes(const ValueType& type)
      : N(type.shape[0]), C(type.shape[1]), size(type.size() / std::max<int64_t>(1, N * C)) {}
  int64_t N, C, size;
};

class BatchNormTask : public Task {
 public:
  BatchNormTask(const PlanContext& context, const Epilogue& epilogue, const float* packed)
      : epilogue_(epilogue), scale_(packed), planes_(*context.types->inputs[kX]) {
    isNhwc_ = context.types->inputs[kX]->layout == Layout::nhwc;
    shift_ = packed + roundUp(planes_.C, kChannelBlock);
    if (!isNhwc_) return;
    in_ = *context.inputImages[kX];
    out_ = *context.outputImages[0];
    if (context.types->input(kResidual) != nullptr) residual_ = *context.inputImages[kResidual];
  }

  void run(const RunContext& context) const override {
    if (isNhwc_) {
      const float* residual = context.inputs[kResidual] != nullptr ? context.input(kResidual) : nullptr;
      forRows(context.team, out_, [&](int64_t n, int64_t y, int) {
        float* out = out_.at(context.output(), n, y);
        context.kernels.affine({out, in_.at(context.input(kX), n, y), scale_, shift_,
                                residual != nullptr ? residual_.at(residual, n, y) : nullptr, out_.W, out_.pixel,
                                epilogue_.low(), epilogue_.high()});
        if (!epilogue_.isClamp())
          context.kernels.activate(epilogue_.activation, epilogue_.alpha, out, out,
                                   static_cast<size_t>(out_.W * out_.pixel));
        clearBorder(out_, context.output(), n, y, y + 1);
      });
      return;
    }
    context.team.parallelFor(static_cast<size_t>(planes_.N * planes_.C), [&](size_t plane, int) {
      const size_t at = plane * static_cast<size_t>(planes_.size);
      const size_t c = plane % static_cast<size_t>(planes_.C);
      context.kernels.affinePlane(context.output() + at, context.input(kX) + at, static_cast<size_t>(planes_.size),
                                  scale_[c], shift_[c]);
    });
  }

 private:
  Epilogue epilogue_;
  const float* scale_;
  const float* shift_;
  Planes planes_;
  bool isNhwc_ = false;
  Image in_, out_, residual_;
};

class BatchNorm : public Operation {
 public:
  BatchNorm(double eps, const Epilogue& epilogue) : eps_(eps), epilogue_(epilogue) {}

  Status check(const StepTypes& types) const override {
    if (Status status = checkParameters("batchNorm", types, true); !status.isOk()) return status;
    const ValueType *x = types.input(kX), *residual = types.input(kResidual);
    const bool hasEpilogue = residual != nullptr || epilogue_.activation != Activation::none;
    if (x->layout != types.outputs[0]->layout || (hasEpilogue && x->layout != Layout::nhwc) ||
        (residual != nullptr && (residual->shape != x->shape || residual->layout != Layout::nhwc))) {
      return failure(Code::shape, "batchNorm: layouts of input, output and residual do not go together");
    }
    return Status();
  }

  bool packs(size_t index) const override { return index >= kWeight && index <= kVariance; }

  bool isPerImage() const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    for (size_t index = kWeight; index <= kVariance; index++) {
      if (context.types->input(index) != nullptr && context.constant(index) == nullptr)
        return failure(Code::unsupported, "batchNorm: parameters must be constants");
    }
    const int64_t channels = context.types->inputs[kX]->shape[1];
    const size_t room = roundUp(static_cast<size_t>(channels), kChannelBlock);
    Result<const void*> packed = context.packed("scale", 2 * room * sizeof(float), [&](void* memory) {
      float* scale = static_cast<float*>(memory);
      float* shift = scale + room;
      std::memset(memory, 0, 2 * room * sizeof(float));
      const float *weight = context.constant(kWeight), *bias = context.constant(kBias), *mean = context.constant(kMean),
                  *variance = context.constant(kVariance);
      for (int64_t c = 0; c < channels; c++) {
        const double t = (weight != nullptr ? weight[c] : 1.0) / std::sqrt(static_cast<double>(variance[c]) + eps_);
        scale[c] = static_cast<float>(t);
        shift[c] = static_cast<float>((bias != nullptr ? bias[c] : 0.0) - mean[c] * t);
      }
    });
    if (!packed.isOk()) return packed.status();
    return std::unique_ptr<Task>(new BatchNormTask(context, epilogue_, static_cast<const float*>(packed.value())));
  }

 private:
  double eps_;
  Epilogue epilogue_;
};

class BatchNormTrainingTask : public Task {
 public:
  BatchNormTrainingTask(const ValueType& x, double eps, double momentum) : planes_(x), eps_(eps), momentum_(momentum) {}

  void run(const RunContext& context) const override {
    const int64_t count = planes_.N * planes_.size;
    const float *x = context.input(kX), *runningMean = optional(context, kMean),
                *runningVariance = optional(context, kVariance);
    const float *weight = optional(context, kWeight), *bias = optional(context, kBias);
    context.team.parallelFor(static_cast<size_t>(planes_.C), [&](size_t channel, int) {
      const int64_t c = static_cast<int64_t>(channel);
      // Two passes, in double: one pass of sums and squares loses everything when the mean is large.
      const double mean = sum(x, c, [](double value) { return value; }) / static_cast<double>(count);
      const double variance =
          sum(x, c, [mean](double value) { return (value - mean) * (value - mean); }) / static_cast<double>(count);
      const double scale = (weight != nullptr ? weight[c] : 1.0) / std::sqrt(variance + eps_);
      const double shift = (bias != nullptr ? bias[c] : 0.0) - mean * scale;
      for (int64_t n = 0; n < planes_.N; n++) {
        const float* from = x + (n * planes_.C + c) * planes_.size;
        float* to = context.output() + (n * planes_.C + c) * planes_.size;
        for (int64_t i = 0; i < planes_.size; i++) to[i] = static_cast<float>(from[i] * scale + shift);
      }
      if (runningMean != nullptr) context.output(1)[c] = blend(runningMean[c], mean, count);
      if (runningVariance != nullptr)
        context.output(2)[c] =
            blend(runningVariance[c], variance * static_cast<double>(count) / static_cast<double>(count - 1), count);
    });
  }

 private:
  static const float* optional(const RunContext& context, size_t index) {
    return context.inputs[index] != nullptr ? context.input(index) : nullptr;
  }

  template <typename Term>
  double sum(const float* x, int64_t c, const Term& term) const {
    double total = 0;
    for (int64_t n = 0; n < planes_.N; n++) {
      const float* plane = x + (n * planes_.C + c) * planes_.size;
      for (int64_t i = 0; i < planes_.size; i++) total += term(plane[i]);
    }
    return total;
  }

  // An empty batch leaves the statistics alone.
  float blend(float running, double batch, int64_t count) const {
    return count == 0 ? running : static_cast<float>((1 - momentum_) * running + momentum_ * batch);
  }

  Planes planes_;
  double eps_, momentum_;
};

class BatchNormTraining : public Operation {
 public:
  BatchNormTraining(double eps, double momentum) : eps_(eps), momentum_(momentum) {}

  Status check(const StepTypes& types) const override {
    if (Status status = checkParameters("batchNormTraining", types, false); !status.isOk()) return status;
    const std::vector<int64_t> statistics = {types.input(kMean) != nullptr ? types.input(kX)->shape[1] : 0};
    const bool isRight = types.outputs.size() == 3 && types.input(kX)->layout == Layout::plain &&
                         types.outputs[1]->shape == statistics && types.outputs[2]->shape == statistics &&
                         (types.input(kMean) == nullptr) == (types.input(kVariance) == nullptr);
    return isRight ? Status() : failure(Code::shape, "batchNormTraining: expects a plain input and three outputs");
  }

  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new BatchNormTrainingTask(*context.types->inputs[kX], eps_, momentum_));
  }

 private:
  double eps_, momentum_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makeBatchNorm(const Attributes& attributes) {
  double eps = 1e-5;
  Epilogue epilogue;
  for (const Status& status : {attributes.number("eps", &eps), Epilogue::read(attributes, &epilogue)}) {
    if (!status.isOk()) return status;
  }
  return std::unique_ptr<Operation>(new BatchNorm(eps, epilogue));
}

Result<std::unique_ptr<Operation>> makeBatchNormTraining(const Attributes& attributes) {
  double eps = 1e-5, momentum = 0.1;
  for (const Status& status : {attributes.number("eps", &eps), attributes.number("momentum", &momentum)}) {
    if (!status.isOk()) return status;
  }
  return std::unique_ptr<Operation>(new BatchNormTraining(eps, momentum));
}

}  // namespace repconv

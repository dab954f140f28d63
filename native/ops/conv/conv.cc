// conv2d as an operation: its guard, the border it wants, and the choice of algorithm.
// Inputs: image (nhwc), weight [O, C/G, K, L] (constant), bias [O] or none (constant), residual (nhwc, like the output)
// or none.
#include "ops/conv/conv.h"

namespace repconv {
namespace {

// Products for each output: kernels count them as int.
constexpr int64_t kMaxProducts = INT32_MAX;

enum Input : size_t { kImage, kWeight, kBias, kResidual };

class Conv2d : public Operation {
 public:
  explicit Conv2d(const ConvAttributes& attributes) : attributes_(attributes) {}

  Status check(const StepTypes& types) const override {
    const ValueType *image = types.input(kImage), *weight = types.input(kWeight), *bias = types.input(kBias),
                    *residual = types.input(kResidual);
    if (image == nullptr || weight == nullptr || types.outputs.size() != 1)
      return failure(Code::input, "conv2d: expects an image, a weight and one output");
    const ValueType* output = types.outputs[0];
    const bool hasRanks = image->shape.size() == 4 && weight->shape.size() == 4 && output->shape.size() == 4;
    if (!hasRanks || image->layout != Layout::nhwc || output->layout != Layout::nhwc ||
        weight->layout != Layout::plain) {
      return failure(Code::shape, "conv2d: expects nhwc images and a plain weight of 4 axes");
    }
    const ConvGeometry g = geometry(types);
    const bool hasChannels = g.C % attributes_.groups == 0 && g.O % attributes_.groups == 0 && g.C > 0 && g.O > 0 &&
                             g.K > 0 && g.L > 0 && weight->shape[1] * attributes_.groups == g.C;
    if (g.taps() * g.channelsPerGroup() > kMaxProducts)
      return failure(Code::limit, "conv2d: more than 2^31 - 1 products for each output (weight %s)",
                     showShape(weight->shape).c_str());
    const int64_t spareH =
        g.H + attributes_.padding[0] + attributes_.padding[2] - attributes_.dilation[0] * (g.K - 1) - 1;
    const int64_t spareW =
        g.W + attributes_.padding[1] + attributes_.padding[3] - attributes_.dilation[1] * (g.L - 1) - 1;
    const bool hasSize = spareH >= 0 && spareW >= 0 && g.outH == spareH / attributes_.stride[0] + 1 &&
                         g.outW == spareW / attributes_.stride[1] + 1;
    const bool hasRest =
        output->shape[0] == g.N && output->shape[1] == g.O &&
        (bias == nullptr || bias->shape == std::vector<int64_t>{g.O}) &&
        (residual == nullptr || (residual->shape == output->shape && residual->layout == Layout::nhwc));
    if (!hasChannels || !hasSize || !hasRest) {
      return failure(Code::shape, "conv2d: input %s, weight %s, groups %d and output %s do not go together",
                     showShape(image->shape).c_str(), showShape(weight->shape).c_str(), attributes_.groups,
                     showShape(output->shape).c_str());
    }
    return Status();
  }

  Border border(const PlanContext& context, size_t index) const override {
    if (index != kImage) return {};
    Border border = geometry(*context.types).border();
    // A register tile of bfloat16 reads all its pixels, however many there are to be computed.
    if (readsAs(context, index) != Format::float32 && context.bfloat16->pixelStep > 1)
      border.tail = (context.bfloat16->pixelStep - 1) * attributes_.stride[1];
    return border;
  }

  Format readsAs(const PlanContext& context, size_t index) const override {
    if (index != kImage || context.precision == Precision::float32) return Format::float32;
    return chooseConv(geometry(*context.largest), context).algorithm->format;
  }
  // Activations that are no clamp are a second pass, over float32; and of several groups' vectors none may end where
  // the pixel does.
  bool storesRounded(const PlanContext& context) const override {
    const bool isFilled = attributes_.groups == 1 || geometry(*context.types).O % kChannelBlock == 0;
    return isFilled && attributes_.epilogue.isClamp() && readsAs(context, kImage) != Format::float32;
  }

  bool acceptsTight(size_t index) const override { return index == kImage; }
  bool isPerImage() const override { return true; }

  bool packs(size_t index) const override { return index == kWeight || index == kBias; }

  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    if (context.constant(kWeight) == nullptr ||
        (context.types->input(kBias) != nullptr && context.constant(kBias) == nullptr)) {
      return failure(Code::unsupported, "conv2d: weight and bias must be constants");
    }
    const Image* residual = context.types->input(kResidual) != nullptr ? context.inputImages[kResidual] : nullptr;
    const ConvPlan plan{context,  geometry(*context.types),  *context.inputImages[kImage], *context.outputImages[0],
                        residual, context.constant(kWeight), context.constant(kBias)};
    ConvChoice choice = chooseConv(geometry(*context.largest), context);
    Result<std::unique_ptr<Task>> task = choice.algorithm->plan(plan);
    if (!task.isOk()) return task;
    task.value()->algorithm = choice.algorithm->name;
    task.value()->estimates = std::move(choice.estimates);
    task.value()->isForced = choice.isForced;
    task.value()->macs = plan.geometry.macs();
    return task;
  }

 private:
  ConvGeometry geometry(const StepTypes& types) const {
    const std::vector<int64_t>&image = types.inputs[kImage]->shape, &weight = types.inputs[kWeight]->shape,
          &output = types.outputs[0]->shape;
    return {attributes_, image[0], image[1], image[2], image[3], weight[0], weight[2], weight[3], output[2], output[3]};
  }

  ConvAttributes attributes_;
};

}  // namespace

Border ConvGeometry::border() const {
  // Trailing padding that no output position reaches (stride) is not wanted.
  const int64_t lastRow = (outH - 1) * attributes.stride[0] + (K - 1) * attributes.dilation[0] - attributes.padding[0];
  const int64_t lastColumn =
      (outW - 1) * attributes.stride[1] + (L - 1) * attributes.dilation[1] - attributes.padding[1];
  Border border;
  border.top = attributes.padding[0];
  border.left = attributes.padding[1];
  border.bottom = lastRow >= H ? static_cast<int>(lastRow - H + 1) : 0;
  border.right = lastColumn >= W ? static_cast<int>(lastColumn - W + 1) : 0;
  return border;
}

Result<std::unique_ptr<Operation>> makeConv2d(const Attributes& attributes) {
  ConvAttributes conv;
  for (const Status& status :
       {attributes.integers("stride", 2, 1, conv.stride), attributes.integers("padding", 4, 0, conv.padding),
        attributes.integers("dilation", 2, 1, conv.dilation), attributes.integers("groups", 1, 1, &conv.groups),
        Epilogue::read(attributes, &conv.epilogue)}) {
    if (!status.isOk()) return status;
  }
  return std::unique_ptr<Operation>(new Conv2d(conv));
}

}  // namespace repconv

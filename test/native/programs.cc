#include "programs.h"

#include <algorithm>
#include <cstring>

namespace repconv::test {

Result<Program> Description::read() const {
  Program program;
  for (const DescribedValue& value : values) {
    const void* constant = value.floats != nullptr    ? static_cast<const void*>(value.floats->data())
                           : value.doubles != nullptr ? value.doubles->data()
                                                      : nullptr;
    program.values.push_back({value.dtype, value.layout, constant, value.shape});
  }
  for (const DescribedStep& step : steps) {
    Attributes attributes(step.operation);
    for (const Attribute& attribute : step.attributes) attributes.add(attribute);
    Result<std::unique_ptr<Operation>> operation = makeOperation(step.operation, attributes);
    if (!operation.isOk()) return operation.status();
    ProgramStep made;
    made.name = step.operation;
    made.inputs = step.inputs;
    made.outputs = step.outputs;
    made.operation = std::move(operation.value());
    program.steps.push_back(std::move(made));
  }
  program.inputs = inputs;
  program.outputs = outputs;
  return program;
}

std::vector<std::vector<int64_t>> Description::shapes() const {
  std::vector<std::vector<int64_t>> result;
  for (const DescribedValue& value : values) result.push_back(value.shape);
  return result;
}

std::string Description::show() const {
  const auto list = [](const std::vector<int>& indices) {
    std::string text;
    for (int index : indices) text += (text.empty() ? "" : ",") + std::to_string(index);
    return text;
  };
  std::string text = "in " + list(inputs) + " out " + list(outputs);
  for (const DescribedStep& step : steps) {
    text += "; " + step.operation + "(" + list(step.inputs) + ")→" + list(step.outputs);
    for (int output : step.outputs) {
      if (output >= 0 && output < static_cast<int>(values.size()))
        text += showShape(values[static_cast<size_t>(output)].shape);
    }
    for (const Attribute& attribute : step.attributes) {
      text += " " + attribute.name + "=" + attribute.word;
      for (double number : attribute.numbers) text += std::to_string(number).substr(0, 8) + " ";
    }
  }
  return text;
}

int Description::input(std::vector<int64_t> shape) {
  values.push_back({DType::float32, Layout::plain, std::move(shape), nullptr, nullptr});
  inputs.push_back(static_cast<int>(values.size()) - 1);
  return inputs.back();
}

int Description::byteImage(std::vector<int64_t> shape, std::vector<float> mean, std::vector<float> deviation) {
  const int bytes = input(shape);
  values.back().dtype = DType::uint8;
  const int from = constant({shape[3]}, std::move(mean)), by = constant({shape[3]}, std::move(deviation));
  return step("normalizeBytes", {bytes, from, by}, {shape[0], shape[3], shape[1], shape[2]}, Layout::nhwc);
}

int Description::constant(std::vector<int64_t> shape, std::vector<float> data) {
  values.push_back({DType::float32, Layout::plain, std::move(shape),
                    std::make_shared<std::vector<float>>(std::move(data)), nullptr});
  return static_cast<int>(values.size()) - 1;
}

int Description::constant64(std::vector<int64_t> shape, std::vector<double> data) {
  values.push_back({DType::float64, Layout::plain, std::move(shape), nullptr,
                    std::make_shared<std::vector<double>>(std::move(data))});
  return static_cast<int>(values.size()) - 1;
}

int Description::step(std::string operation, std::vector<int> from, std::vector<int64_t> shape, Layout layout,
                      std::vector<Attribute> attributes) {
  values.push_back({DType::float32, layout, std::move(shape), nullptr, nullptr});
  const int output = static_cast<int>(values.size()) - 1;
  steps.push_back({std::move(operation), std::move(from), {output}, std::move(attributes)});
  return output;
}

int Description::as(Layout layout, int value) {
  const DescribedValue& from = values[static_cast<size_t>(value)];
  if (from.layout == layout) return value;
  return step(layout == Layout::nhwc ? "toNhwc" : "toPlain", {value}, from.shape, layout);
}

namespace {

const std::vector<const char*> kActivations = {"none",        "relu",      "relu6", "leakyRelu", "sigmoid", "silu",
                                               "hardSigmoid", "hardSwish", "gelu",  "geluTanh",  "tanh"};

// Grows one program; `pick` takes any value made so far.
class Grower {
 public:
  Grower(Random& random, Description& description) : random_(random), d_(description) {}

  void grow(int steps) {
    for (int i = random_.between(1, 2); i > 0; i--) {
      const std::vector<int64_t> shape = {random_.between(1, 3), random_.between(1, 20), random_.between(1, 9),
                                          random_.between(1, 9)};
      if (random_.chance(75)) {
        made_.push_back(d_.input(shape));
      } else {
        // Deviations that leave whole numbers over 255: far from exact, but the same everywhere.
        made_.push_back(
            d_.byteImage(shape, integers(shape[3], 2), std::vector<float>(static_cast<size_t>(shape[3]), 0.5f)));
      }
    }
    while (steps-- > 0) growStep();
    // Outputs are plain results of steps, each named once.
    for (int i = random_.between(1, 3); i > 0; i--) {
      int output = pick();
      if (d_.values[static_cast<size_t>(output)].layout == Layout::nhwc) {
        output = d_.as(Layout::plain, output);
      } else if (isInput(output) || std::count(d_.outputs.begin(), d_.outputs.end(), output) > 0) {
        output = d_.step("reshape", {output}, shapeOf(output), Layout::plain);
      }
      d_.outputs.push_back(output);
    }
  }

 private:
  const std::vector<int64_t>& shapeOf(int value) const { return d_.values[static_cast<size_t>(value)].shape; }
  bool isInput(int value) const { return std::count(d_.inputs.begin(), d_.inputs.end(), value) > 0; }
  int pick() { return random_.chance(50) ? made_.back() : random_.of(made_); }

  std::vector<float> integers(int64_t size, int magnitude) {
    std::vector<float> data(static_cast<size_t>(size));
    for (float& x : data) x = static_cast<float>(random_.between(-magnitude, magnitude));
    return data;
  }

  // Another value of that shape made so far, or −1.
  int sibling(const std::vector<int64_t>& shape) {
    std::vector<int> siblings;
    for (int value : made_) {
      if (shapeOf(value) == shape) siblings.push_back(value);
    }
    return siblings.empty() ? kNoValue : random_.of(siblings);
  }

  std::vector<Attribute> activation() {
    if (random_.chance(50)) return {};
    return {word("activation", random_.of(kActivations)), numbers("alpha", {0.25})};
  }

  void growStep() {
    switch (random_.between(0, 10)) {
      case 0:
      case 1:
      case 2:
        return growConvolution();
      case 3:
        return growPool();
      case 4:
        return growSum();
      case 9:
        return growTransposed();
      case 10:
        return growLinear();
      case 5: {
        const Layout layout = random_.chance(50) ? Layout::nhwc : Layout::plain;
        const int from = d_.as(layout, pick());
        made_.push_back(d_.step("activation", {from}, shapeOf(from), layout,
                                {word("activation", random_.of(kActivations)), numbers("alpha", {0.25})}));
        return;
      }
      case 6: {
        const int from = d_.as(Layout::plain, pick());
        const std::vector<int64_t> shape = shapeOf(from);
        made_.push_back(d_.step("reshape", {from}, {shape[0], shape[1], shape[3], shape[2]}, Layout::plain));
        return;
      }
      case 7: {
        const int a = d_.as(Layout::plain, pick()), other = sibling(shapeOf(a));
        std::vector<int64_t> shape = shapeOf(a);
        const int b = other == kNoValue ? a : d_.as(Layout::plain, other);
        shape[1] *= 2;
        if (shape[1] <= 40) made_.push_back(d_.step("concat", {a, b}, shape, Layout::plain, {numbers("axis", {1})}));
        return;
      }
      default: {
        const int from = d_.as(Layout::nhwc, pick());
        const int64_t channels = shapeOf(from)[1];
        std::vector<int> inputs = {from};
        for (int p = 0; p < 3; p++) inputs.push_back(d_.constant({channels}, integers(channels, 3)));
        std::vector<float> variance = integers(channels, 3);
        for (float& v : variance) v = v * v + 1;
        inputs.push_back(d_.constant({channels}, variance));
        const int residual = random_.chance(30) ? sibling(shapeOf(from)) : kNoValue;
        inputs.push_back(residual == kNoValue ? kNoValue : d_.as(Layout::nhwc, residual));
        made_.push_back(d_.step("batchNorm", inputs, shapeOf(from), Layout::nhwc, activation()));
      }
    }
  }

  void growConvolution() {
    const int from = d_.as(Layout::nhwc, pick());
    const std::vector<int64_t> in = shapeOf(from);
    double stride[2], dilation[2], padding[4];
    int64_t kernel[2], out[2];
    for (int axis = 0; axis < 2; axis++) {
      kernel[axis] = random_.between(1, 4);
      stride[axis] = random_.between(1, 3);
      dilation[axis] = random_.between(1, 2);
      padding[axis] = random_.between(0, 3);
      padding[axis + 2] = random_.between(0, 3);
      const int64_t spare = in[static_cast<size_t>(axis) + 2] +
                            static_cast<int64_t>(padding[axis] + padding[axis + 2] -
                                                 dilation[axis] * static_cast<double>(kernel[axis] - 1)) -
                            1;
      if (spare < 0) return;
      out[axis] = spare / static_cast<int64_t>(stride[axis]) + 1;
    }
    int64_t groups = random_.chance(60) ? 1 : random_.chance(50) ? in[1] : 2;
    if (in[1] % groups != 0) groups = 1;
    const int64_t perGroup = in[1] / groups,
                  outputs =
                      groups * (groups == in[1] && random_.chance(70) ? 1 : random_.between(1, groups > 4 ? 2 : 20));
    const std::vector<int64_t> shape = {in[0], outputs, out[0], out[1]};
    const int weight =
        d_.constant({outputs, perGroup, kernel[0], kernel[1]}, integers(outputs * perGroup * kernel[0] * kernel[1], 2));
    const int bias = random_.chance(70) ? d_.constant({outputs}, integers(outputs, 9)) : kNoValue;
    const int other = random_.chance(50) ? sibling(shape) : kNoValue;
    const int residual = other == kNoValue ? kNoValue : d_.as(Layout::nhwc, other);
    std::vector<Attribute> attributes = activation();
    attributes.push_back(numbers("stride", {stride[0], stride[1]}));
    attributes.push_back(numbers("dilation", {dilation[0], dilation[1]}));
    attributes.push_back(numbers("padding", {padding[0], padding[1], padding[2], padding[3]}));
    attributes.push_back(numbers("groups", {static_cast<double>(groups)}));
    made_.push_back(d_.step("conv2d", {from, weight, bias, residual}, shape, Layout::nhwc, attributes));
  }

  void growTransposed() {
    const int from = d_.as(Layout::nhwc, pick());
    const std::vector<int64_t> in = shapeOf(from);
    const int64_t groups = in[1] % 2 == 0 && random_.chance(30) ? 2 : 1, perGroup = random_.between(1, 20);
    std::vector<int64_t> shape = {in[0], groups * perGroup}, kernel;
    std::vector<double> stride, dilation, padding, outputPadding;
    for (size_t axis : {2, 3}) {
      kernel.push_back(random_.between(1, 4));
      for (auto* values : {&stride, &dilation, &padding, &outputPadding}) values->push_back(0);
      stride.back() = random_.between(1, 5);
      dilation.back() = random_.between(1, 2);
      padding.back() = random_.between(0, 2);
      outputPadding.back() = random_.between(0, 1);
      const double reach = dilation.back() * static_cast<double>(kernel.back() - 1);
      const int64_t extent = static_cast<int64_t>(static_cast<double>(in[axis] - 1) * stride.back() -
                                                  2 * padding.back() + reach + outputPadding.back()) +
                             1;
      if (extent < 1 || extent > 16) return;
      shape.push_back(extent);
    }
    const int weight =
        d_.constant({in[1], perGroup, kernel[0], kernel[1]}, integers(in[1] * perGroup * kernel[0] * kernel[1], 2));
    const int bias = random_.chance(70) ? d_.constant({shape[1]}, integers(shape[1], 9)) : kNoValue;
    std::vector<Attribute> attributes = activation();
    attributes.push_back(numbers("stride", stride));
    attributes.push_back(numbers("dilation", dilation));
    attributes.push_back(numbers("padding", {padding[0], padding[1], padding[0], padding[1]}));
    attributes.push_back(numbers("outputPadding", outputPadding));
    attributes.push_back(numbers("groups", {static_cast<double>(groups)}));
    made_.push_back(d_.step("convTranspose2d", {from, weight, bias}, shape, Layout::nhwc, attributes));
  }

  // A linear layer over each image as one row: of more features than one stretch, at times.
  void growLinear() {
    const int from = d_.as(Layout::plain, pick());
    const std::vector<int64_t> in = shapeOf(from);
    const int64_t features = in[1] * in[2] * in[3], outputs = random_.between(1, 60);
    const int rows = d_.step("reshape", {from}, {in[0], 1, 1, features}, Layout::plain);
    const int weight = d_.constant({outputs, features}, integers(outputs * features, 2));
    const int bias = random_.chance(70) ? d_.constant({outputs}, integers(outputs, 9)) : kNoValue;
    const int result = d_.step("linear", {rows, weight, bias}, {in[0], 1, 1, outputs}, Layout::plain, activation());
    made_.push_back(d_.step("reshape", {result}, {in[0], outputs, 1, 1}, Layout::plain));
  }

  void growPool() {
    const int from = d_.as(Layout::nhwc, pick());
    const std::vector<int64_t> in = shapeOf(from);
    const char* kind = random_.chance(50) ? "max" : "average";
    if (random_.chance(40)) {
      const std::vector<int64_t> shape = {in[0], in[1], random_.between(1, 3), random_.between(1, 3)};
      made_.push_back(d_.step("pool", {from}, shape, Layout::nhwc, {word("kind", kind), numbers("adaptive", {1})}));
      return;
    }
    const double kernel = random_.between(1, 3), stride = random_.between(1, 2);
    const double padding = kernel > 1 ? random_.between(0, 1) : 0;
    std::vector<int64_t> shape = {in[0], in[1]};
    for (size_t axis : {2, 3}) {
      const int64_t spare = in[axis] + static_cast<int64_t>(2 * padding - kernel);
      if (spare < 0) return;
      shape.push_back(spare / static_cast<int64_t>(stride) + 1);
    }
    made_.push_back(
        d_.step("pool", {from}, shape, Layout::nhwc,
                {word("kind", kind), numbers("kernelSize", {kernel, kernel}), numbers("stride", {stride, stride}),
                 numbers("padding", {padding, padding, padding, padding})}));
  }

  void growSum() {
    const int a = pick(), other = sibling(shapeOf(a)), b = other == kNoValue ? a : other;
    const Layout layout = random_.chance(70) ? Layout::nhwc : Layout::plain;
    const std::vector<int64_t> shape = shapeOf(a);
    const int first = d_.as(layout, a), second = d_.as(layout, b);
    made_.push_back(d_.step(random_.chance(70) ? "add" : "mul", {first, second}, shape, layout,
                            layout == Layout::nhwc ? activation() : std::vector<Attribute>{}));
  }

  Random& random_;
  Description& d_;
  std::vector<int> made_;
};

}  // namespace

Description randomProgram(Random& random, int steps) {
  Description description;
  Grower(random, description).grow(steps);
  return description;
}

std::vector<std::vector<float>> randomInputs(const Description& description, Random& random) {
  std::vector<std::vector<float>> result;
  for (int input : description.inputs) {
    int64_t size = 1;
    for (int64_t extent : description.values[static_cast<size_t>(input)].shape) size *= extent;
    std::vector<float> data(static_cast<size_t>(size));
    const bool isBytes = description.values[static_cast<size_t>(input)].dtype == DType::uint8;
    for (float& x : data) x = static_cast<float>(isBytes ? random.between(0, 255) : random.between(-8, 8));
    result.push_back(std::move(data));
  }
  return result;
}

namespace {

template <typename T>
std::vector<unsigned char> bytesOf(const std::vector<float>& numbers) {
  const std::vector<T> elements(numbers.begin(), numbers.end());
  const unsigned char* bytes = reinterpret_cast<const unsigned char*>(elements.data());
  return elements.empty() ? std::vector<unsigned char>()
                          : std::vector<unsigned char>(bytes, bytes + elements.size() * sizeof(T));
}

}  // namespace

std::vector<unsigned char> memoryOf(const Description& description, size_t index, const std::vector<float>& numbers) {
  const DType dtype = description.values[static_cast<size_t>(description.inputs[index])].dtype;
  return dtype == DType::uint8     ? bytesOf<uint8_t>(numbers)
         : dtype == DType::float64 ? bytesOf<double>(numbers)
                                   : bytesOf<float>(numbers);
}

std::vector<Isa> usableIsas() {
  std::vector<Isa> isas;
  for (Isa isa : kIsas) {
    if (isa > cpuInfo().isa) {
      skip("this processor has no %s; programs are not run with it here", isaName(isa));
    } else {
      isas.push_back(isa);
    }
  }
  return isas;
}

bool isSame(const Outputs& a, const Outputs& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); i++) {
    if (a[i].size() != b[i].size() ||
        (!a[i].empty() && std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0))
      return false;
  }
  return true;
}

}  // namespace repconv::test

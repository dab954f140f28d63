// Programs that are wrong: valid ones with one to four changes. Each ends in a Status with a message, or computes;
// nothing else may happen.
#include <cmath>

#include "programs.h"

namespace repconv::test {
namespace {

// Beyond this a program is valid but too large to be run here.
constexpr double kMostBytes = 64 << 20;

int wrongIndex(const Description& d, Random& random) {
  const int count = static_cast<int>(d.values.size());
  return random.of<int>({-1, -2, -1000000, 0, count - 1, count, count + 1, 0x7fffffff, random.between(0, count - 1),
                         random.between(0, count - 1)});
}

int64_t wrongExtent(Random& random) {
  return random.of<int64_t>({0, 1, 2, 3, 5, 16, 17, 100, 65536, 0x7fffffff, 0x80000000, -1, INT64_MIN, INT64_MAX,
                             int64_t{1} << 40, random.between(1, 12)});
}

double wrongNumber(Random& random) {
  return random.of<double>({0, 1, 2, 3, 4, 7, -1, 0.5, 16777216, 16777217, 1e300, -1e300, std::nan(""), INFINITY,
                            -INFINITY, 2147483648.0, double(random.between(0, 9))});
}

const std::vector<const char*> kOperations = {"activation",
                                              "add",
                                              "batchNorm",
                                              "batchNormTraining",
                                              "compareAnswers",
                                              "concat",
                                              "contractChannels",
                                              "conv2d",
                                              "convTranspose2d",
                                              "linear",
                                              "mul",
                                              "normalizeBytes",
                                              "pad",
                                              "pool",
                                              "prelu",
                                              "reshape",
                                              "sumKernels",
                                              "softmax",
                                              "toNhwc",
                                              "toPlain",
                                              "",
                                              "Conv2d",
                                              "none"};
const std::vector<const char*> kAttributes = {
    "stride",   "padding",    "dilation", "groups",          "activation", "alpha",         "kind",
    "adaptive", "kernelSize", "ceilMode", "countIncludePad", "axis",       "mode",          "value",
    "eps",      "momentum",   "taps",     "terms",           "swapped",    "outputPadding", "unknown"};

void changeShape(DescribedValue& value, Random& random) {
  if (value.shape.empty() || random.chance(15)) {
    value.shape.resize(random.chance(10) ? 20 : static_cast<size_t>(random.between(0, 6)), 2);
  } else {
    value.shape[static_cast<size_t>(random.between(0, static_cast<int>(value.shape.size()) - 1))] = wrongExtent(random);
  }
  // The reader of programs makes sure that a constant's memory has its shape (addon/program_reader.cc).
  if (value.floats == nullptr && value.doubles == nullptr) return;
  double size = 1;
  for (int64_t extent : value.shape) size *= extent < 0 ? 1e30 : static_cast<double>(extent);
  if (size > 1e5) value.shape.assign(1, 3);
  int64_t whole = 1;
  for (int64_t extent : value.shape) whole *= extent;
  const size_t count = static_cast<size_t>(whole) + (whole == 0);
  if (value.dtype == DType::float64) {
    value.doubles = std::make_shared<std::vector<double>>(count, 1.0);
    value.floats = nullptr;
  } else {
    value.floats = std::make_shared<std::vector<float>>(count, 1.0f);
    value.doubles = nullptr;
  }
}

void changeAttribute(DescribedStep& step, Random& random) {
  if (step.attributes.empty() || random.chance(20)) {
    step.attributes.push_back(random.chance(70) ? numbers(random.of(kAttributes), {wrongNumber(random)})
                                                : word(random.of(kAttributes), "relu"));
    return;
  }
  Attribute& attribute =
      step.attributes[static_cast<size_t>(random.between(0, static_cast<int>(step.attributes.size()) - 1))];
  switch (random.between(0, 3)) {
    case 0:
      attribute.numbers.resize(static_cast<size_t>(random.between(0, 5)), 1);
      return;
    case 1:
      attribute.word = random.of<const char*>({"", "relu", "max", "average", "reflect", "%s%n", "zeros"});
      return;
    default:
      if (attribute.numbers.empty()) attribute.numbers.push_back(0);
      attribute.numbers[static_cast<size_t>(random.between(0, static_cast<int>(attribute.numbers.size()) - 1))] =
          wrongNumber(random);
  }
}

void change(Description& d, Random& random) {
  const auto anyStep = [&]() -> DescribedStep& {
    return d.steps[static_cast<size_t>(random.between(0, static_cast<int>(d.steps.size()) - 1))];
  };
  const auto anyValue = [&]() -> DescribedValue& {
    return d.values[static_cast<size_t>(random.between(0, static_cast<int>(d.values.size()) - 1))];
  };
  const auto changeList = [&](std::vector<int>& list) {
    if (list.empty() || random.chance(20)) {
      list.push_back(wrongIndex(d, random));
    } else if (random.chance(20)) {
      list.pop_back();
    } else {
      list[static_cast<size_t>(random.between(0, static_cast<int>(list.size()) - 1))] = wrongIndex(d, random);
    }
  };
  if (d.values.empty()) return;
  switch (random.between(0, d.steps.empty() ? 3 : 9)) {
    case 0:
      return changeList(random.chance(50) ? d.inputs : d.outputs);
    case 1:
    case 2:
      return changeShape(anyValue(), random);
    case 3: {
      DescribedValue& value = anyValue();
      if (random.chance(50)) {
        value.layout = value.layout == Layout::plain ? Layout::nhwc : Layout::plain;
      } else {
        value.dtype = random.of<DType>({DType::float32, DType::float64, DType::uint8});
        changeShape(value, random);
      }
      return;
    }
    case 4:
      return changeList(anyStep().inputs);
    case 5:
      return changeList(anyStep().outputs);
    case 6:
      anyStep().operation = random.of(kOperations);
      return;
    case 7:
    case 8:
      return changeAttribute(anyStep(), random);
    default:
      if (random.chance(50)) {
        d.steps.erase(d.steps.begin() + random.between(0, static_cast<int>(d.steps.size()) - 1));
      } else {
        std::swap(anyStep(), anyStep());
      }
  }
}

// Runs it if it is small, with its arena and (where `isGuarded`) in guarded memory; returns what refused it.
Status tryProgram(const Description& d, int threads, ThreadPool& pool, bool isGuarded = true) {
  Result<Program> program = d.read();
  if (!program.isOk()) return program.status();
  Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), {cpuInfo().isa, threads, ""});
  if (!session.isOk()) return session.status();
  Result<std::shared_ptr<const Plan>> made = session.value()->prepare(d.shapes(), d.shapes());
  if (!made.isOk()) return made.status();
  const Plan& plan = *made.value();
  double bytes = static_cast<double>(plan.arenaBytes());
  for (const std::vector<int>* list : {&d.inputs, &d.outputs}) {
    for (int value : *list) bytes += static_cast<double>(plan.sizeBytes(value));
  }
  double macs = 0;
  for (const Plan::Step& step : plan.steps()) macs += step.task->macs;
  if (bytes > kMostBytes || macs > 1e8) return Status();
  std::vector<std::vector<float>> numbers;
  std::vector<std::vector<unsigned char>> memory;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (int value : d.inputs) {
    numbers.emplace_back(static_cast<size_t>(plan.type(value).size()), 1.0f);
    memory.push_back(memoryOf(d, numbers.size() - 1, numbers.back()));
  }
  for (int value : d.outputs) memory.emplace_back(plan.sizeBytes(value));
  for (size_t i = 0; i < memory.size(); i++) {
    if (i < d.inputs.size()) inputs.push_back(memory[i].data());
    if (i >= d.inputs.size()) outputs.push_back(memory[i].data());
  }
  if (Status status = session.value()->run(pool, plan, inputs.data(), outputs.data(), nullptr, nullptr); !status.isOk())
    return status;
  if (!isGuarded) return Status();
  return runGuarded(d, {cpuInfo().isa, threads, ""}, numbers, threads == 1).status();
}

Description transposed(std::vector<int64_t> in, std::vector<int64_t> weight, std::vector<int64_t> out,
                       std::vector<Attribute> attributes) {
  Description d;
  size_t size = 1;
  for (int64_t extent : weight) size *= static_cast<size_t>(extent);
  const int image = d.as(Layout::nhwc, d.input(std::move(in))),
            kernel = d.constant(std::move(weight), std::vector<float>(size, 2.0f));
  const int bias = d.constant({out[1]}, std::vector<float>(static_cast<size_t>(out[1]), 0.5f));
  d.outputs = {d.as(Layout::plain, d.step("convTranspose2d", {image, kernel, bias}, std::move(out), Layout::nhwc,
                                          std::move(attributes)))};
  return d;
}

}  // namespace

TEST("a changed program is refused with a code and a message, or runs; it never does anything else") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(2).isOk(), "no threads");
  int refused = 0, accepted = 0;
  for (int seed = 1; seed <= repetitions(60000); seed++) {
    Random random(static_cast<uint64_t>(seed) + 700000);
    Description d = randomProgram(random, random.between(1, 6));
    for (int changes = random.between(1, 4); changes > 0; changes--) change(d, random);
    note("seed %d: %.400s", seed, d.show().c_str());
    const Status status = tryProgram(d, random.between(1, 2), pool, seed % 3 == 0);
    (status.isOk() ? accepted : refused)++;
    CHECK(status.isOk() || (status.code() != Code::ok && !status.message().empty() && status.message().size() < 512),
          "refused without words");
  }
  note("in all");
  CHECK(refused > accepted / 4 && accepted > refused / 20,
        "%d refused and %d accepted: the changes are too mild or too wild to test anything", refused, accepted);
}

TEST("a transposed convolution plans for the outputs there are, not for its stride") {
  for (const auto& [stride, outputPadding] : {std::pair{16777216.0, 0}, {16777216.0, 9}, {5.0, 4}}) {
    // One pixel, so that tap u is output u; what lies beyond the kernel is the bias.
    const int64_t extent = 3 + outputPadding;
    const Description d = transposed({1, 1, 1, 1}, {1, 1, 3, 3}, {1, 1, extent, extent},
                                     {numbers("stride", {stride, stride}),
                                      numbers("outputPadding", {double(outputPadding), double(outputPadding)})});
    note("stride %g, output %d", stride, static_cast<int>(extent));
    Result<Program> program = d.read();
    Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), {cpuInfo().isa, 1, ""});
    Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(d.shapes(), d.shapes());
    CHECK(plan.isOk(), "%s", plan.status().message().c_str());
    CHECK(session.value()->memory().packedBytes < 1 << 14, "%zu bytes are packed",
          session.value()->memory().packedBytes);
    Result<Outputs> outputs = runGuarded(d, {cpuInfo().isa, 1, ""}, {{3.0f}}, true);
    CHECK(outputs.isOk(), "%s", outputs.status().message().c_str());
    for (int64_t i = 0; i < extent * extent; i++) {
      const float expected = i / extent < 3 && i % extent < 3 ? 6.5f : 0.5f,
                  got = outputs.value()[0][static_cast<size_t>(i)];
      CHECK(got == expected, "output %d is %g", static_cast<int>(i), static_cast<double>(got));
    }
  }
}

TEST("what every program must keep is refused by name when it does not") {
  const auto valid = [] {
    Description d;
    const int input = d.input({1, 4, 3, 3});
    d.outputs = {d.step("activation", {input}, {1, 4, 3, 3}, Layout::plain, {word("activation", "relu")})};
    return d;
  };
  ThreadPool pool;
  CHECK(pool.ensureThreads(1).isOk() && tryProgram(valid(), 1, pool).isOk(), "the valid program is refused");
  const auto expect = [&](const char* what, Code code, const char* text, void (*spoil)(Description&)) {
    Description d = valid();
    spoil(d);
    const Status status = tryProgram(d, 1, pool);
    note("%s", what);
    CHECK(status.code() == code && status.message().find(text) != std::string::npos, "code %d: %s",
          static_cast<int>(status.code()), status.message().c_str());
  };
  expect("an unknown operation", Code::unsupported, "unknown operation",
         [](Description& d) { d.steps[0].operation = "relu"; });
  expect("an unknown activation", Code::unsupported, "unknown activation",
         [](Description& d) { d.steps[0].attributes = {word("activation", "swish")}; });
  expect("a value read before it is made", Code::input, "before it is made",
         [](Description& d) { d.steps[0].inputs = {1}; });
  expect("a value made twice", Code::input, "not free", [](Description& d) { d.steps[0].outputs = {0}; });
  expect("an input that is not there", Code::input, "input 9", [](Description& d) { d.inputs = {9}; });
  expect("an input that is an image", Code::input, "no plain value",
         [](Description& d) { d.values[0].layout = Layout::nhwc; });
  expect("an output that is an input", Code::input, "no plain result", [](Description& d) { d.outputs = {0}; });
  expect("an output named twice", Code::input, "no plain result", [](Description& d) { d.outputs = {1, 1}; });
  expect("a negative extent", Code::shape, "out of range", [](Description& d) { d.values[0].shape[2] = -3; });
  expect("an extent beyond 2^31", Code::shape, "out of range",
         [](Description& d) { d.values[0].shape[2] = int64_t{1} << 31; });
  expect("more elements than 2^40", Code::shape, "too large", [](Description& d) {
    d.values[0].shape = {0x7fffffff, 0x7fffffff, 1, 1};
  });
  expect("a convolution whose output has other channels than its weight makes", Code::shape, "conv2d",
         [](Description& spoiled) {
           Description d;
           const int image = d.as(Layout::nhwc, d.input({1, 4, 3, 3})),
                     weight = d.constant({2, 4, 1, 1}, std::vector<float>(8, 1.0f));
           d.outputs = {d.as(Layout::plain,
                             d.step("conv2d", {image, weight, kNoValue, kNoValue}, {1, 300, 3, 3}, Layout::nhwc))};
           spoiled = d;
         });
  expect("a step that cannot read bytes", Code::input, "(activation) does not read uint8 as input 0",
         [](Description& d) { d.values[0].dtype = DType::uint8; });
  expect("a step that cannot read float64", Code::input, "(activation) does not read float64 as input 0",
         [](Description& d) { d.values[0].dtype = DType::float64; });
  expect("a result of bytes", Code::input, "does not make uint8",
         [](Description& d) { d.values[1].dtype = DType::uint8; });
  expect("a result of float64", Code::input, "does not make float64",
         [](Description& d) { d.values[1].dtype = DType::float64; });
  expect("a constant of float64", Code::input, "(add) does not read float64 as input 1", [](Description& d) {
    d.steps[0] = {"add", {0, d.constant64({1, 4, 3, 3}, std::vector<double>(36, 1.0))}, {1}, {}};
  });
  expect("folding by factors of float32", Code::shape, "sumKernels", [](Description& spoiled) {
    Description d;
    const int kernel = d.constant({2, 3, 4}, std::vector<float>(24, 1.0f)), factors = d.constant({2}, {1, 2});
    d.outputs = {d.step("sumKernels", {kernel, factors}, {2, 3, 4}, Layout::plain,
                        {numbers("terms", {0, 1, -1, 1, 0, 4}), numbers("taps", {0, 1, 2, 3})})};
    d.values.push_back({DType::float64, Layout::plain, {1}, nullptr, nullptr});
    d.steps[0].outputs.push_back(static_cast<int>(d.values.size()) - 1);
    spoiled = d;
  });
  expect("bytes with other channels than their mean", Code::shape, "normalizeBytes", [](Description& spoiled) {
    Description d;
    const int image = d.byteImage({1, 2, 3, 4}, {0, 0, 0, 0}, {1, 1, 1, 1});
    d.outputs = {d.as(Layout::plain, image)};
    d.values[static_cast<size_t>(d.steps[0].inputs[1])].shape = {3};
    spoiled = d;
  });
  expect("bytes whose mean is no constant", Code::unsupported, "have to be constants", [](Description& spoiled) {
    Description d;
    const int mean = d.input({4});
    const int image = d.byteImage({1, 2, 3, 4}, {0, 0, 0, 0}, {1, 1, 1, 1});
    d.outputs = {d.as(Layout::plain, image)};
    d.steps[0].inputs[1] = mean;
    spoiled = d;
  });
  expect("more values than 2^20", Code::limit, "more than 1048576",
         [](Description& d) { d.values.resize((1 << 20) + 1, d.values[0]); });
  expect("a pooling window whose reach is beyond 2^31", Code::shape, "does not pool", [](Description& spoiled) {
    Description d;
    const int image = d.as(Layout::nhwc, d.input({1, 1, 8, 8}));
    const double most = 16777216;
    d.outputs = {d.as(Layout::plain, d.step("pool", {image}, {1, 1, 8, 8}, Layout::nhwc,
                                            {word("kind", "max"), numbers("kernelSize", {most, most}),
                                             numbers("dilation", {most, most})}))};
    spoiled = d;
  });
  expect("a transposed convolution whose reach is beyond 2^24", Code::limit,
         "reaches 33554432 pixels, more than 16777216", [](Description& spoiled) {
           spoiled = transposed({1, 1, 1, 1}, {1, 1, 3, 1}, {1, 1, 33554433, 1}, {numbers("dilation", {16777216, 1})});
         });
  expect("a transposed convolution of more than 2^16 phases", Code::limit, "up to 66049 phases",
         [](Description& spoiled) {
           spoiled = transposed({1, 1, 1, 1}, {1, 1, 257, 257}, {1, 1, 257, 257}, {numbers("stride", {257, 257})});
         });
  expect("a convolution of more products for each output than 2^31 - 1", Code::limit, "more than 2^31 - 1 products",
         [](Description& spoiled) {
           Description d;
           const int image = d.as(Layout::nhwc, d.input({1, 4, 65536, 65536})), weight = d.input({1, 4, 65536, 65536});
           d.outputs = {
               d.as(Layout::plain, d.step("conv2d", {image, weight, kNoValue, kNoValue}, {1, 1, 1, 1}, Layout::nhwc))};
           spoiled = d;
         });
  expect("nine axes", Code::shape, "more than 8", [](Description& d) { d.values[0].shape.assign(9, 1); });
  expect("shapes that do not go together", Code::shape, "activation", [](Description& d) {
    d.values[1].shape = {1, 4, 3, 4};
  });
}

}  // namespace repconv::test

// Convolutions of random geometry on whole numbers, every algorithm on every instruction set, in guarded memory: bit
// for bit what plain loops give.
#include <cstring>

#include "bfloat16_ways.h"
#include "programs.h"

namespace repconv::test {
namespace {

struct Geometry {
  int N, C, H, W, O, K, L, groups, threads;
  int stride[2], dilation[2], padding[4];

  int extent(int axis) const {
    const int size = axis == 0 ? H : W, kernel = axis == 0 ? K : L;
    return (size + padding[axis] + padding[axis + 2] - dilation[axis] * (kernel - 1) - 1) / stride[axis] + 1;
  }
  bool isPossible() const {
    return H + padding[0] + padding[2] > dilation[0] * (K - 1) && W + padding[1] + padding[3] > dilation[1] * (L - 1);
  }
};

// For the algorithms of bfloat16: any channels, but at least 32 in each of several groups.
Geometry denseGeometry(Random& random) {
  Geometry g{};
  do {
    g.groups = random.chance(75) ? 1 : 2;
    g.C = g.groups * (g.groups == 1 ? random.of<int>({1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 47, 48, 64})
                                    : random.of<int>({32, 34, 48}));
    g.O = g.groups * random.of<int>({1, 3, 16, 20, 33, 49, 64});
    g.N = random.between(1, 2);
    g.H = random.between(1, 8);
    g.W = random.between(1, random.chance(70) ? 9 : 36);
    g.K = random.of<int>({1, 3, 3, 3, 5});
    g.L = random.chance(80) ? g.K : random.of<int>({1, 2, 3});
    for (int axis = 0; axis < 2; axis++) {
      g.stride[axis] = random.of<int>({1, 1, 2, 3});
      g.dilation[axis] = random.of<int>({1, 1, 1, 2});
    }
    for (int& side : g.padding) side = random.chance(40) ? 0 : random.between(0, 3);
    g.threads = random.between(1, 3);
  } while (!g.isPossible());
  return g;
}

Geometry randomGeometry(Random& random) {
  Geometry g{};
  do {
    const std::vector<int> channels = {1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 48, 49, 65};
    g.groups = random.chance(60) ? 1 : random.between(2, 5);
    const bool isDepthwise = random.chance(25);
    if (isDepthwise) g.groups = random.of(channels);
    g.C = isDepthwise ? g.groups : g.groups * (g.groups == 1 ? random.of(channels) : random.between(1, 18));
    g.O = isDepthwise ? g.groups * (random.chance(80) ? 1 : 2)
                      : g.groups * (g.groups == 1 ? random.of(channels) : random.between(1, 18));
    g.N = random.between(1, 3);
    g.H = random.between(1, 17);
    g.W = random.between(1, 34);
    const bool isPointwise = random.chance(20);
    g.K = isPointwise ? 1 : random.of<int>({1, 2, 3, 3, 3, 5, 7});
    g.L = isPointwise ? 1 : random.chance(80) ? g.K : random.of<int>({1, 2, 3, 5});
    for (int axis = 0; axis < 2; axis++) {
      g.stride[axis] = isPointwise && random.chance(80) ? 1 : random.of<int>({1, 1, 2, 3});
      g.dilation[axis] = random.of<int>({1, 1, 1, 2});
    }
    for (int& side : g.padding) side = isPointwise && random.chance(80) ? 0 : random.between(0, 3);
    g.threads = random.between(1, 3);
  } while (!g.isPossible());
  return g;
}

std::vector<float> integers(size_t size, Random& random, int most = 8) {
  std::vector<float> data(size);
  for (float& x : data) x = static_cast<float>(random.between(-most, most));
  return data;
}

struct Parts {
  std::vector<float> image, weight, bias, residual;
  bool hasBias, hasResidual;
};

std::vector<float> naive(const Geometry& g, const Parts& parts, float low, float high) {
  const int outH = g.extent(0), outW = g.extent(1), perGroup = g.C / g.groups, outputsPerGroup = g.O / g.groups;
  std::vector<float> out;
  for (int n = 0; n < g.N; n++) {
    for (int o = 0; o < g.O; o++) {
      for (int y = 0; y < outH; y++) {
        for (int x = 0; x < outW; x++) {
          float sum = parts.hasBias ? parts.bias[static_cast<size_t>(o)] : 0;
          for (int c = 0; c < perGroup; c++) {
            for (int u = 0; u < g.K; u++) {
              for (int v = 0; v < g.L; v++) {
                const int row = y * g.stride[0] - g.padding[0] + u * g.dilation[0],
                          column = x * g.stride[1] - g.padding[1] + v * g.dilation[1];
                if (row < 0 || row >= g.H || column < 0 || column >= g.W) continue;
                const int channel = o / outputsPerGroup * perGroup + c;
                sum += parts.image[static_cast<size_t>(((n * g.C + channel) * g.H + row) * g.W + column)] *
                       parts.weight[static_cast<size_t>(((o * perGroup + c) * g.K + u) * g.L + v)];
              }
            }
          }
          if (parts.hasResidual) sum += parts.residual[out.size()];
          out.push_back(sum < low ? low : sum > high ? high : sum);
        }
      }
    }
  }
  return out;
}

std::vector<Attribute> attributesOf(const Geometry& g, const char* activation) {
  return {numbers("stride", {double(g.stride[0]), double(g.stride[1])}),
          numbers("dilation", {double(g.dilation[0]), double(g.dilation[1])}),
          numbers("padding", {double(g.padding[0]), double(g.padding[1]), double(g.padding[2]), double(g.padding[3])}),
          numbers("groups", {double(g.groups)}), word("activation", activation)};
}

// The first difference between what plain loops and each way give, or an empty text. Image and weight are whole numbers
// up to the ones given.
std::string compare(const Geometry& g, int seed, Random& random, const std::vector<Way>& ways, int mostImage = 8,
                    int mostWeight = 8) {
  const int outH = g.extent(0), outW = g.extent(1), perGroup = g.C / g.groups;
  Parts parts;
  parts.hasBias = random.chance(70);
  parts.hasResidual = random.chance(30);
  parts.image = integers(static_cast<size_t>(g.N * g.C * g.H * g.W), random, mostImage);
  parts.weight = integers(static_cast<size_t>(g.O * perGroup * g.K * g.L), random, mostWeight);
  parts.bias = integers(static_cast<size_t>(g.O), random);
  parts.residual = integers(static_cast<size_t>(g.N * g.O * outH * outW), random);
  const bool isClamped = random.chance(40);

  Description d;
  const std::vector<int64_t> outShape = {g.N, g.O, outH, outW};
  const int image = d.as(Layout::nhwc, d.input({g.N, g.C, g.H, g.W}));
  // Read by the convolution alone, it comes in the convolution's format; now and then somebody else reads it, too.
  const bool isShared = random.chance(30);
  const int weight = d.constant({g.O, perGroup, g.K, g.L}, parts.weight);
  const int bias = parts.hasBias ? d.constant({g.O}, parts.bias) : kNoValue;
  const int residual = parts.hasResidual ? d.as(Layout::nhwc, d.input(outShape)) : kNoValue;
  const std::vector<Attribute> attributes = attributesOf(g, isClamped ? "relu6" : "none");
  d.outputs = {
      d.as(Layout::plain, d.step("conv2d", {image, weight, bias, residual}, outShape, Layout::nhwc, attributes))};
  if (isShared) d.outputs.push_back(d.step("toPlain", {image}, {g.N, g.C, g.H, g.W}, Layout::plain));
  std::vector<std::vector<float>> inputs = {parts.image};
  if (parts.hasResidual) inputs.push_back(parts.residual);
  const std::vector<float> expected = naive(g, parts, isClamped ? 0 : -1e30f, isClamped ? 6 : 1e30f);

  for (const Way& way : ways) {
    Result<Outputs> result = runGuarded(d, way, inputs, seed % 2 == 0);
    note("seed %d, %s, conv %s %s, %d threads: %.300s", seed, isaName(way.isa), way.conv.c_str(),
         way.bfloat16 != nullptr ? way.bfloat16->name : "", way.threads, d.show().c_str());
    if (!result.isOk()) return result.status().message();
    const std::vector<float>& out = result.value()[0];
    for (size_t i = 0; i < expected.size(); i++) {
      if (out[i] != expected[i])
        return "element " + std::to_string(i) + " is " + std::to_string(out[i]) + ", expected " +
               std::to_string(expected[i]);
    }
  }
  return {};
}

}  // namespace

TEST("every convolution algorithm is exact on whole numbers and reads nothing beside its arrays") {
  for (int seed = 1; seed <= repetitions(1200); seed++) {
    Random random(static_cast<uint64_t>(seed) + 200000);
    const Geometry g = randomGeometry(random);
    // Only those that fit: where the forced one does not, Winograd may be chosen, which is not exact.
    std::vector<const char*> convs = {"direct", "im2col"};
    if (g.C == g.groups) convs.push_back("depthwise");
    if (g.K * g.L == 1) convs.push_back("pointwise");
    std::vector<Way> ways;
    for (Isa isa : usableIsas()) {
      for (const char* conv : convs) ways.push_back({isa, g.threads, conv});
    }
    const std::string difference = compare(g, seed, random, ways);
    CHECK(difference.empty(), "%s", difference.c_str());
  }
}

TEST(
    "bfloat16 convolutions are exact on whole numbers of 8 bits, of 16 in two parts, and read nothing beside their "
    "arrays") {
  const Bfloat16Ways kernels = bfloat16Ways();
  for (const Bfloat16Kernels* one : kernels.kernels) {
    for (int seed = 1; seed <= kernels.repetitionsOf(one, 400, 60); seed++) {
      Random random(static_cast<uint64_t>(seed) + 300000);
      const Geometry g = denseGeometry(random);
      const Way single{Isa::avx512, g.threads, "bfloat16", Precision::bfloat16, one},
          split{Isa::avx512, g.threads, "bfloat16x3", Precision::bfloat16x3, one};
      std::string difference = compare(g, seed, random, {single});
      CHECK(difference.empty(), "%s", difference.c_str());
      // The product of the two low parts is left out: one of the factors has none.
      const bool isImageLong = random.chance(50);
      difference = compare(g, seed, random, {split}, isImageLong ? 1000 : 8, isImageLong ? 8 : 1000);
      CHECK(difference.empty(), "%s", difference.c_str());
    }
    // It is this kernel that computed it.
    Bfloat16Kernels broken = *one;
    broken.multiply[0] = broken.multiply[1] = [](Bfloat16Work&, const Bfloat16Tile&) {};
    Random random(300001);
    const Geometry g = denseGeometry(random);
    CHECK(!compare(g, 1, random, {{Isa::avx512, 1, "bfloat16", Precision::bfloat16, &broken}}).empty(),
          "%s does not compute it", one->name);
    CHECK(!compare(g, 1, random, {{Isa::avx512, 1, "bfloat16x3", Precision::bfloat16x3, &broken}}).empty(),
          "%s does not compute it in parts", one->name);
  }
}

// A convolution of `image`, an nhwc value.
int appendConv(Description& d, int image, const Geometry& g, int residual, const char* activation,
               std::vector<float> weight, std::vector<float> bias) {
  const int weights = d.constant({g.O, g.C / g.groups, g.K, g.L}, std::move(weight)),
            biases = d.constant({g.O}, std::move(bias));
  return d.step("conv2d", {image, weights, biases, residual}, {g.N, g.O, g.extent(0), g.extent(1)}, Layout::nhwc,
                attributesOf(g, activation));
}

TEST("what a bfloat16 convolution leaves rounded for the next one is what the next one would have rounded") {
  const Bfloat16Ways kernels = bfloat16Ways();
  for (const Bfloat16Kernels* one : kernels.kernels) {
    for (int seed = 1; seed <= kernels.repetitionsOf(one, 200, 40); seed++) {
      Random random(static_cast<uint64_t>(seed) + 500000);
      const Geometry first = denseGeometry(random);
      Geometry second = denseGeometry(random);
      second.N = first.N;
      // Groups that the algorithm takes, where the first one's outputs make them.
      second.groups = first.O >= 64 && first.O % 4 == 0 && random.chance(70) ? 2 : 1;
      second.O = second.groups * 16;
      second.C = first.O;
      second.H = first.extent(0);
      second.W = first.extent(1);
      if (!second.isPossible()) continue;
      const auto reals = [&random](int64_t size, float scale) {
        std::vector<float> data(static_cast<size_t>(size));
        for (float& x : data) x = scale * static_cast<float>(random.between(-100000, 100000)) * 0x1p-17f;
        return data;
      };
      const auto weightsOf = [&](const Geometry& g) {
        return reals(int64_t{g.O} * (g.C / g.groups) * g.K * g.L, 0.25f);
      };
      const std::vector<float> image = reals(int64_t{first.N} * first.C * first.H * first.W, 4.0f),
                               weights[2] = {weightsOf(first), weightsOf(second)},
                               biases[2] = {reals(first.O, 1.0f), reals(second.O, 1.0f)};
      const std::vector<int64_t> between = {first.N, first.O, second.H, second.W};
      const std::vector<float> residual = reals(first.N * int64_t{first.O} * second.H * second.W, 2.0f);
      const bool hasResidual = random.chance(30);
      const char* activation = random.of<const char*>({"none", "relu", "relu6", "silu"});

      Description whole, head, tail;
      for (Description* d : {&whole, &head}) {
        const int from = d->as(Layout::nhwc, d->input({first.N, first.C, first.H, first.W}));
        const int other = hasResidual ? d->as(Layout::nhwc, d->input(between)) : kNoValue;
        const int made = appendConv(*d, from, first, other, activation, weights[0], biases[0]);
        d->outputs = {d->as(Layout::plain,
                            d == &head ? made : appendConv(*d, made, second, kNoValue, "none", weights[1], biases[1]))};
      }
      tail.outputs = {tail.as(Layout::plain, appendConv(tail, tail.as(Layout::nhwc, tail.input(between)), second,
                                                        kNoValue, "none", weights[1], biases[1]))};
      std::vector<std::vector<float>> inputs = {image};
      if (hasResidual) inputs.push_back(residual);
      for (const auto& [conv, precision] :
           {std::pair("bfloat16", Precision::bfloat16), std::pair("bfloat16x3", Precision::bfloat16x3)}) {
        const Way way{Isa::avx512, first.threads, conv, precision, one};
        note("seed %d, %s %s: %.300s", seed, one->name, conv, whole.show().c_str());
        const Result<Outputs> made = runGuarded(head, way, inputs, seed % 2 == 0);
        CHECK(made.isOk(), "%s", made.status().message().c_str());
        const Result<Outputs> expected = runGuarded(tail, way, made.value(), seed % 2 == 0),
                              result = runGuarded(whole, way, inputs, seed % 2 != 0),
                              session = runSession(whole, way, inputs);
        CHECK(expected.isOk() && result.isOk() && session.isOk(), "does not run");
        CHECK(isSame(result.value(), expected.value()), "rounded between them, the two give something else than apart");
        CHECK(isSame(session.value(), expected.value()), "a session gives something else");
      }
    }
  }
}

TEST("on AMX both bfloat16 precisions are estimated to be faster than Winograd, strided layers included") {
  if (cpuInfo().isa < Isa::avx512)
    return skip("this processor has no avx512: what is chosen beside AMX is not tested here");
  if (bfloat16AmxKernels() == nullptr) return skip("this build has no AMX kernels");
  struct Layer {
    int64_t channels, size, outputs;
    double stride;
  };
  // Planning only: nothing is run.
  for (const Layer& layer : {Layer{48, 56, 48, 1}, Layer{96, 28, 96, 1}, Layer{192, 14, 192, 1}, Layer{48, 112, 48, 2},
                             Layer{192, 14, 1280, 2}}) {
    const int64_t size = layer.stride > 1 ? (layer.size + 1) / 2 : layer.size;
    Description d;
    const int image = d.as(Layout::nhwc, d.input({1, layer.channels, layer.size, layer.size}));
    const int weight = d.constant({layer.outputs, layer.channels, 3, 3},
                                  std::vector<float>(static_cast<size_t>(layer.outputs * layer.channels * 9)));
    const std::vector<Attribute> attributes = {numbers("stride", {layer.stride, layer.stride}),
                                               numbers("padding", {1, 1, 1, 1})};
    d.outputs = {d.as(Layout::plain, d.step("conv2d", {image, weight, kNoValue, kNoValue},
                                            {1, layer.outputs, size, size}, Layout::nhwc, attributes))};
    for (Precision precision : {Precision::bfloat16, Precision::bfloat16x3}) {
      const std::string expected = precision == Precision::bfloat16 ? "bfloat16" : "bfloat16x3";
      note("%s of %s", expected.c_str(), d.show().c_str());
      Result<Program> program = d.read();
      Result<std::shared_ptr<Session>> session =
          Session::make(std::move(program.value()), {Isa::avx512, 1, "", precision, bfloat16AmxKernels()});
      Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(d.shapes(), d.shapes());
      CHECK(plan.isOk(), "%s", plan.status().message().c_str());
      if (!plan.isOk()) continue;
      bool isChosen = false;
      std::string found;
      for (const Plan::Step& step : plan.value()->steps()) {
        isChosen = isChosen || expected == step.task->algorithm;
        found += std::string(step.task->algorithm) + " ";
      }
      CHECK(isChosen, "%s", found.c_str());
    }
  }
}

}  // namespace repconv::test

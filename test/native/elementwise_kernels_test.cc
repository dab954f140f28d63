// Kernels that go element by element: exact ones against the same words in plain C++, transcendental ones against
// float64.
#include <cmath>
#include <limits>

#include "kernel_test.h"

namespace repconv::test {
namespace {

constexpr size_t kLargestRun = 71;  // past four of the longest vectors, and every rest

using Unary = void (*)(const KernelTable& kernels, float* out, const float* in, size_t size);
using Expected = float (*)(float);

// Runs of every length, out of place and in place.
Difference compareRuns(const KernelTable& kernels, Side side, Unary kernel, Expected expected,
                       bool isFilledWithIntegers = true) {
  Random random(2);
  for (size_t size = 0; size <= kLargestRun; size++) {
    const auto fill = [&](size_t) {
      return isFilledWithIntegers ? smallInteger(random) : static_cast<float>(random.between(-9000, 9000)) / 1024;
    };
    const Guarded<float> in(size, side, fill);
    const Guarded<float> out(size, side, [](size_t) { return kUntouched; });
    std::vector<float> answers;
    for (float x : in) answers.push_back(expected(x));
    kernel(kernels, out.data(), in.data(), size);
    if (Difference difference = compareFloats("out", out.data(), answers.data(), size); !difference.empty())
      return difference;
    kernel(kernels, in.data(), in.data(), size);
    if (Difference difference = compareFloats("in place", in.data(), answers.data(), size); !difference.empty())
      return difference;
  }
  return {};
}

template <bool kIsAdd>
Difference compareBinary(const KernelTable& kernels, Side side) {
  Random random(3);
  for (size_t size = 0; size <= kLargestRun; size++) {
    const auto integer = [&](size_t) { return smallInteger(random); };
    const Guarded<float> a(size, side, integer), b(size, side, integer),
        out(size, side, [](size_t) { return kUntouched; });
    const float low = size % 2 == 0 ? -std::numeric_limits<float>::infinity() : -5.0f,
                high = size % 3 == 0 ? std::numeric_limits<float>::infinity() : 11.0f;
    (kIsAdd ? kernels.add : kernels.multiply)(out.data(), a.data(), b.data(), size, low, high);
    std::vector<float> expected;
    for (size_t i = 0; i < size; i++) expected.push_back(clampOf(kIsAdd ? a[i] + b[i] : a[i] * b[i], low, high));
    if (Difference difference = compareFloats("out", out.data(), expected.data(), size); !difference.empty())
      return difference;
  }
  return {};
}

Difference compareClamp(const KernelTable& kernels, Side side) {
  return compareRuns(
      kernels, side,
      [](const KernelTable& k, float* out, const float* in, size_t size) { k.clampRow(out, in, size, -3.0f, 5.0f); },
      [](float x) { return clampOf(x, -3.0f, 5.0f); });
}

Difference compareAffinePlane(const KernelTable& kernels, Side side) {
  return compareRuns(
      kernels, side,
      [](const KernelTable& k, float* out, const float* in, size_t size) { k.affinePlane(out, in, size, 3.0f, -7.0f); },
      [](float x) { return x * 3.0f - 7.0f; });
}

Difference compareAffine(const KernelTable& kernels, Side side) {
  Random random(4);
  const int VL = kernels.vectorLength;
  for (int repetition = 0; repetition < 200; repetition++) {
    const int64_t pixels = random.between(0, 9), channels = VL * random.between(1, 4);
    const size_t size = static_cast<size_t>(pixels * channels);
    const auto integer = [&](size_t) { return smallInteger(random); };
    const Guarded<float> in(size, side, integer), residual(size, side, integer),
        out(size, side, [](size_t) { return kUntouched; });
    const Guarded<float> scale(static_cast<size_t>(channels), side, integer),
        shift(static_cast<size_t>(channels), side, integer);
    const bool hasResidual = random.chance(50);
    kernels.affine({out.data(), in.data(), scale.data(), shift.data(), hasResidual ? residual.data() : nullptr, pixels,
                    channels, -30.0f, 40.0f});
    std::vector<float> expected;
    for (size_t i = 0; i < size; i++) {
      const size_t c = i % static_cast<size_t>(channels);
      expected.push_back(clampOf(in[i] * scale[c] + shift[c] + (hasResidual ? residual[i] : 0.0f), -30.0f, 40.0f));
    }
    if (Difference difference = compareFloats("out", out.data(), expected.data(), size); !difference.empty())
      return difference;
  }
  return {};
}

double sigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }
double sixth(double x) { return std::fmin(std::fmax(x + 3, 0), 6) / 6; }

// What each activation means, in float64, and how many units of 2^-24·max(1, |y|) a kernel may be off; 0: not at all.
struct Meaning {
  Activation activation;
  double (*of)(double x);
  double units;
};
const Meaning kMeanings[] = {
    {Activation::none, [](double x) { return x; }, 0},
    {Activation::relu, [](double x) { return x < 0 ? 0 : x; }, 0},
    {Activation::relu6, [](double x) { return x < 0   ? 0
                                              : x > 6 ? 6
                                                      : x; }, 0},
    {Activation::leakyRelu, [](double x) { return x < 0 ? 0.25 * x : x; }, 0},
    {Activation::sigmoid, sigmoidOf, 4},
    {Activation::silu, [](double x) { return x * sigmoidOf(x); }, 4},
    {Activation::hardSigmoid, sixth, 2},
    {Activation::hardSwish, [](double x) { return x * sixth(x); }, 3},
    {Activation::gelu, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }, 4},
    {Activation::geluTanh,
     [](double x) { return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }, 4},
    {Activation::tanh, [](double x) { return std::tanh(x); }, 4},
};

Difference compareActivations(const KernelTable& kernels, Side side) {
  Random random(5);
  for (const Meaning& meaning : kMeanings) {
    for (size_t size = 0; size <= kLargestRun; size++) {
      const Guarded<float> in(size, side,
                              [&](size_t) { return static_cast<float>(random.between(-12000, 12000)) / 1024; });
      const Guarded<float> out(size, side, [](size_t) { return kUntouched; });
      for (float* to : {out.data(), in.data()}) {  // the second in place
        const std::vector<float> before(in.begin(), in.end());
        kernels.activate(meaning.activation, 0.25f, to, in.data(), size);
        for (size_t i = 0; i < size; i++) {
          const double y = meaning.of(before[i]), bound = meaning.units * 0x1p-24 * std::fmax(1, std::fabs(y));
          if (std::fabs(to[i] - y) <= bound) continue;
          char text[160];
          std::snprintf(text, sizeof text, "activation %d of %.9g is %.9g, expected %.9g ± %.2g",
                        static_cast<int>(meaning.activation), before[i], to[i], y, bound);
          return text;
        }
      }
    }
  }
  return {};
}

Difference compareSoftmax(const KernelTable& kernels, Side side) {
  Random random(6);
  for (size_t size = 1; size <= kLargestRun; size++) {
    const Guarded<float> in(size, side, [&](size_t) { return static_cast<float>(random.between(-9000, 9000)) / 1024; });
    const Guarded<float> out(size, side, [](size_t) { return kUntouched; });
    double total = 0;
    for (float x : in) total += std::exp(static_cast<double>(x));
    kernels.softmax(out.data(), in.data(), size);
    for (size_t i = 0; i < size; i++) {
      const double y = std::exp(static_cast<double>(in[i])) / total;
      if (std::fabs(out[i] - y) > 8 * 0x1p-24)
        return "softmax of " + std::to_string(size) + " numbers, at " + std::to_string(i);
    }
  }
  return {};
}

Difference compareAxpy(const KernelTable& kernels, Side side) {
  Random random(7);
  for (size_t size = 0; size <= kLargestRun; size++) {
    const auto integer = [&](size_t) { return static_cast<double>(random.between(-1000000, 1000000)); };
    const Guarded<double> in(size, side, integer), out(size, side, integer);
    const double factor = random.between(-1000, 1000) | 1;
    std::vector<double> expected;
    for (size_t i = 0; i < size; i++) expected.push_back(out[i] + factor * in[i]);
    kernels.axpy64(out.data(), in.data(), factor, size);
    for (size_t i = 0; i < size; i++) {
      if (out[i] != expected[i]) return "axpy64 of " + std::to_string(size) + " numbers, at " + std::to_string(i);
    }
  }
  return {};
}

// With factor and term 1, chain i of lane l ends at i + rounds: the sum says that every multiply-add counted was done.
Difference comparePeak(const KernelTable& kernels, Side side) {
  const Guarded<float> sink(3, side, [](size_t) { return 1.0f; });
  const int64_t rounds = 1000;
  const double operations = kernels.peak(rounds, sink.data());
  const double chains = operations / (2.0 * kernels.vectorLength * static_cast<double>(rounds));
  const double expected = chains * (chains - 1) / 2 + chains * static_cast<double>(rounds);
  if (chains < 4 || chains != std::floor(chains)) return "peak counts " + std::to_string(chains) + " chains";
  return sink[2] == expected ? Difference()
                             : "peak computes " + std::to_string(sink[2]) + ", expected " + std::to_string(expected);
}

const KernelRegistration registrations[] = {
    KernelRegistration(
        {"add", compareBinary<true>,
         [](KernelTable& k) { k.add = [](float*, const float*, const float*, size_t, float, float) {}; }}),
    KernelRegistration(
        {"multiply", compareBinary<false>,
         [](KernelTable& k) { k.multiply = [](float*, const float*, const float*, size_t, float, float) {}; }}),
    KernelRegistration({"clampRow", compareClamp,
                        [](KernelTable& k) { k.clampRow = [](float*, const float*, size_t, float, float) {}; }}),
    KernelRegistration({"affinePlane", compareAffinePlane,
                        [](KernelTable& k) { k.affinePlane = [](float*, const float*, size_t, float, float) {}; }}),
    KernelRegistration({"affine", compareAffine, [](KernelTable& k) { k.affine = [](const AffineRow&) {}; }}),
    KernelRegistration({"activate", compareActivations,
                        [](KernelTable& k) { k.activate = [](Activation, float, float*, const float*, size_t) {}; }}),
    KernelRegistration(
        {"softmax", compareSoftmax, [](KernelTable& k) { k.softmax = [](float*, const float*, size_t) {}; }}),
    KernelRegistration(
        {"axpy64", compareAxpy, [](KernelTable& k) { k.axpy64 = [](double*, const double*, double, size_t) {}; }}),
    KernelRegistration({"peak", comparePeak, [](KernelTable& k) { k.peak = [](int64_t, float*) { return 0.0; }; }}),
};

}  // namespace
}  // namespace repconv::test

// Kernels that walk over pixels: depthwise rows, pooling, and the change between planes and pixels.
#include <algorithm>
#include <limits>

#include "kernel_test.h"

namespace repconv::test {
namespace {

// Half of them 3×3 at a stride of one or two taps, which has a kernel of its own: every height and width of its blocks,
// and what is left of them.
Difference compareDepthwise(const KernelTable& kernels, Side side) {
  Random random(8);
  const auto integer = [&](size_t) { return smallInteger(random); };
  for (int repetition = 0; repetition < 400; repetition++) {
    DepthwiseRows work{};
    work.channels = kernels.vectorLength * random.between(1, random.chance(5) ? 36 : 3);
    work.rows = random.between(0, 9);
    work.pixels = random.between(0, random.chance(50) ? 10 : 21);
    const bool isBlock = random.chance(50);
    const int stride[2] = {random.between(1, 2), random.between(1, 3)};
    work.tapRows = isBlock ? 3 : random.between(1, 4);
    work.tapColumns = isBlock ? 3 : random.between(1, 4);
    work.tapPixel = work.channels + random.between(0, 3);
    work.inPixel = isBlock ? stride[0] * work.tapPixel : random.between(0, 50);
    work.tapRow = random.between(0, 400);
    work.inRow = isBlock ? stride[random.chance(90) ? 0 : 1] * work.tapRow : random.between(0, 50);
    work.weightStride = work.channels + random.between(0, 5);
    work.outPixel = work.channels + random.between(0, 5);
    work.outRow = std::max<int64_t>(1, work.pixels) * work.outPixel + random.between(0, 5);
    work.residualPixel = random.between(0, 40);
    work.residualRow = random.between(0, 40);
    work.low = -40;
    work.high = 60;
    const ptrdiff_t lastRow = std::max<ptrdiff_t>(0, work.rows - 1),
                    lastPixel = std::max<ptrdiff_t>(0, work.pixels - 1);
    const ptrdiff_t lastTap = (work.tapRows - 1) * work.tapRow + (work.tapColumns - 1) * work.tapPixel;
    const Guarded<float> in(
        static_cast<size_t>(lastRow * work.inRow + lastPixel * work.inPixel + lastTap + work.channels), side, integer);
    const Guarded<float> weights(
        static_cast<size_t>((work.tapRows * work.tapColumns - 1) * work.weightStride + work.channels), side, integer);
    const Guarded<float> bias(static_cast<size_t>(work.channels), side, integer);
    const Guarded<float> residual(
        static_cast<size_t>(lastRow * work.residualRow + lastPixel * work.residualPixel + work.channels), side,
        integer);
    const Guarded<float> out(static_cast<size_t>(lastRow * work.outRow + lastPixel * work.outPixel + work.channels),
                             side, [](size_t) { return kUntouched; });
    work.in = in.data();
    work.weights = weights.data();
    work.bias = bias.data();
    work.out = out.data();
    work.residual = random.chance(50) ? residual.data() : nullptr;
    std::vector<float> expected(out.begin(), out.end());
    for (int64_t y = 0; y < work.rows; y++) {
      for (int64_t x = 0; x < work.pixels; x++) {
        for (int64_t c = 0; c < work.channels; c++) {
          float sum = work.bias[c];
          for (int t = 0; t < work.tapRows * work.tapColumns; t++) {
            const ptrdiff_t tap = t / work.tapColumns * work.tapRow + t % work.tapColumns * work.tapPixel;
            sum += work.in[y * work.inRow + x * work.inPixel + tap + c] * work.weights[t * work.weightStride + c];
          }
          if (work.residual != nullptr) sum += work.residual[y * work.residualRow + x * work.residualPixel + c];
          expected[static_cast<size_t>(y * work.outRow + x * work.outPixel + c)] = clampOf(sum, work.low, work.high);
        }
      }
    }
    kernels.depthwise(work);
    if (Difference difference = compareFloats("out", out.data(), expected.data(), expected.size()); !difference.empty())
      return difference;
  }
  return {};
}

template <bool kIsMax>
Difference comparePool(const KernelTable& kernels, Side side) {
  Random random(9);
  for (int repetition = 0; repetition < 400; repetition++) {
    const int64_t channels = kernels.vectorLength * random.between(1, 4),
                  tapCount = random.between(0, random.chance(80) ? 9 : 100);
    const bool hasNaN = kIsMax && random.chance(20);
    const Guarded<ptrdiff_t> taps(static_cast<size_t>(tapCount), side,
                                  [&](size_t) { return static_cast<ptrdiff_t>(random.between(0, 50)); });
    const ptrdiff_t most = tapCount == 0 ? 0 : *std::max_element(taps.begin(), taps.end());
    const Guarded<float> in(static_cast<size_t>(most + channels), side, [&](size_t) {
      return hasNaN && random.chance(10) ? std::numeric_limits<float>::quiet_NaN() : smallInteger(random);
    });
    const Guarded<float> out(static_cast<size_t>(channels), side, [](size_t) { return kUntouched; });
    const float divisor = static_cast<float>(random.between(1, 9));
    std::vector<float> expected;
    for (int64_t c = 0; c < channels; c++) {
      float result = kIsMax ? -std::numeric_limits<float>::infinity() : 0.0f;
      for (ptrdiff_t tap : taps) {
        const float value = in[static_cast<size_t>(tap + c)];
        if (kIsMax) {
          result = value > result || value != value ? value : result;
        } else {
          result += value;
        }
      }
      expected.push_back(kIsMax ? result : result / divisor);
    }
    if (kIsMax) {
      kernels.poolMax(out.data(), in.data(), taps.data(), tapCount, channels);
    } else {
      kernels.poolMean(out.data(), in.data(), taps.data(), tapCount, channels, divisor);
    }
    if (Difference difference = compareFloats("out", out.data(), expected.data(), expected.size()); !difference.empty())
      return difference;
  }
  return {};
}

// Planes of exactly the pixels asked for, pixels of exactly the channels: the gaps between them stay untouched.
template <bool kToPixels>
Difference compareLayout(const KernelTable& kernels, Side side) {
  Random random(10);
  for (int64_t channels = 1; channels <= 37; channels++) {
    for (int64_t pixels : {1, 2, 7, 16, 19}) {
      const ptrdiff_t plane = pixels + random.between(0, 3), pixel = channels + random.between(0, 3);
      const size_t planeFloats = static_cast<size_t>((channels - 1) * plane + pixels),
                   pixelFloats = static_cast<size_t>((pixels - 1) * pixel + channels);
      const Guarded<float> in(kToPixels ? planeFloats : pixelFloats, side,
                              [&](size_t) { return smallInteger(random); });
      const Guarded<float> out(kToPixels ? pixelFloats : planeFloats, side, [](size_t) { return kUntouched; });
      std::vector<float> expected(out.begin(), out.end());
      for (int64_t c = 0; c < channels; c++) {
        for (int64_t x = 0; x < pixels; x++) {
          const size_t inPlane = static_cast<size_t>(c * plane + x), inPixel = static_cast<size_t>(x * pixel + c);
          expected[kToPixels ? inPixel : inPlane] = in[kToPixels ? inPlane : inPixel];
        }
      }
      if (kToPixels) {
        kernels.interleave(out.data(), pixel, in.data(), plane, channels, pixels);
      } else {
        kernels.deinterleave(out.data(), plane, in.data(), pixel, channels, pixels);
      }
      if (Difference difference = compareFloats("out", out.data(), expected.data(), expected.size());
          !difference.empty())
        return difference;
    }
  }
  return {};
}

const KernelRegistration registrations[] = {
    KernelRegistration(
        {"depthwise", compareDepthwise, [](KernelTable& k) { k.depthwise = [](const DepthwiseRows&) {}; }}),
    KernelRegistration(
        {"poolMax", comparePool<true>,
         [](KernelTable& k) { k.poolMax = [](float*, const float*, const ptrdiff_t*, int64_t, int64_t) {}; }}),
    KernelRegistration(
        {"poolMean", comparePool<false>,
         [](KernelTable& k) { k.poolMean = [](float*, const float*, const ptrdiff_t*, int64_t, int64_t, float) {}; }}),
    KernelRegistration(
        {"interleave", compareLayout<true>,
         [](KernelTable& k) { k.interleave = [](float*, ptrdiff_t, const float*, ptrdiff_t, int64_t, int64_t) {}; }}),
    KernelRegistration(
        {"deinterleave", compareLayout<false>,
         [](KernelTable& k) { k.deinterleave = [](float*, ptrdiff_t, const float*, ptrdiff_t, int64_t, int64_t) {}; }}),
};

}  // namespace
}  // namespace repconv::test

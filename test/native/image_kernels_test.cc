// Kernels that walk over pixels: depthwise rows, pooling, and the change between planes and pixels.
#include <algorithm>
#include <limits>

#include "kernel_test.h"

namespace repconv::test {
namespace {

Difference compareDepthwise(const KernelTable& kernels, Side side) {
  Random random(8);
  for (int repetition = 0; repetition < 400; repetition++) {
    const int VL = kernels.vectorLength;
    const int64_t channels = VL * random.between(1, 3), pixels = random.between(0, 21);
    const int taps = random.between(1, 9);
    const ptrdiff_t inStride = channels * random.between(1, 3), outStride = channels + random.between(0, 5),
                    residualStride = channels + random.between(0, 5);
    const ptrdiff_t weightStride = channels + random.between(0, 5);
    std::vector<ptrdiff_t> offsets;
    for (int t = 0; t < taps; t++) offsets.push_back(random.between(-20, 40));
    const ptrdiff_t least = *std::min_element(offsets.begin(), offsets.end()), most = *std::max_element(offsets.begin(), offsets.end());
    const ptrdiff_t last = std::max<ptrdiff_t>(0, pixels - 1);
    const auto integer = [&](size_t) { return smallInteger(random); };
    const Guarded<float> in(static_cast<size_t>(last * inStride + most - least + channels), side, integer);
    const Guarded<float> weights(static_cast<size_t>((taps - 1) * weightStride + channels), side, integer);
    const Guarded<float> bias(static_cast<size_t>(channels), side, integer);
    const Guarded<float> residual(static_cast<size_t>(last * residualStride + channels), side, integer);
    const Guarded<float> out(static_cast<size_t>(last * outStride + channels), side, [](size_t) { return kUntouched; });
    const bool hasResidual = random.chance(50);
    std::vector<float> expected(out.begin(), out.end());
    for (int64_t p = 0; p < pixels; p++) {
      for (int64_t c = 0; c < channels; c++) {
        float sum = bias[static_cast<size_t>(c)];
        for (int t = 0; t < taps; t++) {
          sum += in[static_cast<size_t>(p * inStride + offsets[static_cast<size_t>(t)] - least + c)] *
                 weights[static_cast<size_t>(t * weightStride + c)];
        }
        if (hasResidual) sum += residual[static_cast<size_t>(p * residualStride + c)];
        expected[static_cast<size_t>(p * outStride + c)] = clampOf(sum, -40.0f, 60.0f);
      }
    }
    kernels.depthwise({in.data() - least, inStride, offsets.data(), taps, weights.data(), weightStride, bias.data(), out.data(), outStride,
                       hasResidual ? residual.data() : nullptr, residualStride, pixels, channels, -40.0f, 60.0f});
    if (Difference difference = compareFloats("out", out.data(), expected.data(), expected.size()); !difference.empty()) return difference;
  }
  return {};
}

template <bool kIsMax>
Difference comparePool(const KernelTable& kernels, Side side) {
  Random random(9);
  for (int repetition = 0; repetition < 400; repetition++) {
    const int64_t channels = kernels.vectorLength * random.between(1, 4), tapCount = random.between(0, random.chance(80) ? 9 : 100);
    const bool hasNaN = kIsMax && random.chance(20);
    const Guarded<ptrdiff_t> taps(static_cast<size_t>(tapCount), side, [&](size_t) { return static_cast<ptrdiff_t>(random.between(0, 50)); });
    const ptrdiff_t most = tapCount == 0 ? 0 : *std::max_element(taps.begin(), taps.end());
    const Guarded<float> in(static_cast<size_t>(most + channels), side,
                            [&](size_t) { return hasNaN && random.chance(10) ? std::numeric_limits<float>::quiet_NaN() : smallInteger(random); });
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
    if (Difference difference = compareFloats("out", out.data(), expected.data(), expected.size()); !difference.empty()) return difference;
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
      const Guarded<float> in(kToPixels ? planeFloats : pixelFloats, side, [&](size_t) { return smallInteger(random); });
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
      if (Difference difference = compareFloats("out", out.data(), expected.data(), expected.size()); !difference.empty()) return difference;
    }
  }
  return {};
}

const KernelRegistration registrations[] = {
    KernelRegistration({"depthwise", compareDepthwise, [](KernelTable& k) { k.depthwise = [](const DepthwiseRow&) {}; }}),
    KernelRegistration(
        {"poolMax", comparePool<true>, [](KernelTable& k) { k.poolMax = [](float*, const float*, const ptrdiff_t*, int64_t, int64_t) {}; }}),
    KernelRegistration({"poolMean", comparePool<false>,
                        [](KernelTable& k) { k.poolMean = [](float*, const float*, const ptrdiff_t*, int64_t, int64_t, float) {}; }}),
    KernelRegistration({"interleave", compareLayout<true>,
                        [](KernelTable& k) { k.interleave = [](float*, ptrdiff_t, const float*, ptrdiff_t, int64_t, int64_t) {}; }}),
    KernelRegistration({"deinterleave", compareLayout<false>,
                        [](KernelTable& k) { k.deinterleave = [](float*, ptrdiff_t, const float*, ptrdiff_t, int64_t, int64_t) {}; }}),
};

}  // namespace
}  // namespace repconv::test

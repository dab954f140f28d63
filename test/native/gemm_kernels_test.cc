// The register tile, every size of it: whole numbers, against the formula in kernels/table.h.
#include <algorithm>
#include <limits>

#include "kernel_test.h"

namespace repconv::test {
namespace {

// One tile: random runs over an input of exactly the floats they reach, outputs at the distance given, the last vector
// cut to `lastLanes`.
Difference compareTile(const KernelTable& kernels, Side side, int vectors, int pixels, int lastLanes, Random& random) {
  const int VL = kernels.vectorLength, width = vectors * VL, stored = width - VL + lastLanes;
  const int runs = random.between(1, 3), length = random.between(1, 9);
  const ptrdiff_t pixelStride = random.between(0, 12);
  std::vector<ptrdiff_t> offsets;
  for (int r = 0; r < runs; r++) offsets.push_back(random.between(-9, 25));
  const ptrdiff_t least = *std::min_element(offsets.begin(), offsets.end()),
                  most = *std::max_element(offsets.begin(), offsets.end());
  const bool hasResidual = random.chance(50), isClamped = random.chance(50);
  const ptrdiff_t outStride = stored + random.between(0, 3), residualStride = width + random.between(0, 3);
  const float infinity = std::numeric_limits<float>::infinity();

  const auto integer = [&](size_t) { return smallInteger(random); };
  const Guarded<float> in(static_cast<size_t>((pixels - 1) * pixelStride + most - least + length), side, integer);
  const Guarded<float> weights(static_cast<size_t>(runs * length * width), side, integer);
  const Guarded<float> bias(static_cast<size_t>(width), side, integer);
  const Guarded<float> residual(static_cast<size_t>((pixels - 1) * residualStride + width), side, integer);
  const Guarded<float> out(static_cast<size_t>((pixels - 1) * outStride + stored), side,
                           [](size_t) { return kUntouched; });
  std::vector<float> expected(out.begin(), out.end());

  GemmTile tile{};
  tile.in = in.data() - least;
  tile.pixelStride = pixelStride;
  tile.runOffsets = offsets.data();
  tile.runCount = runs;
  tile.runLength = length;
  tile.weights = weights.data();
  // Fetching beyond what there is does no harm.
  tile.prefetch = weights.data();
  tile.prefetchStep = random.between(0, 4096);
  tile.bias = bias.data();
  tile.out = out.data();
  tile.outPixelStride = outStride;
  tile.lastLanes = lastLanes;
  tile.residual = hasResidual ? residual.data() : nullptr;
  tile.residualPixelStride = residualStride;
  tile.low = isClamped ? -20.0f : -infinity;
  tile.high = isClamped ? 35.0f : infinity;
  for (int p = 0; p < pixels; p++) {
    for (int c = 0; c < stored; c++) {
      float sum = bias[static_cast<size_t>(c)];
      for (int r = 0; r < runs; r++) {
        for (int k = 0; k < length; k++) {
          sum += in[static_cast<size_t>(p * pixelStride + offsets[static_cast<size_t>(r)] - least + k)] *
                 weights[static_cast<size_t>((r * length + k) * width + c)];
        }
      }
      if (hasResidual) sum += residual[static_cast<size_t>(p * residualStride + c)];
      expected[static_cast<size_t>(p * outStride + c)] = clampOf(sum, tile.low, tile.high);
    }
  }
  note("%s gemm %dx%d: lanes %d, %d runs of %d, residual %d, clamp %d", kernels.name, pixels, vectors, lastLanes, runs,
       length, hasResidual, isClamped);
  kernels.gemm[vectors][pixels](tile);
  return compareFloats("out", out.data(), expected.data(), expected.size());
}

template <int kVectors>
Difference compareTiles(const KernelTable& kernels, Side side) {
  Random random(1);
  for (int pixels = 1; pixels <= kernels.tilePixels[kVectors]; pixels++) {
    for (int lanes = 1; lanes <= kernels.vectorLength; lanes++) {
      for (int repetition = 0; repetition < 4; repetition++) {
        if (Difference difference = compareTile(kernels, side, kVectors, pixels, lanes, random); !difference.empty())
          return difference;
      }
    }
  }
  return {};
}

template <int kVectors>
void disableTiles(KernelTable& kernels) {
  for (int p = 1; p <= kernels.tilePixels[kVectors]; p++) kernels.gemm[kVectors][p] = [](const GemmTile&) {};
}

const KernelRegistration oneVector({"gemm, panels of 1 vector", compareTiles<1>, disableTiles<1>});
const KernelRegistration twoVectors({"gemm, panels of 2 vectors", compareTiles<2>, disableTiles<2>});
const KernelRegistration threeVectors({"gemm, panels of 3 vectors", compareTiles<3>, disableTiles<3>});

TEST("a single tile that does nothing is noticed, whichever it is") {
  const KernelTable& table = kernelTable(cpuInfo().isa);
  for (int v = 1; v <= kMaxPanelVectors; v++) {
    for (int p = 1; p <= table.tilePixels[v]; p++) {
      KernelTable broken = table;
      broken.gemm[v][p] = [](const GemmTile&) {};
      const auto compare = v == 1 ? compareTiles<1> : v == 2 ? compareTiles<2> : compareTiles<3>;
      CHECK(!compare(broken, Side::end).empty(), "gemm[%d][%d]", v, p);
    }
  }
}

TEST("NaN and infinity pass through the tile and its clamp, and minus zero stays") {
  for (Isa isa : kIsas) {
    if (isa > cpuInfo().isa) continue;
    const KernelTable& kernels = kernelTable(isa);
    const float infinity = std::numeric_limits<float>::infinity();
    const size_t VL = static_cast<size_t>(kernels.vectorLength);
    const ptrdiff_t offset = 0;
    const std::vector<float> weights(VL, 1.0f), bias(VL, -0.0f);
    for (float value : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity, -0.0f}) {
      for (bool isClamped : {false, true}) {
        std::vector<float> out(VL);
        const GemmTile tile{&value,
                            1,
                            &offset,
                            1,
                            1,
                            weights.data(),
                            bias.data(),
                            out.data(),
                            0,
                            static_cast<int>(VL),
                            nullptr,
                            0,
                            isClamped ? 0.0f : -infinity,
                            isClamped ? 6.0f : infinity,
                            weights.data(),
                            0};
        kernels.gemm[1][1](tile);
        const std::vector<float> expected(VL, isClamped ? clampOf(value, 0.0f, 6.0f) : value);
        const Difference difference = compareFloats("out", out.data(), expected.data(), VL);
        CHECK(difference.empty(), "%s: %s", kernels.name, difference.c_str());
      }
    }
  }
}

}  // namespace
}  // namespace repconv::test

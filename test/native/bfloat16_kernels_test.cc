// The register tiles of bfloat16: whole numbers against plain loops bit for bit, other numbers within the bound of a
// float32 sum; and rounding.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "bfloat16_ways.h"
#include "core/memory.h"
#include "kernel_test.h"

namespace repconv::test {
namespace {

float floatOf(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

// To nearest even, in arithmetic; for finite numbers.
uint16_t rounded(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

constexpr uint16_t kUntouchedRounded = 0x4b3c;

// Numbers in one or two parts.
struct Parts {
  std::vector<float> high, low;
};

template <typename Draw>
Parts drawn(size_t size, bool isSplit, const Draw& draw) {
  Parts parts;
  for (size_t i = 0; i < size; i++) {
    const float value = draw(), high = floatOf(rounded(value));
    parts.high.push_back(high);
    parts.low.push_back(isSplit ? floatOf(rounded(value - high)) : 0.0f);
  }
  return parts;
}

struct Case {
  int vectors, lastLanes, pixels[2], runs, length;
  bool isSplit, hasResidual, isClamped, isInteger;
  // The format of a rounded output, which has so many channels and then zeros.
  Format format;
  int lastChannels;
};

// One tile over exactly the memory that it may touch; `tolerance`: of the sum of magnitudes.
Difference compareTile(const Bfloat16Kernels& kernels, Side side, const Case& c, Random& random, float tolerance) {
  constexpr int kLanes = kBfloat16Lanes;
  const int width = c.vectors * kLanes, stored = width - kLanes + c.lastLanes, parts = c.isSplit ? 2 : 1;
  const int steps = (c.length + kernels.stepLength - 1) / kernels.stepLength;
  const ptrdiff_t pixelStride = random.between(0, 48);
  std::vector<ptrdiff_t> offsets;
  for (int r = 0; r < c.runs; r++) offsets.push_back(random.between(-10, 24));
  const ptrdiff_t least = *std::min_element(offsets.begin(), offsets.end()),
                  most = *std::max_element(offsets.begin(), offsets.end());
  const auto draw = [&] {
    if (c.isInteger) return static_cast<float>(c.isSplit ? random.between(-300, 300) : random.between(-8, 8));
    return static_cast<float>(random.between(-1000000, 1000000)) * std::ldexp(1.0f, random.between(-24, -16));
  };

  // Each strip has a place of its own; a strip is read as a whole. Its low parts follow its high ones.
  const size_t planeSize =
      static_cast<size_t>((kernels.pixelStep > 1 ? kernels.pixelStep - 1 : std::max(c.pixels[0], 1) - 1) * pixelStride +
                          most - least + c.length);
  std::vector<Parts> inputs;
  std::vector<Guarded<uint16_t>> ins;
  std::vector<Guarded<float>> outs, residuals;
  // Rounded: a plane of high parts, then one of low parts, as far apart for both strips.
  std::vector<Guarded<uint16_t>> roundedOuts;
  const ptrdiff_t outStride = stored + random.between(0, 3), residualStride = width + random.between(0, 3);
  const size_t planeOut = static_cast<size_t>((std::max({c.pixels[0], c.pixels[1], 1}) - 1) * outStride + stored);
  for (int pixels : c.pixels) {
    inputs.push_back(drawn(planeSize, c.isSplit, draw));
    const Parts& input = inputs.back();
    ins.emplace_back(planeSize * static_cast<size_t>(parts), side,
                     [&](size_t i) { return rounded(i < planeSize ? input.high[i] : input.low[i - planeSize]); });
    const ptrdiff_t last = std::max(pixels, 1) - 1;
    outs.emplace_back(static_cast<size_t>(last * outStride + stored), side, [](size_t) { return kUntouched; });
    roundedOuts.emplace_back(planeOut * static_cast<size_t>(planesOf(c.format)), side,
                             [](size_t) { return kUntouchedRounded; });
    residuals.emplace_back(static_cast<size_t>(last * residualStride + width), side,
                           [&](size_t) { return smallInteger(random); });
  }
  const Parts weights = drawn(static_cast<size_t>(c.runs * c.length * width), c.isSplit, draw);
  const Guarded<float> bias(static_cast<size_t>(width), side, [&](size_t) { return smallInteger(random); });
  const Guarded<uint16_t> packed(static_cast<size_t>(c.runs * steps * kernels.stepLength * parts * width), side,
                                 [](size_t) { return uint16_t{0}; });
  for (int r = 0; r < c.runs; r++) {
    for (int k = 0; k < c.length; k++) {
      const int step = k / kernels.stepLength,
                begin = std::min(step * kernels.stepLength, c.length - kernels.stepLength), pair = (k - begin) / 2;
      for (int part = 0; part < parts; part++) {
        for (int o = 0; o < width; o++) {
          const size_t from = static_cast<size_t>((r * c.length + k) * width + o);
          const int row = ((r * steps + step) * kernels.stepLength / 2 + pair) * parts + part;
          packed[static_cast<size_t>((row * width + o) * 2 + (k - begin) % 2)] =
              rounded(part == 0 ? weights.high[from] : weights.low[from]);
        }
      }
    }
  }

  Bfloat16Tile tile{};
  for (int s = 0; s < 2; s++)
    tile.strips[s] = {ins[static_cast<size_t>(s)].data() - least,
                      c.format == Format::float32 ? static_cast<void*>(outs[static_cast<size_t>(s)].data())
                                                  : roundedOuts[static_cast<size_t>(s)].data(),
                      c.hasResidual ? residuals[static_cast<size_t>(s)].data() : nullptr, c.pixels[s]};
  tile.pixelStride = pixelStride;
  tile.lowPlane = static_cast<ptrdiff_t>(planeSize);
  tile.runOffsets = offsets.data();
  tile.runCount = c.runs;
  tile.runLength = c.length;
  tile.vectors = c.vectors;
  tile.weights = packed.data();
  tile.bias = bias.data();
  tile.outFormat = c.format;
  tile.outPixelStride = outStride;
  tile.outLowPlane = static_cast<ptrdiff_t>(planeOut);
  tile.residualPixelStride = residualStride;
  tile.lastLanes = c.lastLanes;
  tile.lastChannels = c.lastChannels;
  tile.low = c.isClamped ? -20.0f : -std::numeric_limits<float>::infinity();
  tile.high = c.isClamped ? 35.0f : std::numeric_limits<float>::infinity();
  tile.prefetch = packed.data();
  note("%s: %d+%d pixels, %d vectors, lanes %d, %d runs of %d, split %d, residual %d, clamp %d", kernels.name,
       c.pixels[0], c.pixels[1], c.vectors, c.lastLanes, c.runs, c.length, c.isSplit, c.hasResidual, c.isClamped);
  Bfloat16Work work;
  kernels.begin(work);
  kernels.multiply[c.isSplit](work, tile);
  kernels.end(work);

  for (size_t s = 0; s < 2; s++) {
    std::vector<float> expected(outs[s].size(), kUntouched);
    for (int p = 0; p < c.pixels[s]; p++) {
      for (int o = 0; o < stored; o++) {
        double sum = static_cast<double>(bias[static_cast<size_t>(o)]), magnitude = std::fabs(sum);
        for (int r = 0; r < c.runs; r++) {
          for (int k = 0; k < c.length; k++) {
            const size_t x = static_cast<size_t>(p * pixelStride + offsets[static_cast<size_t>(r)] - least + k),
                         w = static_cast<size_t>((r * c.length + k) * width + o);
            const double high = static_cast<double>(inputs[s].high[x]), low = static_cast<double>(inputs[s].low[x]);
            const double product =
                (high + low) * static_cast<double>(weights.high[w]) + high * static_cast<double>(weights.low[w]);
            sum += product;
            magnitude += std::fabs(product);
          }
        }
        const size_t at = static_cast<size_t>(p * outStride + o);
        if (c.hasResidual) sum += static_cast<double>(residuals[s][static_cast<size_t>(p * residualStride + o)]);
        expected[at] = clampOf(static_cast<float>(sum), tile.low, tile.high);
        if (tolerance > 0 &&
            std::fabs(static_cast<double>(outs[s][at] - expected[at])) <= static_cast<double>(tolerance) * magnitude)
          expected[at] = outs[s][at];
      }
    }
    if (c.format == Format::float32) {
      if (Difference difference = compareFloats("out", outs[s].data(), expected.data(), expected.size());
          !difference.empty())
        return difference;
      continue;
    }
    std::vector<float> got, wanted(roundedOuts[s].size(), floatOf(kUntouchedRounded));
    for (size_t i = 0; i < roundedOuts[s].size(); i++) got.push_back(floatOf(roundedOuts[s][i]));
    for (int p = 0; p < c.pixels[s]; p++) {
      for (int o = 0; o < stored; o++) {
        const size_t at = static_cast<size_t>(p * outStride + o);
        const float value = o < width - kLanes + c.lastChannels ? expected[at] : 0.0f;
        wanted[at] = floatOf(rounded(value));
        if (c.format == Format::bfloat16x2) wanted[planeOut + at] = floatOf(rounded(value - wanted[at]));
      }
    }
    if (Difference difference = compareFloats("rounded out", got.data(), wanted.data(), wanted.size());
        !difference.empty())
      return difference;
  }
  return {};
}

Difference compareTiles(const Bfloat16Kernels& kernels, int vectors, bool isSplit, bool isInteger, int count) {
  Random random(7);
  for (int i = 0; i < count; i++) {
    Case c{};
    c.vectors = vectors;
    c.isSplit = isSplit;
    c.isInteger = isInteger;
    c.lastLanes = random.chance(50) ? kBfloat16Lanes : random.between(1, kBfloat16Lanes);
    // Every width first, then any.
    const int most = kernels.tilePixels[vectors];
    c.pixels[0] = i < most ? i + 1 : random.between(1, most);
    c.pixels[1] = kernels.strips > 1 && random.chance(60) ? random.between(1, most) : 0;
    c.runs = random.between(1, 3);
    c.length = kernels.stepLength + random.between(0, 40);
    c.lastChannels = random.between(1, c.lastLanes);
    c.format = isInteger ? random.of<Format>({Format::float32, Format::bfloat16, Format::bfloat16x2}) : Format::float32;
    c.hasResidual = random.chance(50);
    c.isClamped = isInteger && random.chance(50);
    // Whole numbers are exact; other sums differ by their rounding only.
    const float tolerance = isInteger ? 0.0f : static_cast<float>(3 * c.runs * c.length + 8) * 0x1p-24f;
    if (Difference difference = compareTile(kernels, i % 2 ? Side::begin : Side::end, c, random, tolerance);
        !difference.empty())
      return difference;
  }
  return {};
}

TEST("bfloat16 tiles are exact on whole numbers, in one part and in two, and touch nothing beside their arrays") {
  const Bfloat16Ways ways = bfloat16Ways();
  for (const Bfloat16Kernels* kernels : ways.kernels) {
    for (int vectors = 1; vectors <= kernels->maxVectors; vectors++) {
      for (bool isSplit : {false, true}) {
        const Difference difference = compareTiles(*kernels, vectors, isSplit, true, repetitions(60));
        CHECK(difference.empty(), "%s", difference.c_str());
      }
    }
  }
}

TEST("bfloat16 tiles are within the rounding of a float32 sum") {
  const Bfloat16Ways ways = bfloat16Ways();
  for (const Bfloat16Kernels* kernels : ways.kernels) {
    for (bool isSplit : {false, true}) {
      const Difference difference = compareTiles(*kernels, kernels->maxVectors, isSplit, false, repetitions(40));
      CHECK(difference.empty(), "%s", difference.c_str());
    }
  }
}

TEST("a bfloat16 tile that does nothing is noticed") {
  const Bfloat16Ways ways = bfloat16Ways();
  for (const Bfloat16Kernels* kernels : ways.kernels) {
    for (bool isSplit : {false, true}) {
      Bfloat16Kernels broken = *kernels;
      broken.multiply[isSplit] = [](Bfloat16Work&, const Bfloat16Tile&) {};
      CHECK(!compareTiles(broken, 1, isSplit, true, 1).empty(), "%s, split %d", kernels->name, isSplit);
    }
  }
}

TEST("gathered patches are their stretches, then zeros, and nothing is read beside them") {
  const Bfloat16Ways ways = bfloat16Ways();
  Random random(9);
  for (const Bfloat16Kernels* kernels : ways.kernels) {
    for (int repetition = 0; repetition < repetitions(300); repetition++) {
      const Side side = repetition % 2 ? Side::begin : Side::end;
      const int64_t count = random.between(1, 5), pixels = random.between(1, 6),
                    size = random.chance(50) ? random.between(1, 12) : random.between(1, 80);
      const ptrdiff_t inPixel = random.between(0, 40);
      std::vector<ptrdiff_t> offsets;
      for (int64_t i = 0; i < count; i++) offsets.push_back(random.between(0, 60));
      const ptrdiff_t most = *std::max_element(offsets.begin(), offsets.end());
      const ptrdiff_t least = *std::min_element(offsets.begin(), offsets.end());
      const Guarded<uint16_t> in(static_cast<size_t>((pixels - 1) * inPixel + most - least + size), side,
                                 [&](size_t) { return static_cast<uint16_t>(random.next() | 1); });
      const int64_t outPixel = roundUp(count * size, kernels->stepLength);
      const Guarded<uint16_t> out(static_cast<size_t>(pixels * outPixel + 31), side,
                                  [](size_t) { return kUntouchedRounded; });
      note("%s: %lld stretches of %lld, %lld pixels", kernels->name, static_cast<long long>(count),
           static_cast<long long>(size), static_cast<long long>(pixels));
      kernels->gather({in.data() - least, inPixel, offsets.data(), count, size, out.data(), outPixel, pixels});
      for (int64_t p = 0; p < pixels; p++) {
        for (int64_t k = 0; k < outPixel; k++) {
          const uint16_t expected =
              k < count * size
                  ? in[static_cast<size_t>(p * inPixel + offsets[static_cast<size_t>(k / size)] - least + k % size)]
                  : uint16_t{0};
          CHECK(out[static_cast<size_t>(p * outPixel + k)] == expected, "element %lld of pixel %lld",
                static_cast<long long>(k), static_cast<long long>(p));
        }
      }
    }
  }
}

TEST("AMX tiles run through the emulator where the processor has none") {
  const Bfloat16Ways ways = bfloat16Ways();
  if (ways.emulator == nullptr) return;
  const long before = AmxEmulator::executed();
  CHECK(compareTiles(*bfloat16AmxKernels(), 2, false, true, 1).empty(), "the tile is wrong");
  CHECK(AmxEmulator::executed() - before > 10, "%ld instructions", AmxEmulator::executed() - before);
}

TEST(
    "what the processor has for bfloat16 is what the operating system says, and AMX is handed out only with its "
    "permission") {
  CHECK(availableBfloat16(Isa::scalar) == nullptr && availableBfloat16(Isa::avx2) == nullptr, "kernels below AVX-512");
  const Bfloat16Kernels* kernels = availableBfloat16(cpuInfo().isa);
  const bool isAmx = kernels != nullptr && kernels == bfloat16AmxKernels();
  CHECK(isAmx == (cpuInfo().hasAmxBf16 && permitAmx()), "AMX is handed out: %d, permitted: %d", isAmx, permitAmx());
#if defined(__x86_64__) && defined(__linux__)
  std::FILE* file = std::fopen("/proc/cpuinfo", "re");
  if (file == nullptr) return skip("there is no /proc/cpuinfo");
  char line[8192];
  bool hasFlags = false, hasDot = false, hasAmx = false;
  while (!hasFlags && std::fgets(line, sizeof line, file) != nullptr) {
    hasFlags = std::strncmp(line, "flags", 5) == 0;
    hasDot = std::strstr(line, " avx512_bf16") != nullptr;
    hasAmx = std::strstr(line, " amx_bf16") != nullptr && std::strstr(line, " amx_tile") != nullptr;
  }
  std::fclose(file);
  if (!hasFlags) return;
  CHECK(cpuInfo().hasBf16Dot == (hasDot && cpuInfo().isa == Isa::avx512), "AVX512_BF16: found %d, expected %d",
        cpuInfo().hasBf16Dot, hasDot);
  CHECK(cpuInfo().hasAmxBf16 == (hasAmx && cpuInfo().hasBf16Dot), "AMX: found %d, expected %d", cpuInfo().hasAmxBf16,
        hasAmx);
#endif
}

TEST("rounding to bfloat16 is to nearest even, keeps NaN and infinity, and its second part holds the rest") {
  const Bfloat16Ways ways = bfloat16Ways();
  Random random(3);
  for (const Bfloat16Kernels* kernels : ways.kernels) {
    for (size_t size = 1; size <= 70; size++) {
      const Side side = size % 2 ? Side::begin : Side::end;
      const Guarded<float> in(size, side, [&](size_t) {
        switch (random.between(0, 9)) {
          case 0:
            return std::numeric_limits<float>::infinity() * static_cast<float>(random.between(0, 1) * 2 - 1);
          case 1:
            return std::numeric_limits<float>::quiet_NaN();
          case 2:  // halfway between two
            return std::bit_cast<float>(static_cast<uint32_t>(random.between(0x3000, 0x4fff)) << 16 | 0x8000u);
          default:
            return std::bit_cast<float>(static_cast<uint32_t>(random.next() % 0x60000000u + 0x10000000u) |
                                        static_cast<uint32_t>(random.next() & 0x80000000u));
        }
      });
      const Guarded<uint16_t> high(size, side, [](size_t) { return uint16_t{0}; }),
          low(size, side, [](size_t) { return uint16_t{0}; }), alone(size, side, [](size_t) { return uint16_t{0}; });
      kernels->narrow(high.data(), low.data(), in.data(), size);
      kernels->narrow(alone.data(), nullptr, in.data(), size);
      for (size_t i = 0; i < size; i++) {
        note("%s: %.9g, element %zu of %zu", kernels->name, static_cast<double>(in[i]), i, size);
        CHECK(high[i] == alone[i], "%04x with its rest, %04x alone", high[i], alone[i]);
        if (!std::isfinite(in[i])) {
          const float value = floatOf(high[i]);
          CHECK(std::isnan(in[i]) ? std::isnan(value) : value == in[i], "%g", static_cast<double>(value));
          CHECK(low[i] == 0, "the rest is %04x", low[i]);
        } else {
          CHECK(high[i] == rounded(in[i]), "%04x, expected %04x", high[i], rounded(in[i]));
          CHECK(low[i] == rounded(in[i] - floatOf(high[i])), "the rest is %04x", low[i]);
        }
      }
    }
    const float tiny[2] = {0x1p-140f, -0x1p-130f};
    uint16_t zero[2], rest[2];
    kernels->narrow(zero, rest, tiny, 2);
    CHECK(zero[0] == 0 && zero[1] == 0x8000 && (rest[0] & 0x7fff) == 0 && (rest[1] & 0x7fff) == 0,
          "denormal numbers are %04x and %04x", zero[0], zero[1]);
  }
}

}  // namespace
}  // namespace repconv::test

// Convolutions by Winograd's transforms, in guarded memory, against plain loops. (The transforms themselves:
// winograd_kernels_test.cc.)
#include <cmath>

#include "programs.h"

namespace repconv::test {
namespace {

std::vector<float> integers(int64_t size, Random& random) {
  std::vector<float> data(static_cast<size_t>(size));
  for (float& x : data) x = static_cast<float>(random.between(-8, 8));
  return data;
}

}  // namespace

TEST("Winograd convolutions read nothing beside their arrays; F(2x2) is exact on whole numbers, F(4x4) within 2e-5") {
  for (int seed = 1; seed <= repetitions(400); seed++) {
    Random random(static_cast<uint64_t>(seed) + 1000000);
    // Groups of whole blocks of channels are what fits.
    const int64_t groups = random.chance(70) ? 1 : random.between(2, 3),
                  C = groups * (groups == 1 ? random.between(16, 80) : random.between(8, 33));
    const int64_t O = groups * (groups == 1 ? random.between(1, 60) : 16 * random.between(1, 2));
    const int64_t N = random.between(1, 3), H = random.between(1, 15), W = random.between(1, 15), perGroup = C / groups;
    int64_t padding[4];
    for (int64_t& side : padding) side = random.between(0, 2);
    const int64_t outH = H + padding[0] + padding[2] - 2, outW = W + padding[1] + padding[3] - 2;
    if (outH < 1 || outW < 1) continue;
    const std::vector<float> image = integers(N * C * H * W, random), weight = integers(O * perGroup * 9, random),
                             bias = integers(O, random);
    const bool isClamped = random.chance(30), hasResidual = random.chance(30);
    const std::vector<float> residual = integers(N * O * outH * outW, random);
    Description d;
    const std::vector<int64_t> shape = {N, O, outH, outW};
    const int from = d.as(Layout::nhwc, d.input({N, C, H, W})),
              added = hasResidual ? d.as(Layout::nhwc, d.input(shape)) : kNoValue;
    std::vector<Attribute> attributes = {
        numbers("padding", {double(padding[0]), double(padding[1]), double(padding[2]), double(padding[3])}),
        numbers("groups", {double(groups)})};
    if (isClamped) attributes.push_back(word("activation", "relu"));
    const int weightValue = d.constant({O, perGroup, 3, 3}, weight), biasValue = d.constant({O}, bias);
    d.outputs = {
        d.as(Layout::plain, d.step("conv2d", {from, weightValue, biasValue, added}, shape, Layout::nhwc, attributes))};
    std::vector<std::vector<float>> inputs = {image};
    if (hasResidual) inputs.push_back(residual);

    std::vector<double> expected;
    for (int64_t n = 0; n < N; n++) {
      for (int64_t o = 0; o < O; o++) {
        for (int64_t y = 0; y < outH; y++) {
          for (int64_t x = 0; x < outW; x++) {
            double sum = bias[static_cast<size_t>(o)] + (hasResidual ? residual[expected.size()] : 0);
            for (int64_t c = 0; c < perGroup; c++) {
              for (int64_t k = 0; k < 9; k++) {
                const int64_t row = y - padding[0] + k / 3, column = x - padding[1] + k % 3;
                if (row < 0 || row >= H || column < 0 || column >= W) continue;
                sum += double(image[static_cast<size_t>(((n * C + o / (O / groups) * perGroup + c) * H + row) * W +
                                                        column)]) *
                       weight[static_cast<size_t>((o * perGroup + c) * 9 + k)];
              }
            }
            expected.push_back(isClamped && sum < 0 ? 0 : sum);
          }
        }
      }
    }
    for (Isa isa : usableIsas()) {
      for (const char* conv : {"winograd2", "winograd4"}) {
        Result<Outputs> result = runGuarded(d, {isa, random.between(1, 3), conv}, inputs, seed % 2 == 0);
        note("seed %d, %s, %s: %.3000s", seed, isaName(isa), conv, d.show().c_str());
        if (!result.isOk()) {
          CHECK(false, "%s", result.status().message().c_str());
          continue;
        }
        double error = 0, size = 0;
        for (size_t i = 0; i < expected.size(); i++) {
          error += std::pow(result.value()[0][i] - expected[i], 2);
          size += std::pow(expected[i], 2);
        }
        const double bound = conv[8] == '2' ? 0 : 2e-5;
        CHECK(std::sqrt(error) <= bound * std::sqrt(size), "off by %.3g of %.3g", std::sqrt(error), std::sqrt(size));
      }
    }
  }
}

}  // namespace repconv::test

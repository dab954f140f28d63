// Winograd's transforms of one tile, against Toom and Cook's matrices as they follow from the points: powers of a point
// in Aᵀ, the product of (x − p) over the other points in Bᵀ, powers over those products at the point itself in G.
#include <cmath>

#include "kernel_test.h"

namespace repconv::test {
namespace {

template <int kOutputs>
struct Matrices {
  static constexpr int kSide = kOutputs + 2;
  double input[kSide][kSide] = {}, output[kOutputs][kSide] = {}, weight[kSide][3] = {};

  Matrices() {
    const std::vector<double> points =
        kOutputs == 2 ? std::vector<double>{0, 1, -1}
                      : std::vector<double>{0, std::sqrt(0.5), -std::sqrt(0.5), std::sqrt(2), -std::sqrt(2)};
    // The last row is that of infinity: all points are others.
    for (int j = 0; j < kSide; j++) {
      // F(2×2) keeps its ones positive at the outer points; G agrees.
      input[j][0] = kOutputs == 2 && (j == 0 || j == kSide - 1) ? -1 : 1;
      int degree = 0;
      for (int i = 0; i < kSide - 1; i++) {
        if (i == j) continue;
        degree++;
        for (int k = degree; k >= 0; k--)
          input[j][k] = (k > 0 ? input[j][k - 1] : 0) - points[static_cast<size_t>(i)] * input[j][k];
      }
      double others = 1;
      for (int i = 0; i < kSide - 1 && j < kSide - 1; i++) {
        if (i != j) others *= points[static_cast<size_t>(j)] - points[static_cast<size_t>(i)];
      }
      for (int k = 0; k < 3; k++) {
        weight[j][k] = j < kSide - 1 ? (k == 0 ? 1 : std::pow(points[static_cast<size_t>(j)], k)) /
                                           (kOutputs == 2 && j == 0 ? -others : others)
                                     : k == 2;
      }
      for (int y = 0; y < kOutputs; y++) {
        output[y][j] = j < kSide - 1       ? (y == 0 ? 1 : std::pow(points[static_cast<size_t>(j)], y))
                       : y == kOutputs - 1 ? (kOutputs == 2 ? -1 : 1)
                                           : 0;
      }
    }
  }
};

// Bᵀ and Aᵀ of one direction of a tile, at all points; a short one has none of its own at ±√2, and reads and makes
// less.
struct Direction {
  static constexpr int kMost = kMaxWinogradOutputs + 2;
  int outputs, side;  // from so many pixels
  bool isShort;
  double input[kMost][kMost] = {}, output[kMaxWinogradOutputs][kMost] = {};

  // The points of a short direction as if there were no others; what G of the six points has more or less than theirs
  // stands in Bᵀ.
  static Direction shortened() {
    Direction direction{2, 4, true};
    const Matrices<4> whole;
    const double points[3] = {0, std::sqrt(0.5), -std::sqrt(0.5)};
    for (int j = 0; j < 4; j++) {
      std::vector<double> product = {1};
      double others = 1;
      for (int i = 0; i < 3; i++) {
        if (i == j) continue;
        std::vector<double> next(product.size() + 1);
        for (size_t k = 0; k < product.size(); k++) {
          next[k + 1] += product[k];
          next[k] -= points[i] * product[k];
        }
        product = next;
        if (j < 3) others *= points[j] - points[i];
      }
      const int point = j < 3 ? j : 5;
      const double factor = j < 3 ? 1 / others / whole.weight[point][0] : 1;
      for (size_t k = 0; k < product.size(); k++) direction.input[point][k] = factor * product[k];
      direction.output[0][point] = j < 3;
      direction.output[1][point] = j < 3 ? points[j] : 1;
    }
    return direction;
  }

  template <int kOutputs>
  static Direction draw(Random& random) {
    if (kOutputs == 4 && random.chance(50)) return shortened();
    Direction direction{kOutputs, kOutputs + 2, false};
    const Matrices<kOutputs> whole;
    for (int j = 0; j < kOutputs + 2; j++) {
      std::copy_n(whole.input[j], kOutputs + 2, direction.input[j]);
      for (int y = 0; y < kOutputs; y++) direction.output[y][j] = whole.output[y][j];
    }
    return direction;
  }

  bool has(int point) const { return !isShort || (point != 3 && point != 4); }
};

// F(2×2) of whole numbers is exact; F(4×4) is off by a few roundings of the sum of magnitudes.
template <int kOutputs>
void accept(float got, float* expected, double magnitude) {
  if (kOutputs == 4 && std::fabs(static_cast<double>(got) - static_cast<double>(*expected)) <= 16 * 0x1p-24 * magnitude)
    *expected = got;
}

template <int kOutputs>
Difference compareWeights(const KernelTable& kernels, Side side) {
  constexpr int kSide = kOutputs + 2;
  const Matrices<kOutputs> matrices;
  Random random(20);
  for (int repetition = 0; repetition < 30; repetition++) {
    const int vectors = random.between(1, kMaxPanelVectors);
    const int64_t channels = random.between(1, 5), width = vectors * kernels.vectorLength;
    const ptrdiff_t pointStride = channels * width + random.between(0, 5);
    const Guarded<float> in(static_cast<size_t>(channels * 9 * width), side,
                            [&](size_t) { return smallInteger(random); });
    const Guarded<float> out(static_cast<size_t>((kSide * kSide - 1) * pointStride + channels * width), side,
                             [](size_t) { return kUntouched; });
    kernels.winogradWeights[kOutputs]({in.data(), out.data(), pointStride, channels, vectors});
    std::vector<float> expected(out.size(), kUntouched);
    for (int u = 0; u < kSide; u++) {
      for (int v = 0; v < kSide; v++) {
        for (int64_t i = 0; i < channels * width; i++) {
          double sum = 0, magnitude = 0;
          for (int y = 0; y < 3; y++) {
            for (int x = 0; x < 3; x++) {
              const double product =
                  matrices.weight[u][y] * matrices.weight[v][x] *
                  static_cast<double>(in[static_cast<size_t>((i / width * 9 + y * 3 + x) * width + i % width)]);
              sum += product;
              magnitude += std::fabs(product);
            }
          }
          const size_t at = static_cast<size_t>((u * kSide + v) * pointStride + i);
          expected[at] = static_cast<float>(sum);
          accept<kOutputs>(out[at], &expected[at], magnitude);
        }
      }
    }
    if (Difference difference = compareFloats("out", out.data(), expected.data(), expected.size()); !difference.empty())
      return difference;
  }
  return {};
}

template <int kOutputs>
Difference compareInput(const KernelTable& kernels, Side side) {
  constexpr int kSide = kOutputs + 2;
  Random random(21);
  for (int repetition = 0; repetition < 60; repetition++) {
    const Direction down = Direction::draw<kOutputs>(random), across = Direction::draw<kOutputs>(random);
    const int64_t channels = kernels.vectorLength * random.between(1, 3);
    const ptrdiff_t pointStride = channels + random.between(0, 5);
    std::vector<Guarded<float>> taps;
    WinogradInput tile{};
    for (int t = 0; t < kSide * kSide; t++) {
      taps.emplace_back(static_cast<size_t>(channels), side, [&](size_t) { return smallInteger(random); });
      // Those that a short tile has no use for may lie anywhere.
      if (t / kSide < down.side && t % kSide < across.side) tile.taps[t] = taps.back().data();
    }
    tile.isShort = {down.isShort, across.isShort};
    const Guarded<float> out(static_cast<size_t>((kSide * kSide - 1) * pointStride + channels), side,
                             [](size_t) { return kUntouched; });
    tile.out = out.data();
    tile.pointStride = pointStride;
    tile.channels = channels;
    kernels.winogradInput[kOutputs](tile);
    std::vector<float> expected(out.size(), kUntouched);
    for (int u = 0; u < kSide; u++) {
      for (int v = 0; v < kSide; v++) {
        if (!down.has(u) || !across.has(v)) continue;
        for (int64_t c = 0; c < channels; c++) {
          double sum = 0, magnitude = 0;
          for (int y = 0; y < down.side; y++) {
            for (int x = 0; x < across.side; x++) {
              const double product =
                  down.input[u][y] * across.input[v][x] *
                  static_cast<double>(taps[static_cast<size_t>(y * kSide + x)][static_cast<size_t>(c)]);
              sum += product;
              magnitude += std::fabs(product);
            }
          }
          const size_t at = static_cast<size_t>((u * kSide + v) * pointStride + c);
          expected[at] = static_cast<float>(sum);
          accept<kOutputs>(out[at], &expected[at], magnitude);
        }
      }
    }
    if (Difference difference = compareFloats("out", out.data(), expected.data(), expected.size()); !difference.empty())
      return difference;
  }
  return {};
}

template <int kOutputs>
Difference compareOutput(const KernelTable& kernels, Side side) {
  constexpr int kSide = kOutputs + 2;
  Random random(22);
  for (int repetition = 0; repetition < 120; repetition++) {
    const Direction down = Direction::draw<kOutputs>(random), across = Direction::draw<kOutputs>(random);
    const int vectors = random.between(1, kMaxPanelVectors), rows = random.between(1, down.outputs),
              columns = random.between(1, across.outputs);
    const int64_t channels = vectors * kernels.vectorLength;
    const ptrdiff_t pointStride = channels + random.between(0, 5), pixel = channels + random.between(0, 3),
                    row = kOutputs * pixel + random.between(0, 9);
    const auto integer = [&](size_t) { return smallInteger(random); };
    const size_t reached = static_cast<size_t>((rows - 1) * row + (columns - 1) * pixel + channels);
    const Guarded<float> in(static_cast<size_t>((kSide * kSide - 1) * pointStride + channels), side, integer),
        bias(static_cast<size_t>(channels), side, integer);
    const Guarded<float> residual(reached, side, integer), out(reached, side, [](size_t) { return kUntouched; });
    const bool hasResidual = random.chance(50);
    kernels.winogradOutput[kOutputs]({in.data(),
                                      pointStride,
                                      bias.data(),
                                      out.data(),
                                      row,
                                      pixel,
                                      hasResidual ? residual.data() : nullptr,
                                      row,
                                      pixel,
                                      vectors,
                                      {down.isShort, across.isShort},
                                      rows,
                                      columns,
                                      -40.0f,
                                      60.0f});
    std::vector<float> expected(out.size(), kUntouched);
    for (int y = 0; y < rows; y++) {
      for (int x = 0; x < columns; x++) {
        for (int64_t c = 0; c < channels; c++) {
          const size_t at = static_cast<size_t>(y * row + x * pixel + c);
          double sum = static_cast<double>(bias[static_cast<size_t>(c)]) +
                       (hasResidual ? static_cast<double>(residual[at]) : 0),
                 magnitude = std::fabs(sum) + 8;
          for (int u = 0; u < kSide; u++) {
            for (int v = 0; v < kSide; v++) {
              const double product = down.output[y][u] * across.output[x][v] *
                                     static_cast<double>(in[static_cast<size_t>((u * kSide + v) * pointStride + c)]);
              sum += product;
              magnitude += std::fabs(product);
            }
          }
          expected[at] = clampOf(static_cast<float>(sum), -40.0f, 60.0f);
          accept<kOutputs>(out[at], &expected[at], magnitude);
        }
      }
    }
    if (Difference difference = compareFloats("out", out.data(), expected.data(), expected.size()); !difference.empty())
      return difference;
  }
  return {};
}

template <int kOutputs>
void disableWeights(KernelTable& kernels) {
  kernels.winogradWeights[kOutputs] = [](const WinogradWeights&) {};
}
template <int kOutputs>
void disableInput(KernelTable& kernels) {
  kernels.winogradInput[kOutputs] = [](const WinogradInput&) {};
}
template <int kOutputs>
void disableOutput(KernelTable& kernels) {
  kernels.winogradOutput[kOutputs] = [](const WinogradOutput&) {};
}

const KernelRegistration registrations[] = {
    KernelRegistration({"winogradWeights, F(2×2)", compareWeights<2>, disableWeights<2>}),
    KernelRegistration({"winogradWeights, F(4×4)", compareWeights<4>, disableWeights<4>}),
    KernelRegistration({"winogradInput, F(2×2)", compareInput<2>, disableInput<2>}),
    KernelRegistration({"winogradInput, F(4×4)", compareInput<4>, disableInput<4>}),
    KernelRegistration({"winogradOutput, F(2×2)", compareOutput<2>, disableOutput<2>}),
    KernelRegistration({"winogradOutput, F(4×4)", compareOutput<4>, disableOutput<4>}),
};

}  // namespace
}  // namespace repconv::test

// The kernels of answers to impulses, on whole numbers: every bit as plain loops give it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernel_test.h"

namespace repconv::test {
namespace {

constexpr int64_t kLanes = kAnswerLanes;

double integer(Random& random) { return static_cast<double>(random.between(-1000, 1000)); }

Guarded<double> integers(int64_t size, Side side, Random& random) {
  return Guarded<double>(static_cast<size_t>(size), side, [&](size_t) { return integer(random); });
}

Difference compareDoubles(const char* what, const double* got, const std::vector<double>& expected) {
  for (size_t i = 0; i < expected.size(); i++) {
    if (got[i] != expected[i])
      return std::string(what) + " at " + std::to_string(i) + ": " + std::to_string(got[i]) + ", expected " +
             std::to_string(expected[i]);
  }
  return {};
}

Difference compareMoves(const KernelTable& kernels, Side side) {
  Random random(41);
  for (int round = 0; round < 60; round++) {
    const int64_t samples = random.between(1, 4), P = random.between(1, 5), Q = random.between(1, 5);
    const Guarded<double> out = integers(samples * P * kLanes, side, random),
                          in = integers(samples * Q * kLanes, side, random), shares = integers(3, side, random);
    const bool hasShares = round % 2 == 0;
    const Guarded<PixelMove> moves(static_cast<size_t>(random.between(0, 9)), side, [&](size_t) {
      return PixelMove{random.between(0, static_cast<int>(Q) - 1), random.between(0, static_cast<int>(P) - 1),
                       random.between(0, 2)};
    });
    std::vector<double> expected(out.begin(), out.end());
    for (int64_t s = 0; s < samples; s++) {
      for (const PixelMove& move : moves) {
        const double share = hasShares ? shares[static_cast<size_t>(move.which)] : 1;
        for (int64_t lane = 0; lane < kLanes; lane++)
          expected[static_cast<size_t>((s * P + move.to) * kLanes + lane)] +=
              share * in[static_cast<size_t>((s * Q + move.from) * kLanes + lane)];
      }
    }
    kernels.moveAnswers({out.data(), P * kLanes, in.data(), Q * kLanes, samples, moves.data(),
                         static_cast<int64_t>(moves.size()), hasShares ? shares.data() : nullptr});
    if (Difference difference = compareDoubles("moved", out.data(), expected); !difference.empty()) return difference;
  }
  return {};
}

Difference compareContraction(const KernelTable& kernels, Side side) {
  Random random(42);
  for (int round = 0; round < 60; round++) {
    const int64_t blocks = random.between(1, 4), begin = random.between(0, 7),
                  end = random.between(static_cast<int>(begin), static_cast<int>(blocks * kLanes)),
                  step = kLanes * random.between(1, 3), rows = std::max<int64_t>(1, end - begin);
    const Guarded<double> out = integers(kLanes, side, random), taps = integers(rows * step, side, random);
    // A block after the other, with something between them; half of the numbers are zero.
    const int64_t perBlock = kLanes + random.between(0, 3);
    const Guarded<double> in((static_cast<size_t>((blocks - 1) * perBlock + kLanes)), side,
                             [&](size_t) { return random.chance(50) ? 0 : integer(random); });
    std::vector<double> expected(out.begin(), out.end());
    for (int64_t c = begin; c < end; c++) {
      const double x = in[static_cast<size_t>(c / kLanes * perBlock + c % kLanes)];
      // A tap that no number meets may be anything.
      if (x == 0) taps[static_cast<size_t>((c - begin) * step)] = std::nan("");
      for (int64_t lane = 0; lane < kLanes && x != 0; lane++)
        expected[static_cast<size_t>(lane)] += x * taps[static_cast<size_t>((c - begin) * step + lane)];
    }
    kernels.contractAnswer({out.data(), in.data(), perBlock, begin, end, taps.data(), step});
    if (Difference difference = compareDoubles("contracted", out.data(), expected); !difference.empty())
      return difference;
  }
  return {};
}

Difference compareScaling(const KernelTable& kernels, Side side) {
  Random random(43);
  for (int64_t pixels = 0; pixels < 9; pixels++) {
    const Guarded<double> out = integers(pixels * kLanes, side, random), factors = integers(kLanes, side, random);
    std::vector<double> expected(out.begin(), out.end());
    for (size_t i = 0; i < expected.size(); i++) expected[i] *= factors[i % kLanes];
    kernels.scaleAnswers(out.data(), factors.data(), pixels);
    if (Difference difference = compareDoubles("scaled", out.data(), expected); !difference.empty()) return difference;
  }
  return {};
}

// What is found, with a number of another kind at one place where there is one.
Difference compareComparisons(const KernelTable& kernels, Side side) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Random random(44);
  for (const double special : {0.0, std::nan(""), kInfinity, -kInfinity}) {
    for (int round = 0; round < 40; round++) {
      const int64_t samples = random.between(1, 4), P = random.between(1, 4), Q = random.between(1, 4);
      const Guarded<double> before = integers(samples * P * kLanes, side, random),
                            after = integers(samples * Q * kLanes, side, random);
      const Guarded<PixelPair> pairs(static_cast<size_t>(random.between(0, 6)), side, [&](size_t) {
        return PixelPair{random.between(-1, static_cast<int>(P) - 1), random.between(-1, static_cast<int>(Q) - 1)};
      });
      const Guarded<double>& spoilt = round % 2 == 0 ? before : after;
      if (special != 0) spoilt[static_cast<size_t>(random.between(0, static_cast<int>(spoilt.size()) - 1))] = special;
      // What was found before stays where it is more.
      const double known = random.chance(20) ? 1e6 : 0;
      double expected[2] = {known, known};
      for (int64_t s = 0; s < samples; s++) {
        for (const PixelPair& pair : pairs) {
          for (int64_t lane = 0; lane < kLanes; lane++) {
            const double x = pair.before < 0 ? 0 : before[static_cast<size_t>((s * P + pair.before) * kLanes + lane)];
            const double y = pair.after < 0 ? 0 : after[static_cast<size_t>((s * Q + pair.after) * kLanes + lane)];
            for (int i = 0; i < 2; i++) {
              const double value = std::fabs(i == 0 ? x - y : x);
              expected[i] = std::isnan(value) ? kInfinity : std::max(expected[i], value);
            }
          }
        }
      }
      double found[2] = {known, known};
      kernels.compareAnswers({before.data(), P * kLanes, after.data(), Q * kLanes, samples, pairs.data(),
                              static_cast<int64_t>(pairs.size()), found, found + 1});
      if (Difference difference = compareDoubles("found", found, {expected[0], expected[1]}); !difference.empty())
        return difference;
    }
  }
  return {};
}

const KernelRegistration registrations[] = {
    KernelRegistration(
        {"moveAnswers", compareMoves, [](KernelTable& k) { k.moveAnswers = [](const AnswerMoves&) {}; }}),
    KernelRegistration({"contractAnswer", compareContraction,
                        [](KernelTable& k) { k.contractAnswer = [](const AnswerContraction&) {}; }}),
    KernelRegistration({"scaleAnswers", compareScaling,
                        [](KernelTable& k) { k.scaleAnswers = [](double*, const double*, int64_t) {}; }}),
    KernelRegistration(
        {"compareAnswers", compareComparisons, [](KernelTable& k) { k.compareAnswers = [](const AnswerPairs&) {}; }}),
};

}  // namespace
}  // namespace repconv::test

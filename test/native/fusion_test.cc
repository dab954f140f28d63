// The arithmetic of folding on whole numbers: every bit as plain loops over [O, I, T] give it, on any number of
// threads, from and into either format.
#include <cstring>
#include <limits>

#include "core/thread_pool.h"
#include "guarded.h"
#include "programs.h"

namespace repconv::test {
namespace {

std::vector<double> integers(int64_t size, Random& random) {
  std::vector<double> data(static_cast<size_t>(size));
  for (double& x : data) x = random.between(-1000000, 1000000);
  return data;
}

// Numbers in memory that ends where they end, in either format.
struct Stored {
  Stored(DType dtype, size_t size, Side side, const std::function<double(size_t)>& at) {
    if (dtype == DType::float32) {
      floats.emplace_back(size, side, [&](size_t i) { return static_cast<float>(at(i)); });
    } else {
      doubles.emplace_back(size, side, at);
    }
  }
  void* data() const { return floats.empty() ? static_cast<void*>(doubles[0].data()) : floats[0].data(); }
  double operator[](size_t i) const { return floats.empty() ? doubles[0][i] : static_cast<double>(floats[0][i]); }

  std::vector<Guarded<float>> floats;
  std::vector<Guarded<double>> doubles;
};

// A program of one step; an empty shape stands for an absent input. `stored`: the formats of the inputs that are there,
// and of the output; float64 where there is none.
void expectExact(const char* operation, const std::vector<std::vector<int64_t>>& shapes,
                 const std::vector<std::vector<double>>& data, const std::vector<int64_t>& outShape,
                 const std::vector<Attribute>& attributes, const std::vector<double>& expected, uint64_t seed,
                 std::vector<DType> stored = {}) {
  stored.resize(data.size() + 1, DType::float64);
  Description d;
  std::vector<int> from;
  for (const std::vector<int64_t>& shape : shapes) {
    from.push_back(shape.empty() ? kNoValue : d.input(shape));
    if (!shape.empty()) d.values.back().dtype = stored[d.values.size() - 1];
  }
  d.outputs = {d.step(operation, from, outShape, Layout::plain, attributes)};
  d.values.back().dtype = stored.back();
  for (Isa isa : usableIsas()) {
    for (int threads : {1, 2, 4}) {
      note("seed %llu, %s, %d threads: %.300s", static_cast<unsigned long long>(seed), isaName(isa), threads,
           d.show().c_str());
      Result<Program> program = d.read();
      if (!program.isOk()) return CHECK(false, "%s", program.status().message().c_str());
      Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), {isa, threads, ""});
      if (!session.isOk()) return CHECK(false, "%s", session.status().message().c_str());
      Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(d.shapes(), d.shapes());
      if (!plan.isOk()) return CHECK(false, "%s", plan.status().message().c_str());
      const Side side = seed % 2 == 0 ? Side::begin : Side::end;
      std::vector<Stored> inputs;
      std::vector<const void*> pointers;
      for (size_t i = 0; i < data.size(); i++) {
        inputs.emplace_back(stored[i], data[i].size(), side, [&](size_t at) { return data[i][at]; });
        pointers.push_back(inputs.back().data());
      }
      const Stored out(stored.back(), expected.size(), side, [](size_t) { return -0.5; });
      void* outputs[] = {out.data()};
      ThreadPool pool;
      CHECK(pool.ensureThreads(threads).isOk(), "no threads");
      CHECK(session.value()->run(pool, *plan.value(), pointers.data(), outputs, nullptr, nullptr).isOk(),
            "the run failed");
      for (size_t i = 0; i < expected.size(); i++) {
        if (out[i] == expected[i]) continue;
        CHECK(false, "element %zu is %.17g, expected %.17g", i, out[i], expected[i]);
        break;
      }
    }
  }
}

}  // namespace

TEST(
    "scaleChannels multiplies the kernel of each output, or of each input channel, by its factor, and rounds to the "
    "format of its output") {
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(repetitions(60)); seed++) {
    Random random(seed + 300000);
    const int64_t groups = random.between(1, 4), I = random.between(1, 9), T = random.between(1, 9),
                  O = groups * random.between(1, 40);
    const bool isInput = random.chance(50), isNarrow = random.chance(50), makesNarrow = random.chance(50);
    const std::vector<double> kernel = integers(O * I * T, random),
                              factors = integers(isInput ? I * groups : O, random);
    std::vector<double> expected(kernel);
    for (int64_t o = 0; o < O; o++) {
      for (int64_t i = 0; i < I; i++) {
        const double factor = factors[static_cast<size_t>(isInput ? o / (O / groups) * I + i : o)];
        for (int64_t t = 0; t < T; t++) expected[static_cast<size_t>((o * I + i) * T + t)] *= factor;
      }
    }
    if (makesNarrow) {
      for (double& x : expected) x = static_cast<double>(static_cast<float>(x));
    }
    expectExact(
        "scaleChannels", {{O, I, T}, {static_cast<int64_t>(factors.size())}}, {kernel, factors}, {O, I, T},
        {numbers("input", {isInput ? 1.0 : 0.0}), numbers("groups", {static_cast<double>(groups)})}, expected, seed,
        {isNarrow ? DType::float32 : DType::float64, DType::float64, makesNarrow ? DType::float32 : DType::float64});
  }
}

TEST("placeTaps adds each tap of a kernel at its place in a larger one, groups spread over fewer") {
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(repetitions(60)); seed++) {
    Random random(seed + 400000);
    const int64_t groups = random.between(1, 3), kernelGroups = groups * random.between(1, 3), J = random.between(1, 5),
                  S = random.between(1, 4), T = S + random.between(0, 6);
    const int64_t O = kernelGroups * random.between(1, 12), I = J * kernelGroups / groups;
    const bool hasBase = random.chance(70);
    const DType narrow = random.chance(50) ? DType::float32 : DType::float64;
    std::vector<double> taps;
    for (int64_t s = 0; s < S; s++)
      taps.push_back(random.between(0, static_cast<int>(T) - 1));  // the same place twice adds twice
    const std::vector<double> base = integers(O * I * T, random), kernel = integers(O * J * S, random);
    std::vector<double> expected = hasBase ? base : std::vector<double>(base.size());
    for (int64_t o = 0; o < O; o++) {
      for (int64_t j = 0; j < J; j++) {
        const int64_t channel = o / (O / kernelGroups) * J + j;  // among all inputs
        const int64_t i = channel - o / (O / groups) * I;
        for (int64_t s = 0; s < S; s++)
          expected[static_cast<size_t>((o * I + i) * T + static_cast<int64_t>(taps[static_cast<size_t>(s)]))] +=
              kernel[static_cast<size_t>((o * J + j) * S + s)];
      }
    }
    const std::vector<Attribute> attributes = {numbers("taps", taps),
                                               numbers("kernelGroups", {static_cast<double>(kernelGroups)}),
                                               numbers("groups", {static_cast<double>(groups)})};
    if (hasBase) {
      expectExact("placeTaps", {{O, I, T}, {O, J, S}}, {base, kernel}, {O, I, T}, attributes, expected, seed,
                  {DType::float64, narrow});
    } else {
      expectExact("placeTaps", {{}, {O, J, S}}, {kernel}, {O, I, T}, attributes, expected, seed, {narrow});
    }
  }
}

TEST("contractChannels sums over the channels between two kernels, group by group") {
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(repetitions(60)); seed++) {
    Random random(seed + 500000);
    const int64_t groups = random.between(1, 3), M = random.between(1, 12), I = random.between(1, 9),
                  S = random.between(1, 9), T = random.chance(50) ? 1 : random.between(2, 9);
    const int64_t O = groups * random.between(1, 20);
    std::vector<double> second(static_cast<size_t>(O * M * T)), first(static_cast<size_t>(groups * M * I * S));
    for (std::vector<double>* list : {&second, &first}) {
      for (double& x : *list) x = random.between(-1000, 1000);
    }
    std::vector<double> expected(static_cast<size_t>(O * I * T * S));
    for (int64_t o = 0; o < O; o++) {
      for (int64_t m = 0; m < M; m++) {
        for (int64_t i = 0; i < I; i++) {
          for (int64_t t = 0; t < T; t++) {
            for (int64_t s = 0; s < S; s++) {
              expected[static_cast<size_t>(((o * I + i) * T + t) * S + s)] +=
                  second[static_cast<size_t>((o * M + m) * T + t)] *
                  first[static_cast<size_t>(((o / (O / groups) * M + m) * I + i) * S + s)];
            }
          }
        }
      }
    }
    expectExact("contractChannels", {{O, M, T}, {groups * M, I, S}}, {second, first}, {O, I, T * S},
                {numbers("groups", {static_cast<double>(groups)})}, expected, seed);
  }
}

TEST("isFinite finds the one number that is not") {
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(repetitions(60)); seed++) {
    Random random(seed + 600000);
    const int64_t O = random.between(0, 80), I = random.between(1, 9), T = random.between(1, 9);
    const DType dtype = random.chance(50) ? DType::float32 : DType::float64;
    const double largest = dtype == DType::float32 ? static_cast<double>(std::numeric_limits<float>::max())
                                                   : std::numeric_limits<double>::max();
    std::vector<double> kernel = integers(O * I * T, random);
    if (!kernel.empty()) kernel[kernel.size() / 2] = -largest;
    const bool isSpoilt = O > 0 && random.chance(50);
    const double infinite = std::numeric_limits<double>::infinity(),
                 values[] = {infinite, -infinite, std::numeric_limits<double>::quiet_NaN()};
    if (isSpoilt)
      kernel[static_cast<size_t>(random.between(0, static_cast<int>(kernel.size()) - 1))] = values[seed % 3];
    expectExact("isFinite", {{O, I, T}}, {kernel}, {1, 1, 1}, {}, {isSpoilt ? 0.0 : 1.0}, seed, {dtype});
  }
}

}  // namespace repconv::test

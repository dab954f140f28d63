// The arithmetic of folding on whole numbers: every bit as plain loops over [O, I, T] give it, on any number of
// threads, from and into either format.
#include <cmath>
#include <limits>
#include <optional>

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

// A program of one step. `stored`: the formats of the inputs, and of the output; float64 where there is none. A step of
// two outputs gives `second` as the other one.
void expectExact(const char* operation, const std::vector<std::vector<int64_t>>& shapes,
                 const std::vector<std::vector<double>>& data, const std::vector<int64_t>& outShape,
                 const std::vector<Attribute>& attributes, const std::vector<double>& expected, uint64_t seed,
                 std::vector<DType> stored = {}, std::optional<double> second = {}) {
  stored.resize(data.size() + 1, DType::float64);
  Description d;
  std::vector<int> from;
  for (const std::vector<int64_t>& shape : shapes) {
    from.push_back(d.input(shape));
    d.values.back().dtype = stored[d.values.size() - 1];
  }
  d.outputs = {d.step(operation, from, outShape, Layout::plain, attributes)};
  d.values.back().dtype = stored.back();
  if (second) {
    d.values.push_back({DType::float64, Layout::plain, {1}, nullptr, nullptr});
    d.steps[0].outputs.push_back(static_cast<int>(d.values.size()) - 1);
    d.outputs.push_back(static_cast<int>(d.values.size()) - 1);
  }
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
      double other = -0.5;
      void* outputs[] = {out.data(), &other};
      ThreadPool pool;
      CHECK(pool.ensureThreads(threads).isOk(), "no threads");
      CHECK(session.value()->run(pool, *plan.value(), pointers.data(), outputs, nullptr, nullptr).isOk(),
            "the run failed");
      for (size_t i = 0; i < expected.size(); i++) {
        if ((out[i] == expected[i] && std::signbit(out[i]) == std::signbit(expected[i])) ||
            (std::isnan(out[i]) && std::isnan(expected[i])))
          continue;
        CHECK(false, "element %zu is %.17g, expected %.17g", i, out[i], expected[i]);
        break;
      }
      CHECK(!second || other == *second, "the second output is %g", other);
    }
  }
}

}  // namespace

// A kernel of a sum: [O, J, S] in so many groups, or stored with its channel axes exchanged.
struct Term {
  std::vector<double> numbers, byOutput, byInput;
  std::vector<int64_t> shape;
  int64_t groups = 1;
  bool isSwapped = false;
  std::vector<double> taps;
};

TEST(
    "sumKernels adds kernels in either format, scaled by output and by input channel, tap by tap at its place, groups "
    "spread over fewer, and rounds once; it says whether all sums are finite") {
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(repetitions(200)); seed++) {
    Random random(seed + 300000);
    const int64_t groups = random.between(1, 3), T = random.between(1, 9), perGroup = 2 * random.between(1, 4),
                  O = 6 * groups * random.between(1, 6), I = perGroup;
    const bool isSwapped = random.chance(30), makesNarrow = random.chance(50);
    std::vector<double> sum(static_cast<size_t>(O * I * T));
    std::vector<std::vector<int64_t>> shapes;
    std::vector<std::vector<double>> data;
    std::vector<DType> stored;
    std::vector<double> records, taps;
    const int count = random.between(0, 4);
    bool isFinite = true;
    for (int term = 0; term < count; term++) {
      const int64_t finer = random.of<int64_t>({1, 1, 2}), own = groups * finer, J = I / finer, outputs = O / own;
      const bool isWhole = random.chance(40), isStoredSwapped = random.chance(30);
      const int64_t S = isWhole ? T : random.between(1, static_cast<int>(T));
      std::vector<double> places;
      // The same place twice adds twice.
      for (int64_t s = 0; s < S; s++)
        places.push_back(isWhole ? static_cast<double>(s) : random.between(0, static_cast<int>(T) - 1));
      std::vector<double> kernel = integers(O * J * S, random);
      const bool isNarrow = random.chance(50);
      if (random.chance(10)) {
        const double values[] = {std::numeric_limits<double>::infinity(), std::nan("")};
        kernel[static_cast<size_t>(random.between(0, static_cast<int>(kernel.size()) - 1))] = values[seed % 2];
        isFinite = false;
      }
      const auto factorsOf = [&](int64_t size) {
        std::vector<double> factors;
        for (int64_t i = 0; i < size; i++) factors.push_back(random.between(1, 50));
        return factors;
      };
      const std::vector<double> byOutput = random.chance(60) ? factorsOf(O) : std::vector<double>{},
                                byInput = random.chance(40) ? factorsOf(I * groups) : std::vector<double>{};
      for (int64_t o = 0; o < O; o++) {
        for (int64_t j = 0; j < J; j++) {
          const int64_t channel = o / outputs * J + j, i = channel - o / (O / groups) * I;
          for (int64_t s = 0; s < S; s++) {
            const int64_t at = isStoredSwapped ? (channel * outputs + o % outputs) * S + s : (o * J + j) * S + s;
            double factor = byOutput.empty() ? 1 : byOutput[static_cast<size_t>(o)];
            if (!byInput.empty()) factor *= byInput[static_cast<size_t>(channel)];
            sum[static_cast<size_t>((o * I + i) * T + static_cast<int64_t>(places[static_cast<size_t>(s)]))] +=
                factor * kernel[static_cast<size_t>(at)];
          }
        }
      }
      const double source = static_cast<double>(shapes.size());
      shapes.push_back(isStoredSwapped ? std::vector<int64_t>{J * own, outputs, S} : std::vector<int64_t>{O, J, S});
      data.push_back(std::move(kernel));
      stored.push_back(isNarrow ? DType::float32 : DType::float64);
      double indices[2] = {-1, -1};
      for (int f = 0; f < 2; f++) {
        const std::vector<double>& factors = f == 0 ? byOutput : byInput;
        if (factors.empty()) continue;
        indices[f] = static_cast<double>(shapes.size());
        shapes.push_back({static_cast<int64_t>(factors.size())});
        data.push_back(factors);
        stored.push_back(DType::float64);
      }
      for (double number : {source, indices[0], indices[1], static_cast<double>(own), isStoredSwapped ? 1.0 : 0.0,
                            static_cast<double>(S)})
        records.push_back(number);
      taps.insert(taps.end(), places.begin(), places.end());
    }
    std::vector<double> expected(sum);
    if (isSwapped) {
      const int64_t outputs = O / groups;
      for (int64_t o = 0; o < O; o++) {
        for (int64_t i = 0; i < I; i++) {
          for (int64_t t = 0; t < T; t++)
            expected[static_cast<size_t>(((o / outputs * I + i) * outputs + o % outputs) * T + t)] =
                sum[static_cast<size_t>((o * I + i) * T + t)];
        }
      }
    }
    if (makesNarrow) {
      for (double& x : expected) x = static_cast<double>(static_cast<float>(x));
    }
    stored.push_back(makesNarrow ? DType::float32 : DType::float64);
    const std::vector<int64_t> outShape =
        isSwapped ? std::vector<int64_t>{I * groups, O / groups, T} : std::vector<int64_t>{O, I, T};
    expectExact("sumKernels", shapes, data, outShape,
                {numbers("terms", records), numbers("taps", taps), numbers("groups", {static_cast<double>(groups)}),
                 numbers("swapped", {isSwapped ? 1.0 : 0.0})},
                expected, seed, stored, isFinite ? 1.0 : 0.0);
  }
}

TEST("sumKernels keeps minus zero of a kernel that is alone, and finds the largest numbers finite") {
  const double most = std::numeric_limits<double>::max();
  expectExact("sumKernels", {{1, 2, 1}}, {{-0.0, -most}}, {1, 2, 1},
              {numbers("terms", {0, -1, -1, 1, 0, 1}), numbers("taps", {0})}, {-0.0, -most}, 2, {}, 1.0);
  expectExact("sumKernels", {{1, 2, 1}, {1}}, {{3, -most}, {2}}, {1, 2, 1},
              {numbers("terms", {0, 1, -1, 1, 0, 1}), numbers("taps", {0})},
              {6, -std::numeric_limits<double>::infinity()}, 1, {}, 0.0);
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

}  // namespace repconv::test

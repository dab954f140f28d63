// compareAnswers on whole numbers: random steps, layouts and samples, as plain loops over single samples give it, on
// every instruction set and any number of threads; and attributes that are wrong.
#include <algorithm>
#include <cmath>

#include "guarded.h"
#include "programs.h"

namespace repconv::test {
namespace {

enum Kind { kContract, kPlace, kScale, kShift };

struct Step {
  Kind kind = kScale;
  std::vector<int> inputs;
  int constant = -1;
  int64_t groups = 1;
  bool isTransposed = false;
};

struct Places {
  std::vector<int64_t> pixels;
  std::vector<std::vector<PixelMove>> moves;
  std::vector<PixelPair> pairs;
};

// A program of the one step, and what it is made of.
struct Case {
  Description description;
  std::vector<int64_t> channels;
  std::vector<Step> steps;
  std::vector<Places> layouts;
  int before = 0, after = 0;
  bool isZero = false;
  int64_t first = 0, count = 0;  // of impulses
  int mixes = -1;
  int64_t samples = 1;

  double numberAt(int constant, int64_t index) const {
    const DescribedValue& value = description.values[static_cast<size_t>(constant)];
    return value.doubles != nullptr ? (*value.doubles)[static_cast<size_t>(index)]
                                    : static_cast<double>((*value.floats)[static_cast<size_t>(index)]);
  }
};

int64_t elements(const std::vector<int64_t>& shape) {
  int64_t size = 1;
  for (int64_t extent : shape) size *= extent;
  return size;
}

int constantOf(Case& all, std::vector<int64_t> shape, int most, Random& random) {
  const size_t size = static_cast<size_t>(elements(shape));
  if (shape.size() == 3 && most < 8 && random.chance(50)) {
    std::vector<float> numbers(size);
    for (float& x : numbers) x = static_cast<float>(random.between(-most, most));
    return all.description.constant(std::move(shape), std::move(numbers));
  }
  std::vector<double> numbers(size);
  for (double& x : numbers) x = random.between(-most, most);
  return all.description.constant64(std::move(shape), std::move(numbers));
}

void addStep(Case& all, Random& random) {
  const int values = static_cast<int>(all.channels.size());
  Step step;
  step.kind = static_cast<Kind>(random.between(0, 3));
  step.inputs = {random.between(0, values - 1)};
  const int64_t C = all.channels[static_cast<size_t>(step.inputs[0])];
  int64_t outputs = C;
  if (step.kind == kContract) {
    std::vector<int64_t> divisors;
    for (int64_t g = 1; g <= C; g++) {
      if (C % g == 0) divisors.push_back(g);
    }
    step.groups = random.chance(50) ? 1 : random.of(divisors);
    outputs = step.groups * random.between(1, step.groups > 4 ? 2 : 11);
    step.isTransposed = random.chance(30);
    const int64_t T = random.between(1, 4);
    const std::vector<int64_t> shape = step.isTransposed ? std::vector<int64_t>{C, outputs / step.groups, T}
                                                         : std::vector<int64_t>{outputs, C / step.groups, T};
    step.constant = constantOf(all, shape, 3, random);
  } else if (step.kind == kPlace) {
    std::vector<int> alike;
    for (int v = 0; v < values; v++) {
      if (all.channels[static_cast<size_t>(v)] == C) alike.push_back(v);
    }
    if (random.chance(60)) {
      step.inputs.push_back(random.of(alike));
    } else {
      step.constant = constantOf(all, {random.between(1, 3)}, 9, random);
    }
  } else {
    step.constant = constantOf(all, {C}, 5, random);
  }
  all.channels.push_back(outputs);
  all.steps.push_back(step);
}

Places randomLayout(const Case& all, Random& random) {
  Places layout;
  layout.pixels = {all.isZero ? 0 : 1};
  for (const Step& step : all.steps) {
    const int64_t input = layout.pixels[static_cast<size_t>(step.inputs[0])];
    const bool staysPut = step.kind == kScale || (step.kind == kShift && !all.isZero);
    const int64_t pixels = staysPut ? input : random.chance(20) ? input : random.between(0, 4);
    std::vector<PixelMove> moves;
    for (size_t operand = 0; operand < step.inputs.size() && !staysPut; operand++) {
      const int64_t from = layout.pixels[static_cast<size_t>(step.inputs[operand])];
      const bool isSum = step.inputs.size() == 2;
      const int most =
          isSum ? 0
          : step.kind == kContract || step.kind == kPlace
              ? static_cast<int>(all.description.values[static_cast<size_t>(step.constant)].shape.back()) - 1
              : 0;
      if (from == 0 || pixels == 0) continue;
      if (from == pixels && random.chance(50)) {
        for (int64_t p = 0; p < from; p++)
          moves.push_back({p, p, isSum ? static_cast<int64_t>(operand) : random.between(0, most)});
        continue;
      }
      for (int m = random.between(0, 6); m > 0; m--) {
        moves.push_back({random.between(0, static_cast<int>(from) - 1), random.between(0, static_cast<int>(pixels) - 1),
                         isSum ? static_cast<int64_t>(operand) : random.between(0, most)});
      }
    }
    layout.pixels.push_back(pixels);
    layout.moves.push_back(std::move(moves));
  }
  const int p = static_cast<int>(layout.pixels[static_cast<size_t>(all.before)]),
            q = static_cast<int>(layout.pixels[static_cast<size_t>(all.after)]);
  for (int pair = random.between(0, 6); pair > 0; pair--)
    layout.pairs.push_back({random.between(-1, p - 1), random.between(-1, q - 1)});
  return layout;
}

Case randomCase(Random& random) {
  Case all;
  all.channels = {random.of<int64_t>({1, 2, 6, 9, 12, 24, 30})};
  for (int steps = random.between(1, 7); steps > 0; steps--) addStep(all, random);
  const int last = static_cast<int>(all.channels.size()) - 1;
  std::vector<int> alike;
  for (int v = 0; v <= last; v++) {
    if (all.channels[static_cast<size_t>(v)] == all.channels.back()) alike.push_back(v);
  }
  all.before = last;
  all.after = random.of(alike);
  if (random.chance(50)) std::swap(all.before, all.after);
  const int kind = random.between(0, 2);
  all.isZero = kind == 0;
  for (int layouts = random.between(1, 3); layouts > 0; layouts--) all.layouts.push_back(randomLayout(all, random));
  if (kind == 1) {
    all.first = random.between(0, static_cast<int>(all.channels[0]) - 1);
    all.count = all.samples = random.between(0, static_cast<int>(all.channels[0] - all.first));
  } else if (kind == 2) {
    all.samples = random.between(1, 12);
    all.mixes = constantOf(all, {static_cast<int64_t>(all.layouts.size()), all.samples, all.channels[0]}, 9, random);
  }
  std::vector<double> channels(all.channels.begin(), all.channels.end()), steps, pixels, moves, pairs;
  for (const Step& step : all.steps) {
    for (double number :
         {double(step.kind), double(step.inputs[0]), step.inputs.size() > 1 ? double(step.inputs[1]) : -1.0,
          double(step.constant), double(step.groups), double(step.isTransposed)})
      steps.push_back(number);
  }
  for (const Places& layout : all.layouts) {
    pixels.insert(pixels.end(), layout.pixels.begin(), layout.pixels.end());
    for (const std::vector<PixelMove>& of : layout.moves) {
      moves.push_back(static_cast<double>(of.size()));
      for (const PixelMove& move : of)
        for (int64_t number : {move.from, move.to, move.which}) moves.push_back(static_cast<double>(number));
    }
    pairs.push_back(static_cast<double>(layout.pairs.size()));
    for (const PixelPair& pair : layout.pairs)
      for (int64_t number : {pair.before, pair.after}) pairs.push_back(static_cast<double>(number));
  }
  std::vector<int> inputs(all.description.values.size());
  for (size_t i = 0; i < inputs.size(); i++) inputs[i] = static_cast<int>(i);
  all.description.outputs = {all.description.step(
      "compareAnswers", inputs, {2}, Layout::plain,
      {numbers("channels", channels), numbers("steps", steps), numbers("pixels", pixels), numbers("moves", moves),
       numbers("pairs", pairs), numbers("compared", {double(all.before), double(all.after)}),
       numbers("zero", {all.isZero ? 1.0 : 0.0}), numbers("impulses", {double(all.first), double(all.count)}),
       numbers("mixes", {double(all.mixes)})})};
  all.description.values.back().dtype = DType::float64;
  return all;
}

// All values of one sample: [pixel][channel].
std::vector<std::vector<double>> answersTo(const Case& all, const Places& layout, std::vector<double> image) {
  std::vector<std::vector<double>> answers{std::move(image)};
  for (size_t s = 0; s < all.steps.size(); s++) {
    const Step& step = all.steps[s];
    const int64_t C = all.channels[s + 1], from = all.channels[static_cast<size_t>(step.inputs[0])];
    std::vector<double> result(static_cast<size_t>(layout.pixels[s + 1] * C));
    const std::vector<double>& x = answers[static_cast<size_t>(step.inputs[0])];
    if (step.kind == kScale || (step.kind == kShift && !all.isZero)) {
      for (size_t i = 0; i < result.size(); i++)
        result[i] = step.kind == kScale ? x[i] * all.numberAt(step.constant, static_cast<int64_t>(i) % C) : x[i];
    }
    for (const PixelMove& move : layout.moves[s]) {
      for (int64_t o = 0; o < C; o++) {
        double& to = result[static_cast<size_t>(move.to * C + o)];
        if (step.kind != kContract) {
          const bool isSum = step.inputs.size() == 2;
          const double share = step.kind == kPlace && !isSum ? all.numberAt(step.constant, move.which) : 1;
          const auto& operand = answers[static_cast<size_t>(step.inputs[isSum ? static_cast<size_t>(move.which) : 0])];
          to += share * operand[static_cast<size_t>(move.from * C + o)];
          continue;
        }
        const int64_t inputs = from / step.groups, outputs = C / step.groups, group = o / outputs,
                      T = all.description.values[static_cast<size_t>(step.constant)].shape[2];
        for (int64_t c = group * inputs; c < (group + 1) * inputs; c++) {
          const int64_t row = step.isTransposed ? c * outputs + o - group * outputs : o * inputs + c - group * inputs;
          to += x[static_cast<size_t>(move.from * from + c)] * all.numberAt(step.constant, row * T + move.which);
        }
      }
    }
    for (size_t i = 0; i < result.size() && step.kind == kShift && all.isZero; i++)
      result[i] += all.numberAt(step.constant, static_cast<int64_t>(i) % C);
    answers.push_back(std::move(result));
  }
  return answers;
}

// The largest |before − after| and |before|.
std::vector<double> expectedOf(const Case& all) {
  double distance = 0, magnitude = 0;
  const int64_t C = all.channels[static_cast<size_t>(all.before)];
  for (size_t l = 0; l < all.layouts.size(); l++) {
    const Places& layout = all.layouts[l];
    for (int64_t s = 0; s < all.samples; s++) {
      std::vector<double> image(static_cast<size_t>(all.isZero ? 0 : all.channels[0]));
      for (int64_t c = 0; c < static_cast<int64_t>(image.size()); c++)
        image[static_cast<size_t>(c)] =
            all.mixes < 0 ? c == all.first + s
                          : all.numberAt(all.mixes, (static_cast<int64_t>(l) * all.samples + s) * all.channels[0] + c);
      const auto answers = answersTo(all, layout, image);
      for (const PixelPair& pair : layout.pairs) {
        for (int64_t c = 0; c < C; c++) {
          const auto at = [&](int value, int64_t pixel) {
            return pixel < 0 ? 0 : answers[static_cast<size_t>(value)][static_cast<size_t>(pixel * C + c)];
          };
          const double x = at(all.before, pair.before), y = at(all.after, pair.after);
          distance = std::max(distance, std::fabs(x - y));
          magnitude = std::max(magnitude, std::fabs(x));
        }
      }
    }
  }
  return {distance, magnitude};
}

// What the program computes; its constants lie between guard pages.
Status computed(const Description& d, Isa isa, int threads, Side side, double* out) {
  Result<Program> program = d.read();
  if (!program.isOk()) return program.status();
  std::vector<Guarded<float>> floats;
  std::vector<Guarded<double>> doubles;
  for (size_t v = 0; v < d.values.size(); v++) {
    const DescribedValue& value = d.values[v];
    if (value.floats != nullptr) {
      floats.emplace_back(value.floats->size(), side, [&](size_t i) { return (*value.floats)[i]; });
      program.value().values[v].constant = floats.back().data();
    } else if (value.doubles != nullptr) {
      doubles.emplace_back(value.doubles->size(), side, [&](size_t i) { return (*value.doubles)[i]; });
      program.value().values[v].constant = doubles.back().data();
    }
  }
  Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), {isa, threads, ""});
  if (!session.isOk()) return session.status();
  Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(d.shapes(), d.shapes());
  if (!plan.isOk()) return plan.status();
  // Right, but too large to be run here.
  if (plan.value()->arenaBytes() > size_t{64} << 20) return Status();
  ThreadPool pool;
  if (Status status = pool.ensureThreads(threads); !status.isOk()) return status;
  void* outputs[] = {out};
  return session.value()->run(pool, *plan.value(), nullptr, outputs, nullptr, nullptr);
}

}  // namespace

TEST("compareAnswers finds what plain loops over single samples find") {
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(repetitions(600)); seed++) {
    Random random(seed + 700000);
    const Case all = randomCase(random);
    const std::vector<double> expected = expectedOf(all);
    for (Isa isa : usableIsas()) {
      const int threads = random.between(1, 4);
      note("seed %llu, %s, %d threads: %.300s", static_cast<unsigned long long>(seed), isaName(isa), threads,
           all.description.show().c_str());
      double found[2] = {-1, -1};
      const Status status = computed(all.description, isa, threads, seed % 2 == 0 ? Side::begin : Side::end, found);
      CHECK(status.isOk(), "%s", status.message().c_str());
      CHECK(found[0] == expected[0] && found[1] == expected[1], "found %.17g and %.17g, expected %.17g and %.17g",
            found[0], found[1], expected[0], expected[1]);
    }
  }
}

TEST("compareAnswers of samples that need much memory computes fewer at once, and long chains are no deep calls") {
  Case all;
  all.description = {};
  const int64_t C = 8, pixels = 20000;
  const int factor = all.description.constant64({C}, std::vector<double>(C, 1.0));
  std::vector<double> channels{double(C)}, steps, sizes{1}, moves, pairs{double(pixels)};
  const int share = all.description.constant64({1}, {1.0});
  const int count = 3000;
  for (int s = 0; s < count; s++) {
    channels.push_back(double(C));
    sizes.push_back(s < 2 ? double(pixels) : 1.0);
    // One pixel becomes many, and many one; then factors, one behind the other.
    const bool isPlaced = s == 0 || s == 2 || s == count - 1;
    if (s == count - 1) sizes.back() = double(pixels);
    for (double number : {isPlaced ? 1.0 : 2.0, double(s), -1.0, isPlaced ? double(share) : double(factor), 1.0, 0.0})
      steps.push_back(number);
    moves.push_back(s == 2 ? 1.0 : isPlaced ? double(pixels) : 0.0);
    for (int64_t p = 0; p < (s == 2 ? 1 : isPlaced ? pixels : 0); p++)
      for (double number : {0.0, double(p), 0.0}) moves.push_back(number);
  }
  for (int64_t p = 0; p < pixels; p++)
    for (int i = 0; i < 2; i++) pairs.push_back(double(p));
  all.description.outputs = {all.description.step(
      "compareAnswers", {factor, share}, {2}, Layout::plain,
      {numbers("channels", channels), numbers("steps", steps), numbers("pixels", sizes), numbers("moves", moves),
       numbers("pairs", pairs), numbers("compared", {double(count), 1.0}), numbers("impulses", {0, double(C)})})};
  all.description.values.back().dtype = DType::float64;
  double found[2] = {-1, -1};
  const Status status = computed(all.description, Isa::scalar, 2, Side::end, found);
  CHECK(status.isOk(), "%s", status.message().c_str());
  CHECK(found[0] == 0 && found[1] == 1, "found %g and %g", found[0], found[1]);
}

TEST("compareAnswers with wrong attributes or constants is refused, or computes") {
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(repetitions(2000)); seed++) {
    Random random(seed + 800000);
    Case all = randomCase(random);
    DescribedStep& step = all.description.steps[0];
    for (int changes = random.between(1, 3); changes > 0; changes--) {
      if (random.chance(15)) {
        DescribedValue& value =
            all.description
                .values[static_cast<size_t>(random.between(0, static_cast<int>(all.description.values.size()) - 1))];
        // Other extents of as many numbers, or fewer.
        if (!value.shape.empty()) value.shape[0] = random.between(0, static_cast<int>(value.shape[0]));
        if (random.chance(30)) value.shape.insert(value.shape.begin(), 1);
        continue;
      }
      Attribute& attribute =
          step.attributes[static_cast<size_t>(random.between(0, static_cast<int>(step.attributes.size()) - 1))];
      if (attribute.numbers.empty() || random.chance(15)) {
        attribute.numbers.resize(static_cast<size_t>(random.between(0, 12)), 1);
        continue;
      }
      attribute.numbers[static_cast<size_t>(random.between(0, static_cast<int>(attribute.numbers.size()) - 1))] =
          random.of<double>({-1, -2, 0, 1, 2, 3, 4, 7, 8, 100, 16777216, 16777217, 0.5, double(random.between(0, 40))});
    }
    note("seed %llu: %.300s", static_cast<unsigned long long>(seed), all.description.show().c_str());
    double found[2];
    const Status status = computed(all.description, cpuInfo().isa, 2, Side::end, found);
    CHECK(status.isOk() || !status.message().empty(), "a failure without a message");
  }
}

}  // namespace repconv::test

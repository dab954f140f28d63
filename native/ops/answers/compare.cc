// compareAnswers: what two affine sentences answer to impulses, compared; certificates are made of it
// (lib/reparam/certificate.ts). In float64, and without a word of folding, which it judges.
// lib/reparam/plainAnswers.ts says the same in a few loops, and adds in the same order.
//
// An answer is computed by blocks of eight output channels, for a chunk of samples at once:
//
//     tile of a value      [sample][pixel][8 channels]
//     taps of a kernel     [input channel][tap][8 channels], turned so for each block
//
// so that everything between the weights and the comparison stays in the first two levels of cache, and a weight comes
// from memory once. What a convolution reads whole, or several steps read, is computed first and stored, block after
// block; everything else where it is wanted.
#include <algorithm>
#include <array>
#include <cstring>

#include "ops/answers/plan.h"

namespace repconv {
namespace {

constexpr int64_t kLanes = kAnswerLanes;

// Channels begin … end − 1.
struct Range {
  int64_t begin = 0, end = 0;
  bool isEmpty() const { return begin >= end; }
  int64_t firstBlock() const { return begin / kLanes; }
  int64_t endBlock() const { return isEmpty() ? firstBlock() : (end - 1) / kLanes + 1; }
  Range within(Range other) const { return {std::max(begin, other.begin), std::min(end, other.end)}; }
  Range around(Range other) const {
    if (isEmpty() || other.isEmpty()) return isEmpty() ? other : *this;
    return {std::min(begin, other.begin), std::max(end, other.end)};
  }
};

// The largest |before − after| and the largest |before|.
struct alignas(kCacheLineBytes) Found {
  double distance = 0, magnitude = 0;
};

// A chunk of samples, and the blocks of the compared values that one member looks at.
struct Item {
  const AnswerPlan& plan;
  const RunContext& context;
  double* memory;
  int64_t first = 0, count = 0;  // samples
  size_t layout = 0;  // the one being computed
  int64_t root = 0;  // the stored value being computed, or −1

  const AnswerSteps& all() const { return *plan.all; }
  Range* ranges() const { return reinterpret_cast<Range*>(memory); }
  Range& range(int64_t value) const { return ranges()[value]; }
  const AnswerLayout& here() const { return all().layouts[layout]; }
  const std::vector<AnswerReading>& readings(int64_t value) const {
    return plan.readings[layout][static_cast<size_t>(value - 1)];
  }
  int64_t pixels(int64_t value) const { return here().pixels[static_cast<size_t>(value)]; }
  int64_t tileSize(int64_t value) const { return count * pixels(value) * kLanes; }
  double* stored(int64_t value, int64_t block) const {
    return memory + plan.storedAt[layout][static_cast<size_t>(value)] +
           (block - range(value).firstBlock()) * tileSize(value);
  }

  const double* mixOf(int64_t sample) const {
    return static_cast<const double*>(context.inputs[all().mixes]) +
           (static_cast<int64_t>(layout) * plan.samples + first + sample) * plan.channels(0);
  }

  void findRanges() const;
  Range inputsOf(int64_t value, int64_t block) const;
  void turnFor(int64_t value, int64_t block, int64_t root) const;
  template <typename Weight>
  void turn(int64_t value, int64_t block, const Weight* weights) const;
  void answer(int64_t value, int64_t block, double* out, double* stack) const;
  void readImage(int64_t block, double* out) const;
  void contract(int64_t value, int64_t block, double* out) const;
  void contractImpulses(int64_t value, Range from, const double* turned, double* out) const;
  void place(int64_t value, int64_t block, double* out, double* stack) const;
  void storeAll();
  void compare(int64_t part, int64_t parts, Found* found);
  std::array<double, kLanes> numbersOf(const AnswerStep& step, int64_t value, int64_t block) const;
};

// Which channels of every value the samples reach.
void Item::findRanges() const {
  const int64_t channels = plan.channels(0), impulse = all().firstChannel + first;
  range(0) = all().isZero ? Range{0, 0} : all().mixes >= 0 ? Range{0, channels} : Range{impulse, impulse + count};
  for (size_t s = 0; s < all().steps.size(); s++) {
    const AnswerStep& step = all().steps[s];
    const int64_t value = static_cast<int64_t>(s) + 1;
    Range reached;
    for (int input : step.inputs) reached = reached.around(range(input));
    if (step.kind == AnswerKind::contract && !reached.isEmpty()) {
      const int64_t inputs = plan.inputs(value), outputs = plan.outputs(value);
      reached = {reached.begin / inputs * outputs, ((reached.end - 1) / inputs + 1) * outputs};
    }
    if (step.kind == AnswerKind::shift && all().isZero) reached = {0, plan.channels(value)};
    range(value) = reached;
  }
}

// The input channels that a block of outputs reads, of those that are not zero.
Range Item::inputsOf(int64_t value, int64_t block) const {
  const int64_t inputs = plan.inputs(value), outputs = plan.outputs(value);
  const int64_t last = std::min(plan.channels(value), (block + 1) * kLanes) - 1;
  const Range groups{block * kLanes / outputs * inputs, (last / outputs + 1) * inputs};
  return groups.within(range(plan.stepOf(value).inputs[0]));
}

// Turns the taps of all contractions that go into `value` without being stored on the way.
void Item::turnFor(int64_t value, int64_t block, int64_t of) const {
  if (value == 0 || plan.isReadStored(value, of)) return;
  const AnswerStep& step = plan.stepOf(value);
  if (step.kind != AnswerKind::contract) {
    for (int input : step.inputs) turnFor(input, block, of);
  } else if (plan.constants[static_cast<size_t>(step.constant)].dtype == DType::float32) {
    turn(value, block, static_cast<const float*>(context.inputs[step.constant]));
  } else {
    turn(value, block, static_cast<const double*>(context.inputs[step.constant]));
  }
}

template <typename Weight>
void Item::turn(int64_t value, int64_t block, const Weight* weights) const {
  const AnswerStep& step = plan.stepOf(value);
  const int64_t C = plan.channels(value), inputs = plan.inputs(value), outputs = plan.outputs(value),
                T = plan.taps(value);
  const Range all = inputsOf(value, block);
  double* turned = memory + plan.turnedAt[static_cast<size_t>(value - 1)];
  // A few input channels at a time, which stay in the first-level cache while their lanes are written.
  for (int64_t begin = all.begin; begin < all.end; begin += 16) {
    const Range some{begin, std::min(begin + 16, all.end)};
    double* to = turned + (begin - all.begin) * T * kLanes;
    for (int64_t lane = 0; lane < kLanes; lane++) {
      const int64_t o = block * kLanes + lane, group = o / outputs;
      const Range own = o < C ? some.within({group * inputs, (group + 1) * inputs}) : Range{};
      for (int64_t i = 0; i < (own.isEmpty() ? some.end - begin : own.begin - begin) * T; i++)
        to[i * kLanes + lane] = 0;
      if (own.isEmpty()) continue;
      for (int64_t i = (own.end - begin) * T; i < (some.end - begin) * T; i++) to[i * kLanes + lane] = 0;
      // The taps of a channel's inputs follow each other, those of an input's outputs where it is transposed.
      const int64_t rows = step.isTransposed ? own.end - own.begin : 1, length = (own.end - own.begin) / rows * T;
      for (int64_t r = 0; r < rows; r++) {
        const int64_t row = step.isTransposed ? (own.begin + r) * outputs + o - group * outputs
                                              : o * inputs + own.begin - group * inputs;
        double* into = to + (own.begin - begin + r) * T * kLanes + lane;
        for (int64_t i = 0; i < length; i++) into[i * kLanes] = static_cast<double>(weights[row * T + i]);
      }
    }
  }
}

// A block of channels of a value, of all samples.
void Item::answer(int64_t value, int64_t block, double* out, double* stack) const {
  if (pixels(value) == 0) return;
  if (value == 0) return readImage(block, out);
  if (plan.isReadStored(value, root)) {
    const Range of = range(value);
    const size_t bytes = static_cast<size_t>(tileSize(value)) * sizeof(double);
    const bool isThere = block >= of.firstBlock() && block < of.endBlock();
    if (isThere) std::memcpy(out, stored(value, block), bytes);
    if (!isThere) std::memset(out, 0, bytes);
    return;
  }
  const AnswerStep& step = plan.stepOf(value);
  if (step.kind == AnswerKind::contract) return contract(value, block, out);
  if (step.kind == AnswerKind::place || (step.kind == AnswerKind::shift && all().isZero))
    return place(value, block, out, stack);
  answer(step.inputs[0], block, out, stack);
  if (step.kind == AnswerKind::shift) return;
  context.kernels.scaleAnswers(out, numbersOf(step, value, block).data(), count * pixels(value));
}

// The numbers of a block's channels, zeros behind the last.
std::array<double, kLanes> Item::numbersOf(const AnswerStep& step, int64_t value, int64_t block) const {
  const double* numbers = static_cast<const double*>(context.inputs[step.constant]);
  std::array<double, kLanes> result{};
  for (int64_t lane = 0; lane < std::min(kLanes, plan.channels(value) - block * kLanes); lane++)
    result[static_cast<size_t>(lane)] = numbers[block * kLanes + lane];
  return result;
}

void Item::readImage(int64_t block, double* out) const {
  std::fill(out, out + count * kLanes, 0.0);
  const int64_t C = plan.channels(0);
  for (int64_t s = 0; s < count; s++) {
    if (all().areImpulses()) {
      const int64_t channel = all().firstChannel + first + s;
      if (channel / kLanes == block) out[s * kLanes + channel % kLanes] = 1;
      continue;
    }
    const double* mix = mixOf(s);
    for (int64_t lane = 0; lane < std::min(kLanes, C - block * kLanes); lane++)
      out[s * kLanes + lane] = mix[block * kLanes + lane];
  }
}

void Item::contract(int64_t value, int64_t block, double* out) const {
  std::fill(out, out + tileSize(value), 0.0);
  const AnswerStep& step = plan.stepOf(value);
  const Range from = inputsOf(value, block);
  if (from.isEmpty()) return;
  const double* turned = memory + plan.turnedAt[static_cast<size_t>(value - 1)];
  const int input = step.inputs[0];
  if (input == 0 && all().areImpulses()) return contractImpulses(value, from, turned, out);
  // Channels of a pixel lie in the blocks of a stored value, or in the line of a mix.
  const double* image = nullptr;
  ptrdiff_t perSample = plan.channels(0), perPixel = 0, perBlock = kLanes;
  int64_t origin = 0;
  if (input == 0) {
    image = mixOf(0);
  } else {
    perBlock = tileSize(input);
    perPixel = kLanes;
    perSample = pixels(input) * kLanes;
    image = stored(input, range(input).firstBlock());
    origin = range(input).firstBlock() * kLanes;
  }
  const int64_t T = plan.taps(value);
  for (int64_t s = 0; s < count; s++) {
    for (const PixelMove& move : readings(value)[0].moves) {
      context.kernels.contractAnswer({out + (s * pixels(value) + move.to) * kLanes,
                                      image + s * perSample + move.from * perPixel, perBlock, from.begin - origin,
                                      from.end - origin, turned + move.which * kLanes, T * kLanes});
    }
  }
}

// Each sample drives one channel: its answer is that channel's taps.
void Item::contractImpulses(int64_t value, Range from, const double* turned, double* out) const {
  const Range own = from.within(range(0));
  if (own.isEmpty()) return;
  const int64_t perChannel = plan.taps(value) * kLanes, perSample = pixels(value) * kLanes;
  const std::vector<PixelMove>& moves = readings(value)[0].moves;
  context.kernels.moveAnswers({out + (own.begin - range(0).begin) * perSample, perSample,
                               turned + (own.begin - from.begin) * perChannel, perChannel, own.end - own.begin,
                               moves.data(), static_cast<int64_t>(moves.size()), nullptr});
}

// A sum, pixels with shares, or pixels to which a shift is added.
void Item::place(int64_t value, int64_t block, double* out, double* stack) const {
  const AnswerStep& step = plan.stepOf(value);
  // Most sums reach no farther than their first operand, which is then computed where the sum is wanted.
  const bool isInPlace = step.isSum() && readings(value)[0].isInPlace;
  if (isInPlace) {
    answer(step.inputs[0], block, out, stack);
  } else {
    std::fill(out, out + tileSize(value), 0.0);
  }
  const double* shares = step.kind == AnswerKind::place && !step.isSum()
                             ? static_cast<const double*>(context.inputs[step.constant])
                             : nullptr;
  for (size_t operand = isInPlace ? 1 : 0; operand < step.inputs.size(); operand++) {
    const int input = step.inputs[operand];
    const std::vector<PixelMove>& moves = readings(value)[operand].moves;
    answer(input, block, stack, stack + tileSize(input));
    context.kernels.moveAnswers({out, pixels(value) * kLanes, stack, pixels(input) * kLanes, count, moves.data(),
                                 static_cast<int64_t>(moves.size()), shares});
  }
  if (step.kind != AnswerKind::shift) return;
  const std::array<double, kLanes> shift = numbersOf(step, value, block);
  for (int64_t at = 0, size = tileSize(value); at < size; at++) out[at] += shift[static_cast<size_t>(at % kLanes)];
}

// What convolutions read whole, in order.
void Item::storeAll() {
  double* stack = memory + plan.stackAt;
  for (int64_t value = 1; value < static_cast<int64_t>(all().channels.size()); value++) {
    if (!plan.isReadStored(value, -1)) continue;
    root = value;
    for (int64_t block = range(value).firstBlock(); block < range(value).endBlock(); block++) {
      turnFor(value, block, root);
      for (layout = 0; layout < all().layouts.size(); layout++) answer(value, block, stored(value, block), stack);
    }
  }
  root = -1;
}

void Item::compare(int64_t part, int64_t parts, Found* found) {
  const Range both = range(all().before).around(range(all().after));
  const int64_t begin = both.firstBlock(), blocks = both.endBlock() - begin;
  for (int64_t block = begin + blocks * part / parts; block < begin + blocks * (part + 1) / parts; block++) {
    turnFor(all().before, block, -1);
    turnFor(all().after, block, -1);
    for (layout = 0; layout < all().layouts.size(); layout++) {
      double* before = memory + plan.stackAt;
      double* after = before + tileSize(all().before);
      double* stack = after + tileSize(all().after);
      answer(all().before, block, before, stack);
      answer(all().after, block, after, stack);
      context.kernels.compareAnswers({before, pixels(all().before) * kLanes, after, pixels(all().after) * kLanes, count,
                                      here().pairs.data(), static_cast<int64_t>(here().pairs.size()), &found->distance,
                                      &found->magnitude});
    }
  }
}

class CompareAnswers : public Task {
 public:
  CompareAnswers(AnswerPlan plan, int threads) : plan_(std::move(plan)), threads_(threads) {
    memberScratchBytes = plan_.scratchBytes;
    sharedScratchBytes = sizeof(Found) * kMaxTeam;
  }
  void run(const RunContext& context) const override;

 private:
  AnswerPlan plan_;
  int threads_;
};

void CompareAnswers::run(const RunContext& context) const {
  Found* found = reinterpret_cast<Found*>(context.sharedScratch);
  std::fill(found, found + kMaxTeam, Found());
  const int64_t chunks = (plan_.samples + plan_.chunk - 1) / plan_.chunk;
  const int64_t blocks = (plan_.channels(plan_.all->before) + kLanes - 1) / kLanes;
  // Few samples: several members share the blocks of their channels, each with what goes before them.
  const int64_t parts = chunks == 0 ? 0 : std::clamp<int64_t>(2 * threads_ / chunks, 1, blocks);
  context.team.parallelFor(static_cast<size_t>(chunks * parts), [&](size_t index, int member) {
    const int64_t chunk = static_cast<int64_t>(index) / parts;
    Item item{plan_, context, context.scratch<double>(member), chunk * plan_.chunk,
              std::min(plan_.chunk, plan_.samples - chunk * plan_.chunk)};
    item.findRanges();
    item.storeAll();
    item.compare(static_cast<int64_t>(index) % parts, parts, found + member);
  });
  double* out = static_cast<double*>(context.outputs[0]);
  out[0] = out[1] = 0;
  for (const Found* of = found; of < found + kMaxTeam; of++) {
    out[0] = std::max(out[0], of->distance);
    out[1] = std::max(out[1], of->magnitude);
  }
}

class CompareAnswersOperation : public Operation {
 public:
  explicit CompareAnswersOperation(AnswerSteps steps) : steps_(std::make_shared<const AnswerSteps>(std::move(steps))) {}
  Status check(const StepTypes& types) const override {
    return steps_->fits(types) ? Status()
                               : failure(Code::shape, "compareAnswers: numbers and steps do not go together");
  }
  // Which of them, `fits` says.
  bool reads(size_t, DType dtype) const override { return dtype != DType::uint8; }
  bool makes(DType dtype) const override { return dtype == DType::float64; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    Result<AnswerPlan> plan = AnswerPlan::make(steps_, *context.types);
    if (!plan.isOk()) return plan.status();
    return std::unique_ptr<Task>(new CompareAnswers(std::move(plan.value()), context.threads));
  }

 private:
  std::shared_ptr<const AnswerSteps> steps_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makeCompareAnswers(const Attributes& attributes) {
  Result<AnswerSteps> steps = AnswerSteps::read(attributes);
  if (!steps.isOk()) return steps.status();
  return std::unique_ptr<Operation>(new CompareAnswersOperation(std::move(steps.value())));
}

}  // namespace repconv

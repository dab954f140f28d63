// Reads the attributes, and makes sure of everything that the computation trusts in.
#include "ops/answers/steps.h"

#include <algorithm>

namespace repconv {
namespace {

constexpr int kRecord = 6;

Status wrong(const char* what) { return failure(Code::input, "compareAnswers: %s", what); }

// Numbers one after the other, or -1 when there are no more.
class Cursor {
 public:
  explicit Cursor(const std::vector<int64_t>& numbers) : numbers_(numbers) {}
  int64_t next() { return at_ < numbers_.size() ? numbers_[at_++] : -1; }
  // Whether so many lists of `each` numbers are still there.
  bool has(int64_t count, size_t each) const {
    return count >= 0 && static_cast<size_t>(count) <= (numbers_.size() - at_) / each;
  }
  bool isAtEnd() const { return at_ == numbers_.size(); }

 private:
  const std::vector<int64_t>& numbers_;
  size_t at_ = 0;
};

Status readSteps(const std::vector<int64_t>& records, AnswerSteps* all) {
  if (records.size() % kRecord != 0 || all->channels.size() != records.size() / kRecord + 1)
    return wrong("steps expects six numbers for each, and channels one more than there are steps");
  for (int64_t channels : all->channels) {
    if (channels < 1) return wrong("channels expects at least one");
  }
  for (size_t s = 0; s * kRecord < records.size(); s++) {
    const int64_t* record = &records[s * kRecord];
    AnswerStep step;
    if (record[0] < 0 || record[0] > 3) return wrong("a step expects a kind from 0 to 3");
    step.kind = static_cast<AnswerKind>(record[0]);
    const bool hasTwo = record[2] >= 0;
    for (int i = 1; i <= (hasTwo ? 2 : 1); i++) {
      if (record[i] < 0 || record[i] > static_cast<int64_t>(s)) return wrong("a step reads a value that is not made");
      step.inputs.push_back(static_cast<int>(record[i]));
    }
    step.constant = static_cast<int>(record[3]);
    step.groups = record[4];
    step.isTransposed = record[5] != 0;
    if (hasTwo && !step.isSum()) return wrong("a step other than a sum reads one value");
    if (!step.isSum() && step.constant < 0) return wrong("a step has no numbers");
    const int64_t to = all->channels[s + 1];
    for (int input : step.inputs) {
      const int64_t from = all->channels[static_cast<size_t>(input)];
      const bool goTogether = step.kind == AnswerKind::contract
                                  ? step.groups >= 1 && from % step.groups == 0 && to % step.groups == 0
                                  : from == to;
      if (!goTogether) return wrong("a step's channels do not go together");
    }
    all->steps.push_back(std::move(step));
  }
  return Status();
}

Status readMoves(Cursor& cursor, const AnswerSteps& all, size_t s, AnswerLayout* layout) {
  const AnswerStep& step = all.steps[s];
  const int64_t count = cursor.next();
  if (!cursor.has(count, 3)) return wrong("moves expects three numbers for each");
  std::vector<PixelMove> moves;
  for (int64_t m = 0; m < count; m++) {
    const int64_t from = cursor.next(), to = cursor.next(), which = cursor.next();
    if (which < 0 || (step.isSum() && which >= static_cast<int64_t>(step.inputs.size())))
      return wrong("a move of a sum expects one of its operands");
    const size_t input = static_cast<size_t>(step.inputs[step.isSum() ? static_cast<size_t>(which) : 0]);
    if (from < 0 || from >= layout->pixels[input] || to < 0 || to >= layout->pixels[s + 1])
      return wrong("a move leaves the pixels that are there");
    moves.push_back({from, to, which});
  }
  const bool staysPut = step.kind == AnswerKind::scale || (step.kind == AnswerKind::shift && !all.isZero);
  if (staysPut && (count > 0 || layout->pixels[s + 1] != layout->pixels[static_cast<size_t>(step.inputs[0])]))
    return wrong("a step that keeps pixels where they are has no moves");
  layout->moves.push_back(std::move(moves));
  return Status();
}

Status readLayouts(const std::vector<int64_t>& pixels, const std::vector<int64_t>& moves,
                   const std::vector<int64_t>& pairs, AnswerSteps* all) {
  const size_t values = all->channels.size();
  if (pixels.empty() || pixels.size() % values != 0) return wrong("pixels expects a number for each value");
  Cursor ofMoves(moves), ofPairs(pairs);
  for (size_t l = 0; l * values < pixels.size(); l++) {
    AnswerLayout layout;
    layout.pixels.assign(pixels.begin() + static_cast<ptrdiff_t>(l * values),
                         pixels.begin() + static_cast<ptrdiff_t>((l + 1) * values));
    if (layout.pixels[0] != (all->isZero ? 0 : 1)) return wrong("an impulse has one pixel, the zero image none");
    for (size_t s = 0; s < all->steps.size(); s++) {
      if (Status status = readMoves(ofMoves, *all, s, &layout); !status.isOk()) return status;
    }
    const int64_t count = ofPairs.next();
    if (!ofPairs.has(count, 2)) return wrong("pairs expects two numbers for each");
    for (int64_t p = 0; p < count; p++) {
      const int64_t before = ofPairs.next(), after = ofPairs.next();
      if (before < -1 || before >= layout.pixels[static_cast<size_t>(all->before)] || after < -1 ||
          after >= layout.pixels[static_cast<size_t>(all->after)])
        return wrong("a pair leaves the pixels that are there");
      layout.pairs.push_back({before, after});
    }
    all->layouts.push_back(std::move(layout));
  }
  if (!ofMoves.isAtEnd() || !ofPairs.isAtEnd()) return wrong("moves and pairs expect no more than the layouts have");
  return Status();
}

}  // namespace

Result<AnswerSteps> AnswerSteps::read(const Attributes& attributes) {
  AnswerSteps all;
  std::vector<int64_t> records, pixels, moves, pairs;
  int compared[2] = {0, 0}, impulses[2] = {0, 0}, zero = 0, mixes = -1;
  for (const Status& status : {attributes.list("channels", 1, &all.channels), attributes.list("steps", -1, &records),
                               attributes.list("pixels", 0, &pixels), attributes.list("moves", 0, &moves),
                               attributes.list("pairs", -1, &pairs), attributes.integers("compared", 2, 0, compared),
                               attributes.integers("impulses", 2, 0, impulses),
                               attributes.integers("zero", 1, 0, &zero), attributes.integers("mixes", 1, -1, &mixes)}) {
    if (!status.isOk()) return status;
  }
  all.isZero = zero != 0;
  all.firstChannel = impulses[0];
  all.impulses = impulses[1];
  all.mixes = all.isZero ? -1 : mixes;
  all.before = compared[0];
  all.after = compared[1];
  if (Status status = readSteps(records, &all); !status.isOk()) return status;
  const int64_t values = static_cast<int64_t>(all.channels.size());
  if (all.before >= values || all.after >= values ||
      all.channels[static_cast<size_t>(all.before)] != all.channels[static_cast<size_t>(all.after)])
    return wrong("compared expects two values of as many channels");
  if (!all.isZero && all.mixes < 0 && all.firstChannel + all.impulses > all.channels[0])
    return wrong("impulses expects channels of the image");
  if (Status status = readLayouts(pixels, moves, pairs, &all); !status.isOk()) return status;
  return all;
}

bool AnswerSteps::fits(const StepTypes& types) const {
  using Shape = std::vector<int64_t>;
  const auto isPlain = [](const ValueType* type, DType dtype) {
    return type != nullptr && type->layout == Layout::plain && type->dtype == dtype;
  };
  if (types.outputs.size() != 1 || !isPlain(types.outputs[0], DType::float64) || types.outputs[0]->shape != Shape{2})
    return false;
  if (mixes >= 0) {
    const ValueType* type = types.input(static_cast<size_t>(mixes));
    if (!isPlain(type, DType::float64) || type->shape.size() != 3 || type->shape[1] < 1 ||
        type->shape[0] != static_cast<int64_t>(layouts.size()) || type->shape[2] != channels[0])
      return false;
  }
  for (size_t s = 0; s < steps.size(); s++) {
    const AnswerStep& step = steps[s];
    if (step.constant < 0) continue;
    const ValueType* type = types.input(static_cast<size_t>(step.constant));
    if (step.kind != AnswerKind::contract) {
      if (!isPlain(type, DType::float64) || type->shape.size() != 1) return false;
      if (step.kind != AnswerKind::place && type->shape[0] != channels[s + 1]) return false;
    } else {
      const int64_t from = channels[static_cast<size_t>(step.inputs[0])], to = channels[s + 1];
      if ((!isPlain(type, DType::float32) && !isPlain(type, DType::float64)) || type->shape.size() != 3) return false;
      if (type->shape[0] != (step.isTransposed ? from : to)) return false;
      if (type->shape[1] != (step.isTransposed ? to : from) / step.groups) return false;
    }
    // Taps, or shares.
    if (step.kind != AnswerKind::contract && step.kind != AnswerKind::place) continue;
    for (const AnswerLayout& layout : layouts) {
      const auto isThere = [&](const PixelMove& move) { return move.which < type->shape.back(); };
      if (!std::all_of(layout.moves[s].begin(), layout.moves[s].end(), isThere)) return false;
    }
  }
  return true;
}

}  // namespace repconv

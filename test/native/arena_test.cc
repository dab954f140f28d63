// The memory plan as a property: whatever the program, values that are needed at the same time never share a byte.
#include "executor/arena.h"

#include <algorithm>

#include "programs.h"

namespace repconv::test {
namespace {

// An operation of which only isInPlace matters.
class Placeholder : public Operation {
 public:
  explicit Placeholder(bool isInPlace) : isInPlace_(isInPlace) {}
  Status check(const StepTypes&) const override { return Status(); }
  bool isInPlace(size_t) const override { return isInPlace_; }
  Result<std::unique_ptr<Task>> plan(const PlanContext&) const override {
    return failure(Code::native, "nothing to plan");
  }

 private:
  bool isInPlace_;
};

// Steps that read any values made before and make one or two; some values are read by nobody, some are constants,
// inputs or outputs.
Program randomSteps(Random& random, int count) {
  Program program;
  const auto declare = [&program] {
    program.values.emplace_back();
    return static_cast<int>(program.values.size()) - 1;
  };
  std::vector<int> made;
  for (int i = random.between(1, 3); i > 0; i--) {
    made.push_back(declare());
    program.inputs.push_back(made.back());
  }
  static const float kConstant = 0;
  made.push_back(declare());
  program.values.back().constant = &kConstant;
  for (int s = 0; s < count; s++) {
    ProgramStep step;
    step.name = "step";
    for (int i = random.between(0, 3); i > 0; i--)
      step.inputs.push_back(random.chance(10) ? kNoValue : random.chance(60) ? made.back() : random.of(made));
    for (int i = random.chance(85) ? 1 : 2; i > 0; i--) step.outputs.push_back(declare());
    // Operations that work in place have one output.
    step.operation = std::make_unique<Placeholder>(step.outputs.size() == 1 && random.chance(40));
    for (int output : step.outputs) made.push_back(output);
    program.steps.push_back(std::move(step));
  }
  if (count > 0) program.outputs.push_back(program.steps.back().outputs[0]);
  return program;
}

struct Life {
  int from = -1, to = -1;
};

}  // namespace

TEST(
    "values that live at the same time never overlap in the arena, and one takes another's place only where its step "
    "allows that") {
  for (int seed = 1; seed <= repetitions(20000); seed++) {
    Random random(static_cast<uint64_t>(seed) + 600000);
    const Program program = randomSteps(random, random.between(0, 40));
    note("seed %d, %zu steps", seed, program.steps.size());
    CHECK(program.check().isOk(), "the random program is wrong itself");
    std::vector<size_t> bytes;
    for (size_t v = 0; v < program.values.size(); v++)
      bytes.push_back(static_cast<size_t>(random.chance(10) ? 0 : random.between(1, 3000)));
    // In place means: the same memory, so no larger than what is there.
    for (const ProgramStep& step : program.steps) {
      if (!step.operation->isInPlace(0) || step.inputs.empty() || step.inputs[0] == kNoValue) continue;
      for (int output : step.outputs)
        bytes[static_cast<size_t>(output)] =
            std::min(bytes[static_cast<size_t>(output)], bytes[static_cast<size_t>(step.inputs[0])]);
    }
    std::vector<bool> isHere;
    for (size_t v = 0; v < program.values.size(); v++) isHere.push_back(random.chance(90));
    const ArenaPlan plan = planArena(program, bytes, isHere);

    const size_t count = program.values.size();
    std::vector<Life> lives(count);
    std::vector<size_t> makers(count, program.steps.size());
    for (size_t s = 0; s < program.steps.size(); s++) {
      for (int output : program.steps[s].outputs) {
        lives[static_cast<size_t>(output)] = {static_cast<int>(s), static_cast<int>(s)};
        makers[static_cast<size_t>(output)] = s;
      }
      for (int input : program.steps[s].inputs) {
        if (input != kNoValue && lives[static_cast<size_t>(input)].from >= 0)
          lives[static_cast<size_t>(input)].to = static_cast<int>(s);
      }
    }
    std::vector<bool> isOutside(count);
    for (size_t v = 0; v < count; v++) isOutside[v] = program.values[v].constant != nullptr || !isHere[v];
    for (const std::vector<int>* list : {&program.inputs, &program.outputs}) {
      for (int value : *list) isOutside[static_cast<size_t>(value)] = true;
    }
    // b may lie on a where b's step may write over its first input a and nobody reads it later.
    const auto isTakenOver = [&](size_t a, size_t b) {
      if (makers[b] >= program.steps.size()) return false;
      const ProgramStep& step = program.steps[makers[b]];
      return step.operation->isInPlace(0) && !step.inputs.empty() && step.inputs[0] == static_cast<int>(a) &&
             lives[a].to == static_cast<int>(makers[b]) && plan.offsets[a] == plan.offsets[b];
    };
    size_t sum = 0;
    for (size_t a = 0; a < count; a++) {
      CHECK((plan.offsets[a] == kOutside) == isOutside[a], "value %zu is on the wrong side of the arena's edge", a);
      if (isOutside[a]) continue;
      CHECK(plan.offsets[a] % kCacheLineBytes == 0, "value %zu begins in the middle of a cache line", a);
      // A cache line more than it holds.
      const size_t end = plan.offsets[a] + roundUp(bytes[a], kCacheLineBytes) + kCacheLineBytes;
      CHECK(end <= plan.sizeBytes, "value %zu ends %zu bytes into an arena of %zu", a, end, plan.sizeBytes);
      sum += roundUp(bytes[a], kCacheLineBytes) + kCacheLineBytes;
      for (size_t b = 0; b < a; b++) {
        if (isOutside[b] || lives[a].from > lives[b].to || lives[b].from > lives[a].to) continue;
        const bool isApart = plan.offsets[a] + bytes[a] + kCacheLineBytes <= plan.offsets[b] ||
                             plan.offsets[b] + bytes[b] + kCacheLineBytes <= plan.offsets[a];
        CHECK(isApart || isTakenOver(a, b) || isTakenOver(b, a), "values %zu and %zu live together and overlap", b, a);
      }
    }
    CHECK(plan.sizeBytes <= sum, "the arena of %zu bytes is larger than all values together, %zu", plan.sizeBytes, sum);
  }
}

TEST("a chain of steps needs memory for two values, however long it is") {
  Program program;
  for (int v = 0; v < 101; v++) program.values.emplace_back();
  program.inputs = {0};
  for (int s = 0; s < 100; s++) {
    ProgramStep step;
    step.inputs = {s};
    step.outputs = {s + 1};
    step.operation = std::make_unique<Placeholder>(false);
    program.steps.push_back(std::move(step));
  }
  program.outputs = {100};
  const ArenaPlan plan = planArena(program, std::vector<size_t>(101, 6400), std::vector<bool>(101, true));
  CHECK(plan.sizeBytes == 2 * (6400 + kCacheLineBytes), "%zu bytes", plan.sizeBytes);
}

}  // namespace repconv::test

#include "executor/plan.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "executor/arena.h"
#include "executor/images.h"

namespace repconv {
namespace {

Result<std::vector<ValueType>> typesOf(const Program& program, const std::vector<std::vector<int64_t>>& shapes) {
  if (shapes.size() != program.values.size())
    return failure(Code::input, "plan: expects %zu shapes, got %zu", program.values.size(), shapes.size());
  std::vector<ValueType> types;
  for (size_t v = 0; v < shapes.size(); v++) {
    const ProgramValue& value = program.values[v];
    if (Status status = checkShape(shapes[v]); !status.isOk()) return status;
    if (value.layout == Layout::nhwc && shapes[v].size() != 4)
      return failure(Code::shape, "plan: an nhwc value expects 4 axes, got %s", showShape(shapes[v]).c_str());
    if (value.constant != nullptr && shapes[v] != value.shape)
      return failure(Code::shape, "plan: a constant keeps its shape %s", showShape(value.shape).c_str());
    types.push_back({value.dtype, value.layout, shapes[v]});
  }
  for (const ProgramStep& step : program.steps) {
    if (Status status = step.operation->check(step.typesOf(types)); !status.isOk()) return status;
  }
  return types;
}

// What a session has chosen, for steps to be planned with.
PlanContext choicesOf(const PlanRequest& request) {
  PlanContext context{request.kernels, request.threads};
  context.forcedConv = request.forcedConv;
  context.precision = request.precision;
  context.bfloat16 = request.bfloat16;
  return context;
}

}  // namespace

Result<std::unique_ptr<Plan>> Plan::make(const PlanRequest& request, Team& team) {
  const Program& program = request.program;
  auto plan = std::make_unique<Plan>();
  Result<std::vector<ValueType>> types = typesOf(program, request.shapes);
  if (!types.isOk()) return types.status();
  Result<std::vector<ValueType>> largest = typesOf(program, request.largest);
  if (!largest.isOk()) return largest.status();
  plan->types_ = std::move(types.value());
  Result<std::vector<Image>> images = layOutImages(program, plan->types_, largest.value(), choicesOf(request));
  if (!images.isOk()) return images.status();
  std::vector<size_t> valueBytes;
  for (size_t v = 0; v < plan->types_.size(); v++) {
    valueBytes.push_back(plan->types_[v].layout == Layout::nhwc ? images.value()[v].sizeBytes()
                                                                : plan->sizeBytes(static_cast<int>(v)));
  }
  const Values whole{plan->types_, std::move(images.value())};
  plan->parts_ = cutIntoParts(program, whole.types, valueBytes, request.threads, request.partBytes);
  const Values part = plan->cut(whole, valueBytes);
  if (Status status = plan->planSteps(request, whole, part, largest.value(), team); !status.isOk()) return status;

  for (size_t s = plan->steps_.size(); s-- > 1;) {
    const Step& step = plan->steps_[s];
    plan->steps_[s - 1].following = step.task->packedWeights != nullptr ? step.task->packedWeights : step.following;
  }
  // Each thread has what its part makes anew, and scratch memory; when all parts are done, the same memory is scratch
  // of the steps behind.
  std::vector<bool> isAnew(valueBytes.size()), isWhole(valueBytes.size());
  for (size_t v = 0; v < valueBytes.size(); v++) (plan->parts_.share(v) == Share::anew ? isAnew : isWhole)[v] = true;
  const ArenaPlan ofPart = planArena(program, valueBytes, isAnew), arena = planArena(program, valueBytes, isWhole);
  const size_t members = static_cast<size_t>(std::max(1, request.threads));
  size_t scratchBytes = 0, partScratchBytes = 0;
  for (size_t s = 0; s < plan->steps_.size(); s++) {
    const Step& step = plan->steps_[s];
    plan->mostPointers_ = std::max({plan->mostPointers_, step.inputs.size(), step.outputs.size()});
    const bool isPart = s < plan->parts_.steps;
    size_t& most = isPart ? partScratchBytes : scratchBytes;
    most = std::max(most, step.task->sharedScratchBytes + (isPart ? 1 : members) * step.task->memberScratchBytes);
  }
  plan->partScratchOffset_ = ofPart.sizeBytes;
  plan->partBytes_ = roundUp(ofPart.sizeBytes + partScratchBytes, kCacheLineBytes);
  plan->scratchOffset_ = arena.sizeBytes;
  plan->arenaBytes_ = arena.sizeBytes + std::max(scratchBytes, plan->parts_.steps > 0 ? members * plan->partBytes_ : 0);
  plan->offsets_ = arena.offsets;
  plan->placements_ = arena.placements;
  for (Placement placement : ofPart.placements) {
    placement.offset += arena.sizeBytes;
    plan->offsets_[static_cast<size_t>(placement.value)] = placement.offset;
    plan->placements_.push_back(placement);
  }
  return plan;
}

// The values as the steps of a part see them: one image.
Plan::Values Plan::cut(const Values& whole, std::vector<size_t>& valueBytes) {
  Values part = whole;
  imageBytes_.resize(valueBytes.size());
  for (size_t v = 0; v < valueBytes.size(); v++) {
    if (parts_.share(v) == Share::none) continue;
    part.types[v].shape[0] = part.images[v].N = 1;
    imageBytes_[v] = valueBytes[v] / parts_.count;
    if (parts_.share(v) == Share::anew) valueBytes[v] = imageBytes_[v];
  }
  return part;
}

// Each step by itself: most of it is packing weights.
Status Plan::planSteps(const PlanRequest& request, const Values& whole, const Values& part,
                       const std::vector<ValueType>& largest, Team& team) {
  const Program& program = request.program;
  steps_.resize(program.steps.size());
  std::vector<Status> statuses(program.steps.size());
  // Nothing may leave a pool thread's item, and a message would want memory.
  std::atomic<bool> isOutOfMemory{false};
  team.parallelFor(program.steps.size(), [&](size_t s, int) {
    if (request.isCancelled != nullptr && request.isCancelled->load(std::memory_order_relaxed)) return;
    try {
      statuses[s] = planStep(request, s < parts_.steps ? part : whole, largest, s);
    } catch (const std::bad_alloc&) {
      isOutOfMemory.store(true, std::memory_order_relaxed);
    }
  });
  if (isOutOfMemory.load(std::memory_order_relaxed)) return Status(Code::outOfMemory, "plan: out of memory");
  if (request.isCancelled != nullptr && request.isCancelled->load(std::memory_order_relaxed))
    return Status(Code::aborted, "plan: aborted");
  // The first in order, whoever came upon it first.
  for (Status& status : statuses) {
    if (!status.isOk()) return std::move(status);
  }
  return Status();
}

Status Plan::planStep(const PlanRequest& request, const Values& values, const std::vector<ValueType>& largest,
                      size_t s) {
  const ProgramStep& step = request.program.steps[s];
  const StepTypes stepTypes = step.typesOf(values.types), largestTypes = step.typesOf(largest);
  PlanContext context = choicesOf(request);
  if (s < parts_.steps) context.threads = 1;
  context.types = &stepTypes;
  context.largest = &largestTypes;
  for (int input : step.inputs) {
    context.inputImages.push_back(input == kNoValue ? nullptr : &values.images[static_cast<size_t>(input)]);
    context.constants.push_back(input == kNoValue ? nullptr
                                                  : request.program.values[static_cast<size_t>(input)].constant);
  }
  for (int output : step.outputs) context.outputImages.push_back(&values.images[static_cast<size_t>(output)]);
  context.packed = [&](const std::string& key, size_t sizeBytes, const std::function<void(void*)>& fill) {
    return request.packed(s, key, sizeBytes, fill);
  };
  Result<std::unique_ptr<Task>> task = step.operation->plan(context);
  if (!task.isOk()) return task.status();
  if (s < parts_.steps) task.value()->macs *= static_cast<double>(parts_.count);
  std::vector<int> inputs = step.inputs;
  inputs.resize(std::max(inputs.size(), kMostInputs), kNoValue);
  steps_[s] = {std::move(task.value()), std::move(inputs), step.outputs, nullptr};
  return Status();
}

// One run under way.
struct Plan::Run {
  const Plan& plan;
  const KernelTable& kernels;
  Team& team;
  Workspace& workspace;
  const std::atomic<bool>* isCancelled;

  using Clock = std::chrono::steady_clock;
  static double since(Clock::time_point start) {
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  }

  bool isOver() const { return isCancelled != nullptr && isCancelled->load(std::memory_order_relaxed); }

  // Step s by all workers; of an image's part, by one member that is a team of its own.
  void computeStep(size_t s, Team& workers, size_t image, size_t member) const {
    const Step& step = plan.steps_[s];
    const bool isPart = s < plan.parts_.steps;
    Workspace::Pointers& pointers = workspace.members[member];
    const auto point = [&](const std::vector<int>& values, std::vector<void*>& to) {
      to.clear();
      for (int value : values) {
        const size_t v = static_cast<size_t>(value);
        const size_t offset = value == kNoValue                     ? 0
                              : plan.parts_.share(v) == Share::anew ? member * plan.partBytes_
                                                                    : image * plan.imageBytes_[v];
        to.push_back(value == kNoValue ? nullptr : static_cast<char*>(workspace.values[v]) + offset);
      }
    };
    point(step.inputs, pointers.inputs);
    point(step.outputs, pointers.outputs);
    char* scratch = workspace.arena.as<char>() + plan.scratchOffset_ +
                    (isPart ? member * plan.partBytes_ + plan.partScratchOffset_ : 0);
    step.task->run({workers, kernels, pointers.inputs.data(), pointers.outputs.data(), scratch,
                    scratch + step.task->sharedScratchBytes, step.task->memberScratchBytes, step.following});
  }

  // The first steps, image by image.
  void computeParts(std::vector<double>* nanoseconds) const {
    const size_t steps = plan.parts_.steps;
    if (steps == 0) return;
    std::vector<std::atomic<int64_t>> spent(nanoseconds != nullptr ? steps : 0);
    const Clock::time_point begin = Clock::now();
    ThreadPool none;
    team.parallelFor(plan.parts_.count, [&](size_t image, int member) {
      Team alone(none, 1);
      for (size_t s = 0; s < steps && !isOver(); s++) {
        const Clock::time_point start = Clock::now();
        computeStep(s, alone, image, static_cast<size_t>(member));
        if (nanoseconds != nullptr) spent[s] += static_cast<int64_t>(since(start));
      }
    });
    if (nanoseconds == nullptr) return;
    // Times of members overlap: each step has its part of the time that passed.
    const double passed = since(begin);
    double sum = 1;
    for (const std::atomic<int64_t>& time : spent) sum += static_cast<double>(time);
    for (size_t s = 0; s < steps; s++) (*nanoseconds)[s] = static_cast<double>(spent[s]) / sum * passed;
  }

  void computeRest(std::vector<double>* nanoseconds) const {
    for (size_t s = plan.parts_.steps; s < plan.steps_.size() && !isOver(); s++) {
      const Clock::time_point start = Clock::now();
      computeStep(s, team, 0, 0);
      if (nanoseconds != nullptr) (*nanoseconds)[s] = since(start);
    }
  }
};

Status Plan::run(const Program& program, const KernelTable& kernels, Team& team, const void* const* inputs,
                 void* const* outputs, Workspace& workspace, const std::atomic<bool>* isCancelled,
                 std::vector<double>* nanoseconds) const {
  std::vector<void*>& memory = workspace.values;
  memory.assign(types_.size(), nullptr);
  for (size_t v = 0; v < types_.size(); v++) {
    if (offsets_[v] != kOutside) memory[v] = workspace.arena.as<char>() + offsets_[v];
    if (program.values[v].constant != nullptr) memory[v] = const_cast<void*>(program.values[v].constant);
  }
  for (size_t i = 0; i < program.inputs.size(); i++)
    memory[static_cast<size_t>(program.inputs[i])] = const_cast<void*>(inputs[i]);
  for (size_t i = 0; i < program.outputs.size(); i++) memory[static_cast<size_t>(program.outputs[i])] = outputs[i];
  // Here, since nothing may fail on a pool thread.
  workspace.members.resize(static_cast<size_t>(team.capacity()));
  for (Workspace::Pointers& pointers : workspace.members) {
    pointers.inputs.reserve(mostPointers_);
    pointers.outputs.reserve(mostPointers_);
  }
  if (nanoseconds != nullptr) nanoseconds->assign(steps_.size(), 0.0);
  const Run run{*this, kernels, team, workspace, isCancelled};
  run.computeParts(nanoseconds);
  run.computeRest(nanoseconds);
  return run.isOver() ? Status(Code::aborted, "run: aborted") : Status();
}

}  // namespace repconv

#include "executor/plan.h"

#include <algorithm>
#include <chrono>

#include "executor/arena.h"

namespace repconv {
namespace {

constexpr double kMaxImageBytes = 4398046511104.0;  // 2^42

StepTypes typesOf(const ProgramStep& step, const std::vector<ValueType>& types) {
  StepTypes result;
  for (int input : step.inputs) result.inputs.push_back(input == kNoValue ? nullptr : &types[static_cast<size_t>(input)]);
  for (int output : step.outputs) result.outputs.push_back(&types[static_cast<size_t>(output)]);
  return result;
}

Result<std::vector<ValueType>> typesOf(const Program& program, const std::vector<std::vector<int64_t>>& shapes) {
  if (shapes.size() != program.values.size()) return failure(Code::input, "plan: expects %zu shapes, got %zu", program.values.size(), shapes.size());
  std::vector<ValueType> types;
  for (size_t v = 0; v < shapes.size(); v++) {
    const ProgramValue& value = program.values[v];
    if (Status status = checkShape(shapes[v]); !status.isOk()) return status;
    if (value.layout == Layout::nhwc && shapes[v].size() != 4) return failure(Code::shape, "plan: an nhwc value expects 4 axes, got %s", showShape(shapes[v]).c_str());
    if (value.constant != nullptr && shapes[v] != value.shape) return failure(Code::shape, "plan: a constant keeps its shape %s", showShape(value.shape).c_str());
    types.push_back({value.dtype, value.layout, shapes[v]});
  }
  for (const ProgramStep& step : program.steps) {
    if (Status status = step.operation->check(typesOf(step, types)); !status.isOk()) return status;
  }
  return types;
}

// Where every image lies: the border is what its readers want, and channels stay unrounded where maker and readers all agree.
Result<std::vector<Image>> layOutImages(const Program& program, const std::vector<ValueType>& types) {
  std::vector<Border> borders(types.size());
  std::vector<bool> isTight(types.size());
  for (const ProgramStep& step : program.steps) {
    for (int output : step.outputs) isTight[static_cast<size_t>(output)] = step.operation->producesTight();
  }
  for (const ProgramStep& step : program.steps) {
    const StepTypes stepTypes = typesOf(step, types);
    for (size_t i = 0; i < step.inputs.size(); i++) {
      if (step.inputs[i] == kNoValue) continue;
      const size_t value = static_cast<size_t>(step.inputs[i]);
      borders[value].include(step.operation->border(stepTypes, i));
      isTight[value] = isTight[value] && step.operation->acceptsTight(i);
    }
  }
  std::vector<Image> images(types.size());
  for (size_t v = 0; v < types.size(); v++) {
    if (types[v].layout != Layout::nhwc) continue;
    const std::vector<int64_t>& shape = types[v].shape;
    const double pixels = static_cast<double>(shape[2] + borders[v].top + borders[v].bottom) * static_cast<double>(shape[3] + borders[v].left + borders[v].right);
    const double bytes = 4.0 * static_cast<double>(shape[0]) * (static_cast<double>(shape[1]) + kChannelBlock) * pixels;
    if (bytes > kMaxImageBytes) return failure(Code::outOfMemory, "plan: an image of %s with its border is too large", showShape(shape).c_str());
    images[v] = layOut(types[v], borders[v], isTight[v]);
  }
  return images;
}

}  // namespace

Result<std::unique_ptr<Plan>> Plan::make(const PlanRequest& request) {
  const Program& program = request.program;
  auto plan = std::make_unique<Plan>();
  Result<std::vector<ValueType>> types = typesOf(program, request.shapes);
  if (!types.isOk()) return types.status();
  Result<std::vector<ValueType>> largest = typesOf(program, request.largest);
  if (!largest.isOk()) return largest.status();
  plan->types_ = std::move(types.value());
  Result<std::vector<Image>> images = layOutImages(program, plan->types_);
  if (!images.isOk()) return images.status();
  plan->images_ = std::move(images.value());

  std::vector<size_t> valueBytes;
  for (size_t v = 0; v < plan->types_.size(); v++) {
    valueBytes.push_back(plan->types_[v].layout == Layout::nhwc ? plan->images_[v].sizeBytes() : plan->sizeBytes(static_cast<int>(v)));
  }
  // As the steps of a part see it: the same images, but fewer.
  const Parts parts = cutIntoParts(program, plan->types_, valueBytes, request.threads, request.partBytes);
  std::vector<ValueType> partTypes = plan->types_;
  std::vector<Image> partImages = plan->images_;
  plan->partStrides_.resize(partTypes.size());
  for (size_t v = 0; v < partTypes.size(); v++) {
    if (parts.share(v) == Share::none) continue;
    partTypes[v].shape[0] = partImages[v].N = parts.images;
    if (parts.share(v) == Share::stretch) plan->partStrides_[v] = valueBytes[v] / parts.count;
    if (parts.share(v) == Share::anew) valueBytes[v] /= parts.count;
  }

  size_t scratchBytes = 0;
  for (size_t s = 0; s < program.steps.size(); s++) {
    if (request.isCancelled != nullptr && request.isCancelled->load(std::memory_order_relaxed)) return Status(Code::aborted, "plan: aborted");
    const ProgramStep& step = program.steps[s];
    const bool isPart = s < parts.steps;
    const std::vector<Image>& stepImages = isPart ? partImages : plan->images_;
    const StepTypes stepTypes = typesOf(step, isPart ? partTypes : plan->types_), largestTypes = typesOf(step, largest.value());
    PlanContext context{request.kernels, request.threads, &stepTypes, &largestTypes, {}, {}, {}, request.forcedConv, {}, request.precision, request.bfloat16};
    for (int input : step.inputs) {
      context.inputImages.push_back(input == kNoValue ? nullptr : &stepImages[static_cast<size_t>(input)]);
      context.constants.push_back(input == kNoValue ? nullptr : program.values[static_cast<size_t>(input)].constant);
    }
    for (int output : step.outputs) context.outputImages.push_back(&stepImages[static_cast<size_t>(output)]);
    context.packed = [&](const std::string& key, size_t sizeBytes, const std::function<void(void*)>& fill) { return request.packed(s, key, sizeBytes, fill); };
    Result<std::unique_ptr<Task>> task = step.operation->plan(context);
    if (!task.isOk()) return task.status();
    if (isPart) task.value()->macs *= static_cast<double>(parts.count);
    const size_t team = static_cast<size_t>(std::max(1, request.threads));
    scratchBytes = std::max(scratchBytes, task.value()->sharedScratchBytes + team * task.value()->memberScratchBytes);
    std::vector<int> inputs = step.inputs;
    inputs.resize(std::max(inputs.size(), kMostInputs), kNoValue);
    plan->steps_.push_back({std::move(task.value()), std::move(inputs), step.outputs});
  }

  ArenaPlan arena = planArena(program, valueBytes, parts.steps);
  plan->parts_ = parts;
  plan->offsets_ = std::move(arena.offsets);
  plan->placements_ = std::move(arena.placements);
  plan->scratchOffset_ = arena.sizeBytes;
  plan->arenaBytes_ = arena.sizeBytes + scratchBytes;
  return plan;
}

Status Plan::run(const Program& program, const KernelTable& kernels, Team& team, const void* const* inputs, void* const* outputs, Workspace& workspace,
                 const std::atomic<bool>* isCancelled, std::vector<double>* nanoseconds) const {
  char* arena = workspace.arena.as<char>();
  std::vector<void*>& memory = workspace.values;
  memory.assign(types_.size(), nullptr);
  for (size_t v = 0; v < types_.size(); v++) {
    if (offsets_[v] != kOutside) memory[v] = arena + offsets_[v];
    if (program.values[v].constant != nullptr) memory[v] = const_cast<void*>(program.values[v].constant);
  }
  for (size_t i = 0; i < program.inputs.size(); i++) memory[static_cast<size_t>(program.inputs[i])] = const_cast<void*>(inputs[i]);
  for (size_t i = 0; i < program.outputs.size(); i++) memory[static_cast<size_t>(program.outputs[i])] = outputs[i];
  if (nanoseconds != nullptr) nanoseconds->assign(steps_.size(), 0.0);
  const auto runStep = [&](size_t s, size_t part) -> Status {
    if (isCancelled != nullptr && isCancelled->load(std::memory_order_relaxed)) return Status(Code::aborted, "run: aborted");
    const Step& step = steps_[s];
    const auto pointers = [&](const std::vector<int>& values, std::vector<void*>* to) {
      to->clear();
      for (int value : values) {
        const size_t v = static_cast<size_t>(value);
        to->push_back(value == kNoValue ? nullptr : static_cast<char*>(memory[v]) + part * partStrides_[v]);
      }
    };
    pointers(step.inputs, &workspace.inputs);
    pointers(step.outputs, &workspace.outputs);
    char* scratch = arena + scratchOffset_;
    const RunContext context{team, kernels, workspace.inputs.data(), workspace.outputs.data(), scratch, scratch + step.task->sharedScratchBytes, step.task->memberScratchBytes};
    const auto start = nanoseconds != nullptr ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    step.task->run(context);
    if (nanoseconds != nullptr) (*nanoseconds)[s] += std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    return Status();
  };
  for (size_t part = 0; part < parts_.count; part++) {
    for (size_t s = 0; s < parts_.steps; s++) {
      if (Status status = runStep(s, part); !status.isOk()) return status;
    }
  }
  for (size_t s = parts_.steps; s < steps_.size(); s++) {
    if (Status status = runStep(s, 0); !status.isOk()) return status;
  }
  return Status();
}

}  // namespace repconv

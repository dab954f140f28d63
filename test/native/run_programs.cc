// Two ways to run a described program that must agree bit for bit: a session with its arena, and every value in guarded
// memory of its own.
#include <algorithm>
#include <cstring>

#include "executor/images.h"
#include "guarded.h"
#include "programs.h"

namespace repconv::test {

namespace {

size_t sizeOf(const std::vector<int64_t>& shape) {
  size_t size = 1;
  for (int64_t extent : shape) size *= static_cast<size_t>(extent);
  return size;
}

}  // namespace

Result<Outputs> runSession(const Description& description, const Way& way,
                           const std::vector<std::vector<float>>& inputs) {
  Result<Program> program = description.read();
  if (!program.isOk()) return program.status();
  Result<std::shared_ptr<Session>> session = Session::make(
      std::move(program.value()), {way.isa, way.threads, way.conv, way.precision, way.bfloat16, way.partBytes});
  if (!session.isOk()) return session.status();
  Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(description.shapes(), description.shapes());
  if (!plan.isOk()) return plan.status();
  if (Status status = session.value()->keepConstants(Session::Keep::used); !status.isOk()) return status;
  ThreadPool pool;
  if (Status status = pool.ensureThreads(way.threads); !status.isOk()) return status;
  std::vector<std::vector<unsigned char>> memory;
  for (size_t i = 0; i < inputs.size(); i++) memory.push_back(memoryOf(description, i, inputs[i]));
  std::vector<const void*> from;
  for (const std::vector<unsigned char>& input : memory) from.push_back(input.data());
  Outputs outputs;
  for (int output : description.outputs)
    outputs.emplace_back(sizeOf(description.values[static_cast<size_t>(output)].shape), -1.0f);
  std::vector<void*> to;
  for (std::vector<float>& output : outputs) to.push_back(output.data());
  if (Status status = session.value()->run(pool, *plan.value(), from.data(), to.data(), nullptr, nullptr);
      !status.isOk())
    return status;
  return outputs;
}

namespace {

// What executor/plan.cc does, without sharing any memory.
class GuardedRun {
 public:
  GuardedRun(const Description& description, const Way& way, Side side) : d_(description), way_(way), side_(side) {}

  Result<Outputs> run(const std::vector<std::vector<float>>& inputs) {
    Result<Program> program = d_.read();
    if (!program.isOk()) return program.status();
    if (Status status = program.value().check(); !status.isOk()) return status;
    for (const DescribedValue& value : d_.values) types_.push_back({value.dtype, value.layout, value.shape});
    Result<std::vector<Image>> images = layOutImages(program.value(), types_, types_, choices());
    if (!images.isOk()) return images.status();
    images_ = std::move(images.value());
    placeValues(program.value(), inputs);
    ThreadPool pool;
    if (Status status = pool.ensureThreads(way_.threads); !status.isOk()) return status;
    for (size_t s = 0; s < program.value().steps.size(); s++) {
      note("step %zu, %s, of %.400s", s, program.value().steps[s].name.c_str(), d_.show().c_str());
      if (Status status = runStep(program.value(), s, pool); !status.isOk()) return status;
    }
    Outputs outputs;
    for (int output : d_.outputs) {
      const float* data = static_cast<const float*>(memory_[static_cast<size_t>(output)]);
      outputs.emplace_back(data, data + sizeOf(d_.values[static_cast<size_t>(output)].shape));
    }
    return outputs;
  }

 private:
  PlanContext choices() const {
    PlanContext context{kernelTable(way_.isa), way_.threads};
    context.forcedConv = way_.conv;
    context.precision = way_.precision;
    context.bfloat16 = way_.bfloat16;
    return context;
  }

  void* place(size_t bytes) {
    // Not zero, and not a number anyone would take for a result.
    places_.emplace_back(bytes, side_, [](size_t) { return static_cast<unsigned char>(0xcd); });
    return places_.back().data();
  }

  void placeValues(const Program& program, const std::vector<std::vector<float>>& inputs) {
    std::vector<bool> isOutside(types_.size());
    for (const std::vector<int>* list : {&program.inputs, &program.outputs}) {
      for (int value : *list) isOutside[static_cast<size_t>(value)] = true;
    }
    // A value that no step makes has no memory: its shape may be anything.
    std::vector<bool> isMade = isOutside;
    for (const ProgramStep& step : program.steps) {
      for (int output : step.outputs) isMade[static_cast<size_t>(output)] = true;
    }
    for (size_t v = 0; v < types_.size(); v++) {
      if (!isMade[v] && program.values[v].constant == nullptr) {
        memory_.push_back(nullptr);
        continue;
      }
      const size_t bytes = types_[v].layout == Layout::nhwc ? images_[v].sizeBytes()
                                                            : sizeOf(types_[v].shape) * elementBytes(types_[v].dtype);
      const bool isConstant = program.values[v].constant != nullptr;
      // The engine promises its own values a cache line more.
      memory_.push_back(place(isOutside[v] || isConstant ? bytes : roundUp(bytes, kCacheLineBytes) + kCacheLineBytes));
      if (isConstant) std::memcpy(memory_[v], program.values[v].constant, bytes);
    }
    for (size_t i = 0; i < inputs.size(); i++) {
      const std::vector<unsigned char> input = memoryOf(d_, i, inputs[i]);
      if (!input.empty()) std::memcpy(memory_[static_cast<size_t>(program.inputs[i])], input.data(), input.size());
    }
  }

  Status runStep(const Program& program, size_t index, ThreadPool& pool) {
    const ProgramStep& step = program.steps[index];
    const StepTypes types = step.typesOf(types_);
    if (Status status = step.operation->check(types); !status.isOk()) return status;
    PlanContext context = choices();
    context.types = context.largest = &types;
    std::vector<void*> inputs, outputs;
    for (int input : step.inputs) {
      context.inputImages.push_back(input == kNoValue ? nullptr : &images_[static_cast<size_t>(input)]);
      const bool isConstant = input != kNoValue && program.values[static_cast<size_t>(input)].constant != nullptr;
      inputs.push_back(input == kNoValue ? nullptr : memory_[static_cast<size_t>(input)]);
      context.constants.push_back(isConstant ? inputs.back() : nullptr);
    }
    for (int output : step.outputs) {
      context.outputImages.push_back(&images_[static_cast<size_t>(output)]);
      outputs.push_back(memory_[static_cast<size_t>(output)]);
    }
    context.packed = [this](const std::string&, size_t sizeBytes,
                            const std::function<void(void*)>& fill) -> Result<const void*> {
      void* memory = place(sizeBytes);
      fill(memory);
      return static_cast<const void*>(memory);
    };
    Result<std::unique_ptr<Task>> task = step.operation->plan(context);
    if (!task.isOk()) return task.status();
    char* shared = static_cast<char*>(place(task.value()->sharedScratchBytes));
    char* members = static_cast<char*>(place(static_cast<size_t>(way_.threads) * task.value()->memberScratchBytes));
    inputs.resize(std::max(inputs.size(), kMostInputs), nullptr);
    Team team(pool, way_.threads);
    task.value()->run(
        {team, context.kernels, inputs.data(), outputs.data(), shared, members, task.value()->memberScratchBytes});
    return Status();
  }

  const Description& d_;
  const Way& way_;
  const Side side_;
  std::vector<ValueType> types_;
  std::vector<Image> images_;
  std::vector<void*> memory_;
  std::vector<Guarded<unsigned char>> places_;
};

}  // namespace

Result<Outputs> runGuarded(const Description& description, const Way& way,
                           const std::vector<std::vector<float>>& inputs, bool atEnd) {
  return GuardedRun(description, way, atEnd ? Side::end : Side::begin).run(inputs);
}

}  // namespace repconv::test

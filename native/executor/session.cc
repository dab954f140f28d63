#include "executor/session.h"

#include <cstring>

namespace repconv {

Result<std::shared_ptr<Session>> Session::make(Program program, const SessionOptions& options) {
  if (Status status = program.check(); !status.isOk()) return status;
  return std::shared_ptr<Session>(new Session(std::move(program), options));
}

Result<std::shared_ptr<const Plan>> Session::prepare(const std::vector<std::vector<int64_t>>& shapes,
                                                     const std::vector<std::vector<int64_t>>& largest,
                                                     const std::atomic<bool>* isCancelled, ThreadPool* pool) {
  const auto packed = [this](size_t step, const std::string& key, size_t sizeBytes,
                             const std::function<void(void*)>& fill) -> Result<const void*> {
    Packed& constant = packedAt(std::to_string(step) + " " + key);
    std::lock_guard<std::mutex> packing(constant.packing);
    if (constant.block) return constant.block.as<const void>();
    Block block = Block::allocate(sizeBytes);
    if (!block) return failure(Code::outOfMemory, "plan: no memory for %zu bytes of packed constants", sizeBytes);
    fill(block.as<void>());
    constant.block = std::move(block);
    std::lock_guard<std::mutex> lock(mutex_);
    packedBytes_ += constant.block.sizeBytes();
    return constant.block.as<const void>();
  };
  ThreadPool none;
  // A step alone is planned here: no thread is woken for it.
  Team team(pool != nullptr ? *pool : none, pool != nullptr && program_.steps.size() > 1 ? options_.threads : 1);
  const PlanRequest request{program_,           kernels_,          options_.threads, options_.conv, options_.partBytes,
                            options_.precision, options_.bfloat16, shapes,           largest,       packed,
                            isCancelled};
  Result<std::unique_ptr<Plan>> plan = Plan::make(request, team);
  if (!plan.isOk()) return plan.status();
  return std::shared_ptr<const Plan>(std::move(plan.value()));
}

Session::Packed& Session::packedAt(const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  return packed_[name];
}

Status Session::keepConstants(Keep which) {
  std::vector<bool> isKept(program_.values.size(), which != Keep::used);
  for (const ProgramStep& step : program_.steps) {
    for (size_t i = 0; i < step.inputs.size(); i++) {
      if (step.inputs[i] != kNoValue && !step.operation->packs(i)) isKept[static_cast<size_t>(step.inputs[i])] = true;
    }
  }
  const auto stays = [&](size_t v) {
    return program_.values[v].constant == nullptr || (which == Keep::shared && program_.values[v].isPrivate);
  };
  const auto isOwn = [this](size_t v) { return v < constants_.size() && constants_[v]; };
  // All copies before the first change: without memory for one, everything stays as it was.
  std::vector<Block> copies(program_.values.size());
  for (size_t v = 0; v < program_.values.size(); v++) {
    const ProgramValue& value = program_.values[v];
    if (stays(v) || !isKept[v] || isOwn(v)) continue;
    size_t bytes = elementBytes(value.dtype);
    for (int64_t extent : value.shape) bytes *= static_cast<size_t>(extent);
    copies[v] = Block::allocate(bytes);
    if (!copies[v]) return failure(Code::outOfMemory, "session: no memory for %zu bytes of constants", bytes);
    std::memcpy(copies[v].as<void>(), value.constant, bytes);
  }
  static const double nothing = 0;
  size_t bytesKept = 0;
  for (size_t v = 0; v < program_.values.size(); v++) {
    ProgramValue& value = program_.values[v];
    if (stays(v)) continue;
    if (isKept[v] && isOwn(v)) copies[v] = std::move(constants_[v]);
    value.constant = copies[v] ? copies[v].as<void>() : &nothing;
    bytesKept += copies[v].sizeBytes();
  }
  constants_ = std::move(copies);
  std::lock_guard<std::mutex> lock(mutex_);
  constantBytes_ = bytesKept;
  return Status();
}

Status Session::run(ThreadPool& pool, const Plan& plan, const void* const* inputs, void* const* outputs,
                    const std::atomic<bool>* isCancelled, std::vector<double>* nanoseconds) {
  std::unique_ptr<Workspace> workspace;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      workspace = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (workspace == nullptr) workspace = std::make_unique<Workspace>();
  workspace->arena = arenas_.take(plan.arenaBytes());
  if (!workspace->arena)
    return failure(Code::outOfMemory, "run: no memory for an arena of %zu bytes", plan.arenaBytes());
  // Goes back to the pool also where the run finds no memory.
  struct Lease {
    BlockPool& arenas;
    Block& arena;
    ~Lease() { arenas.give(std::move(arena)); }
  };
  Status status;
  {
    const Lease lease{arenas_, workspace->arena};
    Team team(pool, options_.threads);
    status = plan.run(program_, kernels_, team, inputs, outputs, *workspace, isCancelled, nanoseconds);
  }
  std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(workspace));
  return status;
}

Session::Memory Session::memory() {
  std::lock_guard<std::mutex> lock(mutex_);
  return {packedBytes_, constantBytes_, arenas_.sizeBytes(), staging_.sizeBytes()};
}

void Session::trim(size_t arenaBytes, size_t stagingBytes) {
  arenas_.trim(arenaBytes);
  staging_.trim(stagingBytes);
}

}  // namespace repconv

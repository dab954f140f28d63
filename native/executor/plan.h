// A program planned for one set of shapes: tasks with their algorithms, and one arena in which every value that lives
// only inside has its place.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "executor/arena.h"
#include "executor/parts.h"
#include "executor/program.h"

namespace repconv {

// What a plan is made from, and what outlives it: packed constants and the choices of the session.
struct PlanRequest {
  const Program& program;
  const KernelTable& kernels;
  int threads;
  std::string forcedConv;
  size_t partBytes;
  Precision precision;
  const Bfloat16Kernels* bfloat16;
  // Shapes of all values; `largest` with the session's largest batch.
  const std::vector<std::vector<int64_t>>& shapes;
  const std::vector<std::vector<int64_t>>& largest;
  // Called by several threads at once.
  std::function<Result<const void*>(size_t step, const std::string& key, size_t sizeBytes,
                                    const std::function<void(void*)>& fill)>
      packed;
  // Looked at between steps (null: never).
  const std::atomic<bool>* isCancelled = nullptr;
};

// What one run at a time needs; kept and used again, so that a run allocates nothing.
struct Workspace {
  // The memory of one step, as a member of the team computes it.
  struct Pointers {
    std::vector<void*> inputs, outputs;
  };
  Block arena;
  std::vector<void*> values;
  std::vector<Pointers> members;
};

class Plan {
 public:
  struct Step {
    std::unique_ptr<Task> task;
    std::vector<int> inputs, outputs;
    const float* following = nullptr;  // what the next step that has weights reads first of them
  };

  // The team plans steps side by side.
  static Result<std::unique_ptr<Plan>> make(const PlanRequest& request, Team& team);

  size_t arenaBytes() const { return arenaBytes_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Placement>& placements() const { return placements_; }
  const Parts& parts() const { return parts_; }
  const ValueType& type(int value) const { return types_[static_cast<size_t>(value)]; }
  size_t sizeBytes(int value) const {
    return static_cast<size_t>(type(value).size()) * elementBytes(type(value).dtype);
  }

  // Computes. `inputs` and `outputs` are the memory of the program's inputs and outputs; the workspace's arena has at
  // least arenaBytes(). Between steps `isCancelled` is looked at (null: never). `nanoseconds`, if given, receives the
  // time of each step; those that run image by image share the time that passed for all.
  Status run(const Program& program, const KernelTable& kernels, Team& team, const void* const* inputs,
             void* const* outputs, Workspace& workspace, const std::atomic<bool>* isCancelled,
             std::vector<double>* nanoseconds) const;

 private:
  // What a step knows of the values: of the whole batch, or of one part of it.
  struct Values {
    std::vector<ValueType> types;
    std::vector<Image> images;
  };
  struct Run;
  Values cut(const Values& whole, std::vector<size_t>& valueBytes);
  Status planSteps(const PlanRequest& request, const Values& whole, const Values& part,
                   const std::vector<ValueType>& largest, Team& team);
  Status planStep(const PlanRequest& request, const Values& values, const std::vector<ValueType>& largest, size_t s);

  std::vector<ValueType> types_;
  std::vector<Step> steps_;
  Parts parts_;
  std::vector<size_t> offsets_;  // in the arena
  std::vector<Placement> placements_;
  // What parts have: images of so many bytes, and so much memory for each thread, its scratch at the end.
  std::vector<size_t> imageBytes_;
  size_t partBytes_ = 0, partScratchOffset_ = 0;
  size_t mostPointers_ = 0;  // inputs or outputs of a step
  size_t arenaBytes_ = 0;
  size_t scratchOffset_ = 0;
};

}  // namespace repconv

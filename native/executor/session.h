// A program that can be run: its packed constants, its plans, and the workspaces of its runs.
//
// Plans may be made on several threads at once, and so may runs be; the constants may change only while neither is
// under way.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/block_pool.h"
#include "executor/plan.h"

namespace repconv {

struct SessionOptions {
  Isa isa = Isa::scalar;
  int threads = 1;
  std::string conv;  // a convolution algorithm to force wherever it fits
  Precision precision = Precision::float32;
  const Bfloat16Kernels* bfloat16 = nullptr;  // of any precision but float32
  size_t partBytes =
      mostWholeBytes();  // first steps that read and write more for a batch run for parts of it (executor/parts.h)
};

class Session {
 public:
  // The program's constants are read where they lie until keepConstants.
  static Result<std::shared_ptr<Session>> make(Program program, const SessionOptions& options);

  const Program& program() const { return program_; }
  const SessionOptions& options() const { return options_; }
  const KernelTable& kernels() const { return kernels_; }

  // A plan for these shapes, with algorithms as for `largest`. Between steps `isCancelled` is looked at (null: never).
  // Threads of `pool` that are idle help (null: none).
  Result<std::shared_ptr<const Plan>> prepare(const std::vector<std::vector<int64_t>>& shapes,
                                              const std::vector<std::vector<int64_t>>& largest,
                                              const std::atomic<bool>* isCancelled = nullptr,
                                              ThreadPool* pool = nullptr);

  // Keeps copies of constants, and reads nothing else outside from now on; a later call lets go of what it does not
  // keep.
  //   all      what plans may read that are made later
  //   shared   the same, but private ones stay where they are: until a plan is made
  //   used     what steps read while they run
  enum class Keep { all, shared, used };
  Status keepConstants(Keep which);

  Status run(ThreadPool& pool, const Plan& plan, const void* const* inputs, void* const* outputs,
             const std::atomic<bool>* isCancelled, std::vector<double>* nanoseconds);

  // Copies of inputs and outputs of runs that do not compute where they are called.
  BlockPool& staging() { return staging_; }
  // Lets go of memory that nobody uses and that only larger plans than these would need.
  void trim(size_t arenaBytes, size_t stagingBytes);

  struct Memory {
    size_t packedBytes = 0, constantBytes = 0, arenaBytes = 0, stagingBytes = 0;
    size_t totalBytes() const { return packedBytes + constantBytes + arenaBytes + stagingBytes; }
  };
  Memory memory();

 private:
  // Made by the first plan that wants it, while the others that do wait.
  struct Packed {
    std::mutex packing;
    Block block;
  };
  Packed& packedAt(const std::string& name);

  Session(Program program, const SessionOptions& options)
      : program_(std::move(program)),
        options_(options),
        kernels_(kernelTable(options.isa)),
        arenas_(kMaxTeam + 1),
        staging_(2 * static_cast<size_t>(options.threads)) {
    idle_.reserve(kMaxTeam + 1);
  }

  Program program_;
  SessionOptions options_;
  const KernelTable& kernels_;
  std::vector<Block> constants_;
  // Runs at once are at most the threads of the pool and the one that calls runSync: so are arenas.
  BlockPool arenas_;
  // In a closed loop of any number of callers one or two blocks are idle at a time; after a burst, more than these are
  // freed.
  BlockPool staging_;
  std::mutex mutex_;  // of what follows
  std::map<std::string, Packed> packed_;
  std::vector<std::unique_ptr<Workspace>> idle_;
  size_t packedBytes_ = 0, constantBytes_ = 0;
};

}  // namespace repconv

// A program that can be run: its packed constants, its plans, and the workspaces of its runs.
//
// Plans may be made on several threads at once, and so may runs be; the constants may change only while neither is under way.
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
  bool runsOnce = false;  // the program is run once: packing weights counts too
  Precision precision = Precision::float32;
  const Bfloat16Kernels* bfloat16 = nullptr;  // of any precision but float32
};

class Session {
 public:
  // The program's constants are read where they lie until keepConstants.
  static Result<std::shared_ptr<Session>> make(Program program, const SessionOptions& options);

  const Program& program() const { return program_; }
  const SessionOptions& options() const { return options_; }
  const KernelTable& kernels() const { return kernels_; }

  // A plan for these shapes, with algorithms as for `largest`. Between steps `isCancelled` is looked at (null: never).
  Result<std::shared_ptr<const Plan>> prepare(const std::vector<std::vector<int64_t>>& shapes, const std::vector<std::vector<int64_t>>& largest,
                                              const std::atomic<bool>* isCancelled = nullptr);

  // From now on nothing outside is read: keeps copies of the constants that steps read while they run, or of all where more plans will be made.
  // A second call lets go of what it does not keep.
  Status keepConstants(bool keepAll);

  Status run(ThreadPool& pool, const Plan& plan, const void* const* inputs, void* const* outputs, const std::atomic<bool>* isCancelled,
             std::vector<double>* nanoseconds);

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
  Session(Program program, const SessionOptions& options) : program_(std::move(program)), options_(options), kernels_(kernelTable(options.isa)), arenas_(kMaxTeam + 1), staging_(2 * static_cast<size_t>(options.threads)) {
    idle_.reserve(kMaxTeam + 1);
  }

  Program program_;
  SessionOptions options_;
  const KernelTable& kernels_;
  std::vector<Block> constants_;
  std::mutex packing_;  // of packed_: what two plans want is packed once
  std::map<std::string, Block> packed_;
  // Runs at once are at most the threads of the pool and the one that calls runSync: so are arenas.
  BlockPool arenas_;
  // In a closed loop of any number of callers one or two blocks are idle at a time; after a burst, more than these are freed.
  BlockPool staging_;
  std::mutex mutex_;  // of what follows
  std::vector<std::unique_ptr<Workspace>> idle_;
  size_t packedBytes_ = 0, constantBytes_ = 0;
};

}  // namespace repconv

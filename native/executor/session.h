// A program that can be run: its packed constants, its plans, and the workspaces of its runs.
//
// Plans are made on one thread (the one that owns the session); runs may be on any number at once.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

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

  // A plan for these shapes, with algorithms as for `largest`.
  Result<std::shared_ptr<const Plan>> prepare(const std::vector<std::vector<int64_t>>& shapes, const std::vector<std::vector<int64_t>>& largest);

  // From now on nothing outside is read: keeps copies of the constants that steps read while they run, or of all where more plans will be made.
  // A second call lets go of what it does not keep.
  Status keepConstants(bool keepAll);

  Status run(ThreadPool& pool, const Plan& plan, const void* const* inputs, void* const* outputs, const std::atomic<bool>* isCancelled,
             std::vector<double>* nanoseconds);

  struct Memory {
    size_t packedBytes, constantBytes, arenaBytes;
  };
  Memory memory();

 private:
  Session(Program program, const SessionOptions& options) : program_(std::move(program)), options_(options), kernels_(kernelTable(options.isa)) {}

  Program program_;
  SessionOptions options_;
  const KernelTable& kernels_;
  std::map<std::string, Block> packed_;
  std::vector<Block> constants_;
  std::mutex mutex_;  // of what follows
  std::vector<std::unique_ptr<Workspace>> idle_;
  size_t packedBytes_ = 0, constantBytes_ = 0, arenaBytes_ = 0;
};

}  // namespace repconv

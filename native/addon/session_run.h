// One run of a session on the pool, between the typed arrays of JavaScript and a block of memory of its own.
#pragma once

#include "addon/environment.h"
#include "executor/session.h"

namespace repconv {

// The memory of typed arrays, each of which must have the size of its value.
Status readArrays(Napi::Value value, const char* what, const Plan& plan, const std::vector<int>& values,
                  std::vector<void*>* memory);

// Inputs and outputs; no output may share memory with any of the others.
Status readMemory(Napi::Value inputs, Napi::Value outputs, const Plan& plan, const Program& program,
                  std::vector<void*>* from, std::vector<void*>* to);

// Where the nanoseconds of each step go: the memory of a Float64Array with a number for each; null where it is anything
// else, and nobody asks.
double* timesOf(Napi::Value value, const Plan& plan);

// The size of the block of a run.
size_t stagedBytes(const Plan& plan, const Program& program);

class SessionRun : public AsyncRun {
 public:
  SessionRun(std::shared_ptr<Session> session, std::shared_ptr<const Plan> plan);
  ~SessionRun() override;

  // Copies the inputs as they are now, and remembers where the outputs go, and the nanoseconds where somebody asks.
  Status take(Napi::Value inputs, Napi::Array outputs, Napi::Value nanoseconds);

 protected:
  Status compute(ThreadPool& pool) override;
  Result<Napi::Value> deliver(Napi::Env env) override;

 private:
  std::shared_ptr<Session> session_;
  std::shared_ptr<const Plan> plan_;
  Block staging_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
  Napi::Reference<Napi::Array> destination_;
  Napi::ObjectReference timesDestination_;
  std::vector<double> nanoseconds_;
};

}  // namespace repconv

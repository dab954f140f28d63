// The session as JavaScript holds it (lib/engine/addon.ts has the types).
#pragma once

#include <unordered_map>

#include "addon/convert.h"
#include "executor/session.h"

namespace repconv {

class SessionObject : public Napi::ObjectWrap<SessionObject> {
 public:
  static Napi::Function define(Napi::Env env);

  // new (program, { isa, threads, conv })
  explicit SessionObject(const Napi::CallbackInfo& info);
  ~SessionObject() override;

 private:
  class Preparation;

  // prepare(shapes, largest) → number of the plan
  Napi::Value prepare(const Napi::CallbackInfo& info);
  // forget(plan): frees it, and memory of runs that only it needed; runs under way keep theirs
  void forget(const Napi::CallbackInfo& info);
  // prepareAsync(shapes, largest) → a promise of prepare's number. The session must have its own constants, and keepConstants waits until it is settled
  Napi::Value prepareAsync(const Napi::CallbackInfo& info);
  // keepConstants(all)
  void keepConstants(const Napi::CallbackInfo& info);
  // runSync(plan, inputs, outputs, times?)
  void runSync(const Napi::CallbackInfo& info);
  // run(plan, inputs, outputs) → { id, promise }; the inputs are read before it returns; the outputs, which share no memory with
  // them or each other, are written when the promise settles
  Napi::Value run(const Napi::CallbackInfo& info);
  // describe(plan) → per step { label, operation, algorithm, why, macs }
  Napi::Value describe(const Napi::CallbackInfo& info);
  // arena(plan) → per value in it { value, offset, bytes, from, to }: the steps during which its place is taken
  Napi::Value arena(const Napi::CallbackInfo& info);
  // settings() → { isa, threads }: of the kernels in use, and of one run at most
  Napi::Value settings(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<const Plan> planOf(const Napi::CallbackInfo& info);
  uint32_t keep(std::shared_ptr<const Plan> plan);
  void account(Napi::Env env);

  std::shared_ptr<Session> session_;
  std::unordered_map<uint32_t, std::shared_ptr<const Plan>> plans_;
  uint32_t nextPlan_ = 0;
  int64_t accountedBytes_ = 0;
};

// execute(program, shapes, inputs, outputs, options): a program that is run once, on this thread, its constants read where they lie.
Napi::Value execute(const Napi::CallbackInfo& info);

}  // namespace repconv

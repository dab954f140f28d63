// The session as JavaScript holds it (lib/engine/addon.ts has the types).
#pragma once

#include <unordered_map>

#include "addon/convert.h"
#include "executor/session.h"

namespace repconv {

class SessionObject {
 public:
  // The class.
  static Result<Napi::Value> define(Napi::Env env);

  explicit SessionObject(Napi::Env env) : env_(env) {}
  SessionObject(const SessionObject&) = delete;
  SessionObject& operator=(const SessionObject&) = delete;
  ~SessionObject();

 private:
  class Preparation;
  class Run;

  // new (program, { isa, threads, conv })
  static Result<Napi::Value> construct(const Napi::CallbackInfo& info);
  // prepare(shapes, largest) → number of the plan
  Result<Napi::Value> prepare(const Napi::CallbackInfo& info);
  // forget(plan): frees it, and memory of runs that only it needed; runs under way keep theirs
  Result<Napi::Value> forget(const Napi::CallbackInfo& info);
  // prepareAsync(shapes, largest) → a promise of prepare's number. Before: keepConstants('all') or 'shared', and no
  // other until it is settled
  Result<Napi::Value> prepareAsync(const Napi::CallbackInfo& info);
  // keepConstants('all' | 'shared' | 'used'): Session::Keep
  Result<Napi::Value> keepConstants(const Napi::CallbackInfo& info);
  // runSync(plan, inputs, outputs, nanoseconds?): what each step takes goes into a Float64Array with one number for
  // each
  Result<Napi::Value> runSync(const Napi::CallbackInfo& info);
  // run(plan, inputs, outputs, nanoseconds?) → { id, promise }; the inputs are read before it returns; the outputs,
  // which share no memory with them or each other, and the times are written when the promise settles
  Result<Napi::Value> run(const Napi::CallbackInfo& info);
  // describe(plan), arena(plan), settings(), memory(): addon/session_reports.h
  Result<Napi::Value> describe(const Napi::CallbackInfo& info);
  Result<Napi::Value> arena(const Napi::CallbackInfo& info);
  Result<Napi::Value> settings(const Napi::CallbackInfo& info);
  Result<Napi::Value> memory(const Napi::CallbackInfo& info);
  Result<Napi::Value> dispose(const Napi::CallbackInfo& info);

  // A method as JavaScript calls it.
  template <Result<Napi::Value> (SessionObject::*function)(const Napi::CallbackInfo&)>
  static Result<Napi::Value> call(const Napi::CallbackInfo& info);
  template <Result<Napi::Value> (SessionObject::*function)(const Napi::CallbackInfo&)>
  static napi_property_descriptor method(const char* name);

  Status open(const Napi::CallbackInfo& info);
  std::shared_ptr<const Plan> planOf(const Napi::CallbackInfo& info);
  uint32_t keep(std::shared_ptr<const Plan> plan);
  void account();

  Napi::Env env_;
  std::shared_ptr<Session> session_;
  // Keeps the arrays that constants are read from, until they are the session's own or nobody reads them.
  Napi::ObjectReference program_;
  std::unordered_map<uint32_t, std::shared_ptr<const Plan>> plans_;
  uint32_t nextPlan_ = 0;
  int64_t accountedBytes_ = 0;
};

}  // namespace repconv

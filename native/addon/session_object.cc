#include "addon/session_object.h"

#include <algorithm>
#include <iterator>

#include "addon/entry.h"
#include "addon/program_reader.h"
#include "addon/session_options.h"
#include "addon/session_reports.h"
#include "addon/session_run.h"

namespace repconv {

Result<Napi::Value> SessionObject::define(Napi::Env env) {
  const napi_property_descriptor methods[] = {
      method<&SessionObject::prepare>("prepare"),   method<&SessionObject::prepareAsync>("prepareAsync"),
      method<&SessionObject::forget>("forget"),     method<&SessionObject::keepConstants>("keepConstants"),
      method<&SessionObject::runSync>("runSync"),   method<&SessionObject::run>("run"),
      method<&SessionObject::describe>("describe"), method<&SessionObject::arena>("arena"),
      method<&SessionObject::settings>("settings"), method<&SessionObject::memory>("memory"),
      method<&SessionObject::dispose>("dispose")};
  napi_value constructor = nullptr;
  if (napi_define_class(env, "Session", NAPI_AUTO_LENGTH, enter<construct>, nullptr, std::size(methods), methods,
                        &constructor) != napi_ok) {
    return failure(Code::native, "session: its class cannot be defined");
  }
  return Napi::Value(env, constructor);
}

// By hand, not by Napi::ObjectWrap: that makes its object outside of any door.
Result<Napi::Value> SessionObject::construct(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info.IsConstructCall()) return failure(Code::input, "session: expects new");
  auto object = std::make_unique<SessionObject>(env);
  if (Status status = object->open(info); !status.isOk()) return status;
  const napi_finalize collected = [](napi_env, void* data, void*) { delete static_cast<SessionObject*>(data); };
  if (napi_wrap(env, info.This(), object.get(), collected, nullptr, nullptr) != napi_ok)
    return failure(Code::native, "session: cannot be kept by its object");
  object.release();
  return info.This();
}

template <Result<Napi::Value> (SessionObject::*function)(const Napi::CallbackInfo&)>
Result<Napi::Value> SessionObject::call(const Napi::CallbackInfo& info) {
  void* object = nullptr;
  if (napi_unwrap(info.Env(), info.This(), &object) != napi_ok)
    return failure(Code::input, "session: a method is called on something else");
  return (static_cast<SessionObject*>(object)->*function)(info);
}

template <Result<Napi::Value> (SessionObject::*function)(const Napi::CallbackInfo&)>
napi_property_descriptor SessionObject::method(const char* name) {
  return {name, nullptr, enter<call<function>>, nullptr, nullptr, nullptr, napi_default, nullptr};
}

Status SessionObject::open(const Napi::CallbackInfo& info) {
  SessionOptions options;
  if (Status status = readOptions(env_, info[1], &options); !status.isOk()) return status;
  Result<Program> program = readProgram(info[0]);
  if (!program.isOk()) return program.status();
  Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), options);
  if (!session.isOk()) return session.status();
  program_ = Napi::Persistent(info[0].As<Napi::Object>());
  if (program_.IsEmpty()) return failure(Code::native, "session: the program cannot be kept");
  session_ = std::move(session.value());
  return Status();
}

// Collected, perhaps without dispose: what was told of it is taken back.
SessionObject::~SessionObject() {
  session_ = nullptr;
  account();
}

// Planning, packing included, on the pool.
class SessionObject::Preparation : public AsyncRun {
 public:
  Preparation(Napi::Object wrapper, SessionObject* object, std::vector<std::vector<int64_t>> shapes,
              std::vector<std::vector<int64_t>> largest)
      : wrapper_(Napi::Persistent(wrapper)),
        object_(object),
        session_(object->session_),
        shapes_(std::move(shapes)),
        largest_(std::move(largest)) {}

 protected:
  Status compute(ThreadPool& pool) override {
    Result<std::shared_ptr<const Plan>> plan = session_->prepare(shapes_, largest_, isCancelled(), &pool);
    if (plan.isOk()) plan_ = std::move(plan.value());
    return plan.status();
  }

  Result<Napi::Value> deliver(Napi::Env env) override {
    if (object_->session_ == nullptr) return Status(Code::disposed, "session: disposed");
    return Napi::Number::New(env, object_->keep(std::move(plan_)));
  }

 private:
  Napi::ObjectReference wrapper_;  // keeps the object alive
  SessionObject* object_;
  std::shared_ptr<Session> session_;
  std::vector<std::vector<int64_t>> shapes_, largest_;
  std::shared_ptr<const Plan> plan_;
};

Result<Napi::Value> SessionObject::prepareAsync(const Napi::CallbackInfo& info) {
  if (session_ == nullptr) return Status(Code::disposed, "session: disposed");
  std::vector<std::vector<int64_t>> shapes, largest;
  if (Status status = readShapes(info[0], &shapes); !status.isOk()) return status;
  if (Status status = readShapes(info[1], &largest); !status.isOk()) return status;
  auto preparation =
      std::make_unique<Preparation>(info.This().As<Napi::Object>(), this, std::move(shapes), std::move(largest));
  Result<Environment::Started> started =
      Environment::of(env_).start(std::move(preparation), session_->options().threads);
  if (!started.isOk()) return started.status();
  return started.value().promise;
}

Result<Napi::Value> SessionObject::prepare(const Napi::CallbackInfo& info) {
  if (session_ == nullptr) return Status(Code::disposed, "session: disposed");
  std::vector<std::vector<int64_t>> shapes, largest;
  if (Status status = readShapes(info[0], &shapes); !status.isOk()) return status;
  if (Status status = readShapes(info[1], &largest); !status.isOk()) return status;
  Result<std::shared_ptr<const Plan>> plan = session_->prepare(shapes, largest, nullptr, &Environment::of(env_).pool());
  if (!plan.isOk()) return plan.status();
  return Napi::Number::New(env_, keep(std::move(plan.value())));
}

uint32_t SessionObject::keep(std::shared_ptr<const Plan> plan) {
  plans_.emplace(nextPlan_, std::move(plan));
  account();
  return nextPlan_++;
}

std::shared_ptr<const Plan> SessionObject::planOf(const Napi::CallbackInfo& info) {
  const auto found = info[0].IsNumber() ? plans_.find(info[0].As<Napi::Number>().Uint32Value()) : plans_.end();
  return found == plans_.end() ? nullptr : found->second;
}

Result<Napi::Value> SessionObject::forget(const Napi::CallbackInfo& info) {
  if (session_ == nullptr || !info[0].IsNumber() || plans_.erase(info[0].As<Napi::Number>().Uint32Value()) == 0)
    return Status();
  size_t arenaBytes = 0, staging = 0;
  for (const auto& [id, plan] : plans_) {
    arenaBytes = std::max(arenaBytes, plan->arenaBytes());
    staging = std::max(staging, stagedBytes(*plan, session_->program()));
  }
  session_->trim(arenaBytes, staging);
  account();
  return Status();
}

Result<Napi::Value> SessionObject::keepConstants(const Napi::CallbackInfo& info) {
  if (session_ == nullptr) return Status(Code::disposed, "session: disposed");
  const std::string which = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
  if (which != "all" && which != "shared" && which != "used")
    return failure(Code::input, "keepConstants: expects all, shared or used, got %.40s", which.c_str());
  Status status = session_->keepConstants(which == "all"      ? Session::Keep::all
                                          : which == "shared" ? Session::Keep::shared
                                                              : Session::Keep::used);
  if (status.isOk() && which != "shared") program_.Reset();
  account();
  return status;
}

Result<Napi::Value> SessionObject::runSync(const Napi::CallbackInfo& info) {
  const std::shared_ptr<const Plan> plan = planOf(info);
  if (session_ == nullptr || plan == nullptr) return Status(Code::disposed, "runSync: the session or plan is disposed");
  std::vector<void*> inputs, outputs;
  if (Status status = readMemory(info[1], info[2], *plan, session_->program(), &inputs, &outputs); !status.isOk())
    return status;
  double* times = timesOf(info[3], *plan);
  std::vector<double> nanoseconds;
  Status status = session_->run(Environment::of(env_).pool(), *plan, inputs.data(), outputs.data(), nullptr,
                                times != nullptr ? &nanoseconds : nullptr);
  if (times != nullptr) std::copy(nanoseconds.begin(), nanoseconds.end(), times);
  account();
  return status;
}

// A run that gives its memory back when it is delivered.
class SessionObject::Run : public SessionRun {
 public:
  Run(Napi::Object wrapper, SessionObject* object, std::shared_ptr<const Plan> plan)
      : SessionRun(object->session_, std::move(plan)), wrapper_(Napi::Persistent(wrapper)), object_(object) {}

 protected:
  Result<Napi::Value> deliver(Napi::Env env) override {
    Result<Napi::Value> outputs = SessionRun::deliver(env);
    object_->account();
    return outputs;
  }

 private:
  Napi::ObjectReference wrapper_;  // keeps the object alive
  SessionObject* object_;
};

Result<Napi::Value> SessionObject::run(const Napi::CallbackInfo& info) {
  const std::shared_ptr<const Plan> plan = planOf(info);
  if (session_ == nullptr || plan == nullptr) return Status(Code::disposed, "run: the session or plan is disposed");
  if (!info[2].IsArray()) return failure(Code::input, "run: expects outputs");
  auto run = std::make_unique<Run>(info.This().As<Napi::Object>(), this, plan);
  if (Status status = run->take(info[1], info[2].As<Napi::Array>(), info[3]); !status.isOk()) return status;
  account();
  Napi::Object result = Napi::Object::New(env_);
  Result<Environment::Started> started = Environment::of(env_).start(std::move(run), session_->options().threads);
  if (!started.isOk()) return started.status();
  put(result, "promise", started.value().promise);
  put(result, "id", Napi::Number::New(env_, started.value().id));
  return result;
}

Result<Napi::Value> SessionObject::describe(const Napi::CallbackInfo& info) {
  const std::shared_ptr<const Plan> plan = planOf(info);
  if (session_ == nullptr || plan == nullptr)
    return Status(Code::disposed, "describe: the session or plan is disposed");
  return stepsObject(env_, *session_, *plan);
}

Result<Napi::Value> SessionObject::arena(const Napi::CallbackInfo& info) {
  const std::shared_ptr<const Plan> plan = planOf(info);
  if (plan == nullptr) return Status(Code::disposed, "arena: the session or plan is disposed");
  return arenaObject(env_, *plan);
}

Result<Napi::Value> SessionObject::settings(const Napi::CallbackInfo&) {
  if (session_ == nullptr) return Status(Code::disposed, "session: disposed");
  return settingsObject(env_, *session_);
}

Result<Napi::Value> SessionObject::memory(const Napi::CallbackInfo&) {
  return memoryObject(env_, session_ != nullptr ? session_->memory() : Session::Memory{});
}

Result<Napi::Value> SessionObject::dispose(const Napi::CallbackInfo&) {
  session_ = nullptr;
  plans_.clear();
  program_.Reset();
  account();
  return Status();
}

// What the session holds outside the JavaScript heap, told to the garbage collector. (It acts on that, but
// process.memoryUsage().external does not show it: V8 counts there what lies in buffers, and nothing else.)
void SessionObject::account() {
  const Session::Memory memory = session_ != nullptr ? session_->memory() : Session::Memory{};
  const int64_t bytes = static_cast<int64_t>(memory.totalBytes());
  int64_t all = 0;
  if (bytes != accountedBytes_ && napi_adjust_external_memory(env_, bytes - accountedBytes_, &all) == napi_ok)
    accountedBytes_ = bytes;
}

}  // namespace repconv

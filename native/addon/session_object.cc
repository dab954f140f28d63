#include "addon/session_object.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "addon/environment.h"
#include "addon/program_reader.h"
#include "ops/conv/conv.h"

namespace repconv {
namespace {

// Where JavaScript calls in: what runs out of memory there becomes an error, and never leaves as a C++ exception.
template <typename Body>
void guarded(Napi::Env env, const Body& body) {
  Status status;
  try {
    status = body();
  } catch (const std::bad_alloc&) {
    status = Status(Code::outOfMemory, "repconv: out of memory");
  }
  if (!status.isOk() && !env.IsExceptionPending()) toError(env, status).ThrowAsJavaScriptException();
}

const char* precisionName(Precision precision) {
  return precision == Precision::bfloat16 ? "bfloat16" : precision == Precision::bfloat16x3 ? "bfloat16x3" : "float32";
}

// The precision of that name, and its kernels; "fastest" is bfloat16 where there are any: the chooser still takes float32 where that is faster.
Status choosePrecision(const std::string& name, SessionOptions* options) {
  if (name.empty() || name == "float32") return Status();
  const bool isFastest = name == "fastest";
  if (!isFastest && name != "bfloat16" && name != "bfloat16x3") {
    return failure(Code::input, "session: precision expects float32, bfloat16x3, bfloat16 or fastest, got %.40s", name.c_str());
  }
  options->bfloat16 = availableBfloat16(options->isa);
  if (options->bfloat16 != nullptr) {
    options->precision = name == "bfloat16x3" ? Precision::bfloat16x3 : Precision::bfloat16;
  } else if (!isFastest) {
    const char* because = options->isa < cpuInfo().isa ? " at most, as was asked for" : cpuInfo().hasAmxBf16 ? "; it has AMX, but the operating system does not permit it" : "";
    return failure(Code::unsupported, "session: precision %s expects a processor with AMX, or AMD's with AVX512_BF16; this one (%s) computes in float32, with %s%s", name.c_str(),
                   cpuInfo().model.c_str(), isaName(options->isa), because);
  }
  return Status();
}

Status readOptions(Napi::Env env, Napi::Value value, SessionOptions* options) {
  if (!value.IsObject()) return failure(Code::input, "session: expects options");
  ObjectReader reader(value.As<Napi::Object>(), "session");
  options->isa = cpuInfo().isa;
  const std::string isa = reader.text("isa", true);
  Isa wanted = Isa::scalar;
  if (!isa.empty() && !parseIsa(isa, &wanted)) return failure(Code::input, "session: isa expects scalar, avx2 or avx512, got %.40s", isa.c_str());
  // A cap: a processor that has less uses what it has.
  if (!isa.empty() && wanted < options->isa) options->isa = wanted;
  const double threads = reader.number("threads", 0);
  if (!(threads >= 0 && threads <= kMaxTeam)) return failure(Code::input, "session: threads expects at most %d, got %g", kMaxTeam, threads);
  options->threads = threads >= 1 ? static_cast<int>(threads) : threadBudget().threads();
  if (options->threads > kMaxTeam) options->threads = kMaxTeam;
  options->conv = reader.text("conv", true);
  const std::string precision = reader.text("precision", true);
  if (!reader.isOk()) return reader.status();
  if (Status status = choosePrecision(precision, options); !status.isOk()) return status;
  if (!options->conv.empty()) {
    if (Status status = checkConvName(options->conv); !status.isOk()) return status;
  }
  return Environment::of(env).pool().ensureThreads(options->threads);
}

// The memory of typed arrays, each of which must have the size of its value.
Status readArrays(Napi::Value value, const char* what, const Plan& plan, const std::vector<int>& values, std::vector<void*>* memory) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() != values.size()) return failure(Code::input, "run: expects %zu %ss", values.size(), what);
  for (size_t i = 0; i < values.size(); i++) {
    ArrayView view;
    const bool isArray = readTypedArray(value.As<Napi::Array>().Get(static_cast<uint32_t>(i)), &view);
    const ValueType& type = plan.type(values[i]);
    if (!isArray || view.elementBytes != elementBytes(type.dtype) || view.length != static_cast<size_t>(type.size())) {
      return failure(Code::input, "run: %s %zu expects %lld elements of %s, got %zu", what, i, static_cast<long long>(type.size()), showShape(type.shape).c_str(), isArray ? view.length : 0);
    }
    memory->push_back(view.data);
  }
  return Status();
}

// Outputs are written while inputs are still to be read, or by several steps at once: none may lie in the memory of another array.
Status checkApart(const Plan& plan, const Program& program, const std::vector<void*>& inputs, const std::vector<void*>& outputs) {
  const auto overlap = [&plan](const void* a, int valueA, const void* b, int valueB) {
    const uintptr_t from = reinterpret_cast<uintptr_t>(a), other = reinterpret_cast<uintptr_t>(b);
    return from < other + plan.sizeBytes(valueB) && other < from + plan.sizeBytes(valueA);
  };
  for (size_t o = 0; o < outputs.size(); o++) {
    for (size_t i = 0; i < inputs.size(); i++) {
      if (overlap(outputs[o], program.outputs[o], inputs[i], program.inputs[i])) return failure(Code::input, "run: output %zu and input %zu share memory", o, i);
    }
    for (size_t p = 0; p < o; p++) {
      if (overlap(outputs[o], program.outputs[o], outputs[p], program.outputs[p])) return failure(Code::input, "run: outputs %zu and %zu share memory", p, o);
    }
  }
  return Status();
}

Status readMemory(Napi::Value inputs, Napi::Value outputs, const Plan& plan, const Program& program, std::vector<void*>* from, std::vector<void*>* to) {
  if (Status status = readArrays(inputs, "input", plan, program.inputs, from); !status.isOk()) return status;
  if (Status status = readArrays(outputs, "output", plan, program.outputs, to); !status.isOk()) return status;
  return checkApart(plan, program, *from, *to);
}

// Where an input or output lies in the memory of a run: on a cache line of its own.
size_t stagedBytes(const Plan& plan, int value) { return roundUp(plan.sizeBytes(value), kCacheLineBytes) + kCacheLineBytes; }

size_t stagedBytes(const Plan& plan, const Program& program) {
  size_t bytes = 0;
  for (const std::vector<int>* values : {&program.inputs, &program.outputs}) {
    for (int value : *values) bytes += stagedBytes(plan, value);
  }
  return bytes;
}

class SessionRun : public AsyncRun {
 public:
  SessionRun(Napi::Env env, std::shared_ptr<Session> session, std::shared_ptr<const Plan> plan) : AsyncRun(env), session_(std::move(session)), plan_(std::move(plan)) {}
  ~SessionRun() override {
    if (staging_) session_->staging().give(std::move(staging_));
  }

  // Copies the inputs as they are now, and remembers where the outputs go.
  Status take(Napi::Value inputs, Napi::Array outputs) {
    const Program& program = session_->program();
    std::vector<void*> from, to;
    if (Status status = readMemory(inputs, outputs, *plan_, program, &from, &to); !status.isOk()) return status;
    const size_t bytes = stagedBytes(*plan_, program);
    staging_ = session_->staging().take(bytes);
    if (!staging_) return failure(Code::outOfMemory, "run: no memory for %zu bytes of inputs and outputs", bytes);
    char* at = staging_.as<char>();
    for (size_t i = 0; i < program.inputs.size(); i++) {
      if (plan_->sizeBytes(program.inputs[i]) > 0) std::memcpy(at, from[i], plan_->sizeBytes(program.inputs[i]));
      inputs_.push_back(at);
      at += stagedBytes(*plan_, program.inputs[i]);
    }
    for (int output : program.outputs) {
      outputs_.push_back(at);
      at += stagedBytes(*plan_, output);
    }
    destination_ = Napi::Persistent(outputs);
    return Status();
  }

 protected:
  Status compute(ThreadPool& pool) override { return session_->run(pool, *plan_, inputs_.data(), outputs_.data(), isCancelled(), nullptr); }

  Napi::Value deliver(Napi::Env env) override {
    const Napi::Array outputs = destination_.Value();
    std::vector<void*> to;
    if (Status status = readArrays(outputs, "output", *plan_, session_->program().outputs, &to); !status.isOk()) {
      toError(env, status).ThrowAsJavaScriptException();
      return env.Undefined();
    }
    for (size_t i = 0; i < to.size(); i++) {
      const size_t bytes = plan_->sizeBytes(session_->program().outputs[i]);
      if (bytes > 0) std::memcpy(to[i], outputs_[i], bytes);
    }
    return outputs;
  }

 private:
  std::shared_ptr<Session> session_;
  std::shared_ptr<const Plan> plan_;
  Block staging_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
  Napi::Reference<Napi::Array> destination_;
};

}  // namespace

Napi::Function SessionObject::define(Napi::Env env) {
  return DefineClass(env, "Session",
                     {InstanceMethod<&SessionObject::prepare>("prepare"), InstanceMethod<&SessionObject::prepareAsync>("prepareAsync"), InstanceMethod<&SessionObject::forget>("forget"),
                      InstanceMethod<&SessionObject::keepConstants>("keepConstants"), InstanceMethod<&SessionObject::runSync>("runSync"),
                      InstanceMethod<&SessionObject::run>("run"), InstanceMethod<&SessionObject::describe>("describe"),
                      InstanceMethod<&SessionObject::arena>("arena"), InstanceMethod<&SessionObject::settings>("settings"), InstanceMethod<&SessionObject::memory>("memory"),
                      InstanceMethod<&SessionObject::dispose>("dispose")});
}

SessionObject::SessionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SessionObject>(info) {
  guarded(info.Env(), [&] {
    SessionOptions options;
    if (Status status = readOptions(info.Env(), info[1], &options); !status.isOk()) return status;
    Result<Program> program = readProgram(info[0]);
    if (!program.isOk()) return program.status();
    Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), options);
    if (session.isOk()) session_ = std::move(session.value());
    return session.status();
  });
}

// Collected, perhaps without dispose: what was told of it is taken back.
SessionObject::~SessionObject() {
  if (accountedBytes_ != 0) Napi::MemoryManagement::AdjustExternalMemory(Env(), -accountedBytes_);
}

// Planning, packing included, on the pool.
class SessionObject::Preparation : public AsyncRun {
 public:
  Preparation(Napi::Env env, Napi::Object wrapper, SessionObject* object, std::vector<std::vector<int64_t>> shapes, std::vector<std::vector<int64_t>> largest)
      : AsyncRun(env), wrapper_(Napi::Persistent(wrapper)), object_(object), session_(object->session_), shapes_(std::move(shapes)), largest_(std::move(largest)) {}

 protected:
  Status compute(ThreadPool&) override {
    Result<std::shared_ptr<const Plan>> plan = session_->prepare(shapes_, largest_, isCancelled());
    if (plan.isOk()) plan_ = std::move(plan.value());
    return plan.status();
  }

  Napi::Value deliver(Napi::Env env) override {
    if (object_->session_ == nullptr) {
      toError(env, Status(Code::disposed, "session: disposed")).ThrowAsJavaScriptException();
      return env.Undefined();
    }
    return Napi::Number::New(env, object_->keep(std::move(plan_)));
  }

 private:
  Napi::ObjectReference wrapper_;  // keeps the object alive
  SessionObject* object_;
  std::shared_ptr<Session> session_;
  std::vector<std::vector<int64_t>> shapes_, largest_;
  std::shared_ptr<const Plan> plan_;
};

Napi::Value SessionObject::prepareAsync(const Napi::CallbackInfo& info) {
  Napi::Value result;
  guarded(info.Env(), [&]() -> Status {
    if (session_ == nullptr) return Status(Code::disposed, "session: disposed");
    std::vector<std::vector<int64_t>> shapes, largest;
    if (Status status = readShapes(info[0], &shapes); !status.isOk()) return status;
    if (Status status = readShapes(info[1], &largest); !status.isOk()) return status;
    auto preparation = std::make_unique<Preparation>(info.Env(), info.This().As<Napi::Object>(), this, std::move(shapes), std::move(largest));
    result = preparation->promise();
    Environment::of(info.Env()).start(std::move(preparation));
    return Status();
  });
  return result;
}

Napi::Value SessionObject::prepare(const Napi::CallbackInfo& info) {
  uint32_t id = 0;
  guarded(info.Env(), [&]() -> Status {
    if (session_ == nullptr) return Status(Code::disposed, "session: disposed");
    std::vector<std::vector<int64_t>> shapes, largest;
    if (Status status = readShapes(info[0], &shapes); !status.isOk()) return status;
    if (Status status = readShapes(info[1], &largest); !status.isOk()) return status;
    Result<std::shared_ptr<const Plan>> plan = session_->prepare(shapes, largest);
    if (!plan.isOk()) return plan.status();
    id = keep(std::move(plan.value()));
    return Status();
  });
  return Napi::Number::New(info.Env(), id);
}

uint32_t SessionObject::keep(std::shared_ptr<const Plan> plan) {
  plans_.emplace(nextPlan_, std::move(plan));
  account(Env());
  return nextPlan_++;
}

std::shared_ptr<const Plan> SessionObject::planOf(const Napi::CallbackInfo& info) {
  const auto found = info[0].IsNumber() ? plans_.find(info[0].As<Napi::Number>().Uint32Value()) : plans_.end();
  return found == plans_.end() ? nullptr : found->second;
}

void SessionObject::forget(const Napi::CallbackInfo& info) {
  if (session_ == nullptr || !info[0].IsNumber() || plans_.erase(info[0].As<Napi::Number>().Uint32Value()) == 0) return;
  size_t arenaBytes = 0, staging = 0;
  for (const auto& [id, plan] : plans_) {
    arenaBytes = std::max(arenaBytes, plan->arenaBytes());
    staging = std::max(staging, stagedBytes(*plan, session_->program()));
  }
  session_->trim(arenaBytes, staging);
  account(info.Env());
}

void SessionObject::keepConstants(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&]() -> Status {
    if (session_ == nullptr) return Status(Code::disposed, "session: disposed");
    Status status = session_->keepConstants(info[0].ToBoolean());
    account(info.Env());
    return status;
  });
}

void SessionObject::runSync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&]() -> Status {
    const std::shared_ptr<Session> session = session_;
    const std::shared_ptr<const Plan> plan = planOf(info);
    if (session == nullptr || plan == nullptr) return Status(Code::disposed, "runSync: the session or plan is disposed");
    std::vector<void*> inputs, outputs;
    if (Status status = readMemory(info[1], info[2], *plan, session->program(), &inputs, &outputs); !status.isOk()) return status;
    ArrayView times;
    std::vector<double> nanoseconds;
    const bool isTimed = readTypedArray(info[3], &times) && times.elementBytes == 8 && times.length == plan->steps().size();
    Status status = session->run(Environment::of(info.Env()).pool(), *plan, inputs.data(), outputs.data(), nullptr, isTimed ? &nanoseconds : nullptr);
    for (size_t i = 0; i < nanoseconds.size(); i++) static_cast<double*>(times.data)[i] = nanoseconds[i];
    account(info.Env());
    return status;
  });
}

Napi::Value SessionObject::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  guarded(env, [&]() -> Status {
    const std::shared_ptr<const Plan> plan = planOf(info);
    if (session_ == nullptr || plan == nullptr) return Status(Code::disposed, "run: the session or plan is disposed");
    if (!info[2].IsArray()) return failure(Code::input, "run: expects outputs");
    auto run = std::make_unique<SessionRun>(env, session_, plan);
    if (Status status = run->take(info[1], info[2].As<Napi::Array>()); !status.isOk()) return status;
    // Also of what runs before this one took on the pool.
    account(env);
    result.Set("promise", run->promise());
    result.Set("id", Napi::Number::New(env, Environment::of(env).start(std::move(run))));
    return Status();
  });
  return result;
}

Napi::Value SessionObject::describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array result = Napi::Array::New(env);
  const std::shared_ptr<const Plan> plan = planOf(info);
  if (session_ == nullptr || plan == nullptr) return result;
  for (size_t s = 0; s < plan->steps().size(); s++) {
    const ProgramStep& step = session_->program().steps[s];
    const Task& task = *plan->steps()[s].task;
    Napi::Object row = Napi::Object::New(env);
    row.Set("label", step.label);
    row.Set("operation", step.name);
    row.Set("algorithm", task.algorithm);
    row.Set("kernel", task.kernel[0] != '\0' ? task.kernel : session_->kernels().name);
    row.Set("why", task.why);
    row.Set("macs", task.macs);
    result.Set(static_cast<uint32_t>(s), row);
  }
  return result;
}

Napi::Value SessionObject::arena(const Napi::CallbackInfo& info) {
  Napi::Array result = Napi::Array::New(info.Env());
  const std::shared_ptr<const Plan> plan = planOf(info);
  if (plan == nullptr) return result;
  for (const Placement& placement : plan->placements()) {
    Napi::Object row = Napi::Object::New(info.Env());
    row.Set("value", placement.value);
    row.Set("offset", static_cast<double>(placement.offset));
    row.Set("bytes", static_cast<double>(placement.sizeBytes));
    row.Set("from", placement.from);
    row.Set("to", placement.to);
    result.Set(result.Length(), row);
  }
  return result;
}

Napi::Value SessionObject::settings(const Napi::CallbackInfo& info) {
  Napi::Object result = Napi::Object::New(info.Env());
  if (session_ == nullptr) return result;
  result.Set("isa", session_->kernels().name);
  result.Set("threads", session_->options().threads);
  result.Set("precision", precisionName(session_->options().precision));
  return result;
}

Napi::Value SessionObject::memory(const Napi::CallbackInfo& info) {
  Napi::Object result = Napi::Object::New(info.Env());
  const Session::Memory memory = session_ != nullptr ? session_->memory() : Session::Memory{};
  result.Set("packedBytes", static_cast<double>(memory.packedBytes));
  result.Set("constantBytes", static_cast<double>(memory.constantBytes));
  result.Set("arenaBytes", static_cast<double>(memory.arenaBytes));
  result.Set("stagingBytes", static_cast<double>(memory.stagingBytes));
  return result;
}

void SessionObject::dispose(const Napi::CallbackInfo& info) {
  session_ = nullptr;
  plans_.clear();
  account(info.Env());
}

// What the session holds outside the JavaScript heap, told to the garbage collector.
void SessionObject::account(Napi::Env env) {
  const Session::Memory memory = session_ != nullptr ? session_->memory() : Session::Memory{};
  const int64_t bytes = static_cast<int64_t>(memory.totalBytes());
  if (bytes != accountedBytes_) Napi::MemoryManagement::AdjustExternalMemory(env, bytes - accountedBytes_);
  accountedBytes_ = bytes;
}

Napi::Value execute(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&]() -> Status {
    SessionOptions options;
    if (Status status = readOptions(info.Env(), info[4], &options); !status.isOk()) return status;
    Result<Program> program = readProgram(info[0]);
    if (!program.isOk()) return program.status();
    Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), options);
    if (!session.isOk()) return session.status();
    std::vector<std::vector<int64_t>> shapes;
    if (Status status = readShapes(info[1], &shapes); !status.isOk()) return status;
    Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(shapes, shapes);
    if (!plan.isOk()) return plan.status();
    std::vector<void*> inputs, outputs;
    const Program& checked = session.value()->program();
    if (Status status = readArrays(info[2], "input", *plan.value(), checked.inputs, &inputs); !status.isOk()) return status;
    if (Status status = readArrays(info[3], "output", *plan.value(), checked.outputs, &outputs); !status.isOk()) return status;
    return session.value()->run(Environment::of(info.Env()).pool(), *plan.value(), inputs.data(), outputs.data(), nullptr, nullptr);
  });
  return info.Env().Undefined();
}

}  // namespace repconv

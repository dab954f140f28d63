#include "addon/session_run.h"

#include <algorithm>
#include <cstring>

namespace repconv {

Status readArrays(Napi::Value value, const char* what, const Plan& plan, const std::vector<int>& values,
                  std::vector<void*>* memory) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() != values.size())
    return failure(Code::input, "run: expects %zu %ss", values.size(), what);
  for (size_t i = 0; i < values.size(); i++) {
    ArrayView view;
    const bool isArray = readTypedArray(value.As<Napi::Array>().Get(static_cast<uint32_t>(i)), &view);
    const ValueType& type = plan.type(values[i]);
    if (!isArray || view.elementBytes != elementBytes(type.dtype) || view.length != static_cast<size_t>(type.size())) {
      return failure(Code::input, "run: %s %zu expects %lld elements of %s, got %zu", what, i,
                     static_cast<long long>(type.size()), showShape(type.shape).c_str(), isArray ? view.length : 0);
    }
    memory->push_back(view.data);
  }
  return Status();
}

namespace {

// Outputs are written while inputs are still to be read, or by several steps at once: none may lie in the memory of
// another array.
Status checkApart(const Plan& plan, const Program& program, const std::vector<void*>& inputs,
                  const std::vector<void*>& outputs) {
  const auto overlap = [&plan](const void* a, int valueA, const void* b, int valueB) {
    const uintptr_t from = reinterpret_cast<uintptr_t>(a), other = reinterpret_cast<uintptr_t>(b);
    return from < other + plan.sizeBytes(valueB) && other < from + plan.sizeBytes(valueA);
  };
  for (size_t o = 0; o < outputs.size(); o++) {
    for (size_t i = 0; i < inputs.size(); i++) {
      if (overlap(outputs[o], program.outputs[o], inputs[i], program.inputs[i]))
        return failure(Code::input, "run: output %zu and input %zu share memory", o, i);
    }
    for (size_t p = 0; p < o; p++) {
      if (overlap(outputs[o], program.outputs[o], outputs[p], program.outputs[p]))
        return failure(Code::input, "run: outputs %zu and %zu share memory", p, o);
    }
  }
  return Status();
}

// Where an input or output lies in the memory of a run: on a cache line of its own.
size_t stagedBytes(const Plan& plan, int value) {
  return roundUp(plan.sizeBytes(value), kCacheLineBytes) + kCacheLineBytes;
}

}  // namespace

Status readMemory(Napi::Value inputs, Napi::Value outputs, const Plan& plan, const Program& program,
                  std::vector<void*>* from, std::vector<void*>* to) {
  if (Status status = readArrays(inputs, "input", plan, program.inputs, from); !status.isOk()) return status;
  if (Status status = readArrays(outputs, "output", plan, program.outputs, to); !status.isOk()) return status;
  return checkApart(plan, program, *from, *to);
}

size_t stagedBytes(const Plan& plan, const Program& program) {
  size_t bytes = 0;
  for (const std::vector<int>* values : {&program.inputs, &program.outputs}) {
    for (int value : *values) bytes += stagedBytes(plan, value);
  }
  return bytes;
}

double* timesOf(Napi::Value value, const Plan& plan) {
  ArrayView times;
  const bool isWanted =
      readTypedArray(value, &times) && times.elementBytes == sizeof(double) && times.length == plan.steps().size();
  return isWanted ? static_cast<double*>(times.data) : nullptr;
}

SessionRun::SessionRun(std::shared_ptr<Session> session, std::shared_ptr<const Plan> plan)
    : session_(std::move(session)), plan_(std::move(plan)) {}

SessionRun::~SessionRun() {
  if (staging_) session_->staging().give(std::move(staging_));
}

Status SessionRun::take(Napi::Value inputs, Napi::Array outputs, Napi::Value nanoseconds) {
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
  if (timesOf(nanoseconds, *plan_) != nullptr) timesDestination_ = Napi::Persistent(nanoseconds.As<Napi::Object>());
  return destination_.IsEmpty() ? failure(Code::native, "run: the outputs cannot be kept") : Status();
}

Status SessionRun::compute(ThreadPool& pool) {
  return session_->run(pool, *plan_, inputs_.data(), outputs_.data(), isCancelled(),
                       timesDestination_.IsEmpty() ? nullptr : &nanoseconds_);
}

Result<Napi::Value> SessionRun::deliver(Napi::Env) {
  const Napi::Array outputs = destination_.Value();
  std::vector<void*> to;
  if (Status status = readArrays(outputs, "output", *plan_, session_->program().outputs, &to); !status.isOk())
    return status;
  for (size_t i = 0; i < to.size(); i++) {
    const size_t bytes = plan_->sizeBytes(session_->program().outputs[i]);
    if (bytes > 0) std::memcpy(to[i], outputs_[i], bytes);
  }
  double* times = timesDestination_.IsEmpty() ? nullptr : timesOf(timesDestination_.Value(), *plan_);
  if (times != nullptr) std::copy(nanoseconds_.begin(), nanoseconds_.end(), times);
  return outputs;
}

}  // namespace repconv

#include "addon/session_reports.h"

namespace repconv {
namespace {

const char* precisionName(Precision precision) {
  return precision == Precision::bfloat16 ? "bfloat16" : precision == Precision::bfloat16x3 ? "bfloat16x3" : "float32";
}

}  // namespace

Napi::Value stepsObject(Napi::Env env, const Session& session, const Plan& plan) {
  Napi::Array result = Napi::Array::New(env);
  for (size_t s = 0; s < plan.steps().size(); s++) {
    const ProgramStep& step = session.program().steps[s];
    const Task& task = *plan.steps()[s].task;
    Napi::Object costs = Napi::Object::New(env);
    for (const Estimate& estimate : task.estimates) put(costs, estimate.algorithm, estimate.cost);
    Napi::Object row = Napi::Object::New(env);
    put(row, "label", step.label);
    put(row, "operation", step.name);
    put(row, "algorithm", task.algorithm);
    put(row, "kernel", task.kernel[0] != '\0' ? task.kernel : session.kernels().name);
    put(row, "costs", costs);
    put(row, "isForced", task.isForced);
    put(row, "macs", task.macs);
    result.Set(static_cast<uint32_t>(s), row);
  }
  return result;
}

Napi::Value arenaObject(Napi::Env env, const Plan& plan) {
  Napi::Array result = Napi::Array::New(env);
  for (const Placement& placement : plan.placements()) {
    Napi::Object row = Napi::Object::New(env);
    put(row, "value", placement.value);
    put(row, "offset", static_cast<double>(placement.offset));
    put(row, "bytes", static_cast<double>(placement.sizeBytes));
    put(row, "from", placement.from);
    put(row, "to", placement.to);
    result.Set(result.Length(), row);
  }
  return result;
}

Napi::Value settingsObject(Napi::Env env, const Session& session) {
  Napi::Object result = Napi::Object::New(env);
  put(result, "isa", session.kernels().name);
  put(result, "threads", session.options().threads);
  put(result, "precision", precisionName(session.options().precision));
  return result;
}

Napi::Value memoryObject(Napi::Env env, const Session::Memory& memory) {
  Napi::Object result = Napi::Object::New(env);
  put(result, "packedBytes", static_cast<double>(memory.packedBytes));
  put(result, "constantBytes", static_cast<double>(memory.constantBytes));
  put(result, "arenaBytes", static_cast<double>(memory.arenaBytes));
  put(result, "stagingBytes", static_cast<double>(memory.stagingBytes));
  return result;
}

}  // namespace repconv

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
    for (const Estimate& estimate : task.estimates) costs.Set(estimate.algorithm, estimate.cost);
    Napi::Object row = Napi::Object::New(env);
    row.Set("label", step.label);
    row.Set("operation", step.name);
    row.Set("algorithm", task.algorithm);
    row.Set("kernel", task.kernel[0] != '\0' ? task.kernel : session.kernels().name);
    row.Set("costs", costs);
    row.Set("isForced", task.isForced);
    row.Set("macs", task.macs);
    result.Set(static_cast<uint32_t>(s), row);
  }
  return result;
}

Napi::Value arenaObject(Napi::Env env, const Plan& plan) {
  Napi::Array result = Napi::Array::New(env);
  for (const Placement& placement : plan.placements()) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("value", placement.value);
    row.Set("offset", static_cast<double>(placement.offset));
    row.Set("bytes", static_cast<double>(placement.sizeBytes));
    row.Set("from", placement.from);
    row.Set("to", placement.to);
    result.Set(result.Length(), row);
  }
  return result;
}

Napi::Value settingsObject(Napi::Env env, const Session& session) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("isa", session.kernels().name);
  result.Set("threads", session.options().threads);
  result.Set("precision", precisionName(session.options().precision));
  return result;
}

Napi::Value memoryObject(Napi::Env env, const Session::Memory& memory) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("packedBytes", static_cast<double>(memory.packedBytes));
  result.Set("constantBytes", static_cast<double>(memory.constantBytes));
  result.Set("arenaBytes", static_cast<double>(memory.arenaBytes));
  result.Set("stagingBytes", static_cast<double>(memory.stagingBytes));
  return result;
}

}  // namespace repconv

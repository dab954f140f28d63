// The addon's exports. This folder is the only one that knows JavaScript.
#include <chrono>

#include "addon/entry.h"
#include "addon/environment.h"
#include "addon/session_object.h"

namespace repconv {
namespace {

// info() → what this processor is and how much of it may be used.
Result<Napi::Value> describeMachine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CpuInfo& cpu = cpuInfo();
  const ThreadBudget budget = threadBudget();
  Napi::Object result = Napi::Object::New(env);
  result.Set("model", cpu.model);
  result.Set("isa", isaName(cpu.isa));
  const Bfloat16Kernels* bfloat16 = availableBfloat16(cpu.isa);
  result.Set("bfloat16", bfloat16 != nullptr ? bfloat16->name : "");
  result.Set("l2Bytes", static_cast<double>(cpu.l2Bytes));
  result.Set("affinity", budget.affinity);
  result.Set("quota", budget.quota);
  result.Set("threads", budget.threads());
  return result;
}

// peak(isa) → multiply-adds in registers on one thread, in floating-point operations per second: the best of several
// short stretches.
Result<Napi::Value> measurePeak(const Napi::CallbackInfo& info) {
  Isa isa = cpuInfo().isa;
  Isa wanted = isa;
  if (info[0].IsString() && parseIsa(info[0].As<Napi::String>().Utf8Value(), &wanted) && wanted < isa) isa = wanted;
  float sink[4] = {1 - 0x1p-20f, 0x1p-20f, 0, 0};
  double best = 0;
  for (int stretch = 0; stretch < 20; stretch++) {
    const auto start = std::chrono::steady_clock::now();
    const double operations = kernelTable(isa).peak(200000, sink);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (operations / seconds > best) best = operations / seconds;
  }
  return Napi::Number::New(info.Env(), best);
}

// cancel(id)
Result<Napi::Value> cancelRun(const Napi::CallbackInfo& info) {
  if (info[0].IsNumber()) Environment::of(info.Env()).cancel(info[0].As<Napi::Number>().Uint32Value());
  return Status();
}

Result<Napi::Value> init(Napi::Env env, Napi::Object exports) {
  if (Status status = Environment::make(env); !status.isOk()) return status;
  Result<Napi::Value> session = SessionObject::define(env);
  if (!session.isOk()) return session;
  exports.Set("Session", session.value());
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"execute", enter<execute>},
                   {"cancel", enter<cancelRun>},
                   {"info", enter<describeMachine>},
                   {"peak", enter<measurePeak>}};
  for (const auto& [name, function] : functions) {
    napi_value value = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value) != napi_ok)
      return failure(Code::native, "repconv: %s cannot be defined", name);
    exports.Set(name, value);
  }
  return exports;
}

}  // namespace
}  // namespace repconv

Napi::Object initAddon(Napi::Env env, Napi::Object exports) {
  repconv::answer(env, repconv::orOutOfMemory([&] { return repconv::init(env, exports); }));
  return exports;
}

NODE_API_MODULE(repconv, initAddon)

// The addon's exports. This folder is the only one that knows JavaScript.
#include "addon/entry.h"
#include "addon/environment.h"
#include "addon/execute.h"
#include "addon/machine.h"
#include "addon/session_object.h"

namespace repconv {
namespace {

// cancel(id)
Result<Napi::Value> cancelRun(const Napi::CallbackInfo& info) {
  if (info[0].IsNumber()) Environment::of(info.Env()).cancel(info[0].As<Napi::Number>().Uint32Value());
  return Status();
}

Result<Napi::Value> init(Napi::Env env, Napi::Object exports) {
  if (Status status = Environment::make(env); !status.isOk()) return status;
  Result<Napi::Value> session = SessionObject::define(env);
  if (!session.isOk()) return session;
  put(exports, "Session", session.value());
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"execute", enter<execute>},
                   {"cancel", enter<cancelRun>},
                   {"info", enter<describeMachine>},
                   {"peak", enter<measurePeak>},
                   {"peakAsync", enter<measurePeakAsync>}};
  for (const auto& [name, function] : functions) {
    napi_value value = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value) != napi_ok)
      return failure(Code::native, "repconv: %s cannot be defined", name);
    put(exports, name, value);
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

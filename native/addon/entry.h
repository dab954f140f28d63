// The door through which JavaScript calls in: what fails behind it, for want of memory too, is thrown in JavaScript,
// and no C++ exception leaves.
#pragma once

#include <new>

#include "addon/convert.h"

namespace repconv {

// What `body` returns, a Status or a Result; where it finds no memory, an error that says so.
template <typename Body>
auto orOutOfMemory(const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return outOfMemory();
  }
}

// For what JavaScript calls: the value, or nothing with the error thrown (unless something else was thrown on the way).
inline napi_value answer(napi_env environment, const Result<Napi::Value>& result) {
  const Napi::Env env(environment);
  if (result.isOk()) return result.value();
  if (!env.IsExceptionPending()) toError(env, result.status()).ThrowAsJavaScriptException();
  return nullptr;
}

// Without a value, undefined.
using Entry = Result<Napi::Value> (*)(const Napi::CallbackInfo& info);

// The entry as Node-API wants it. (The arguments are read behind the door: many of them take memory. The callbacks of
// node-addon-api let exceptions out.)
template <Entry entry>
napi_value enter(napi_env env, napi_callback_info info) noexcept {
  return answer(env, orOutOfMemory([&] { return entry(Napi::CallbackInfo(env, info)); }));
}

}  // namespace repconv

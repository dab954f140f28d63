// Options of sessions and of eager calls: lib/engine/addon.ts has their names.
#pragma once

#include "addon/convert.h"
#include "executor/session.h"

namespace repconv {

// With what the processor and the process allow where they say nothing; the pool gets the threads they ask for.
Status readOptions(Napi::Env env, Napi::Value value, SessionOptions* options);

}  // namespace repconv

// execute(program, shapes, inputs, outputs, options): a program that is run once, on this thread, its constants read
// where they lie.
#pragma once

#include "addon/convert.h"

namespace repconv {

Result<Napi::Value> execute(const Napi::CallbackInfo& info);

}  // namespace repconv

// What this processor is, how much of it may be used, and how fast it could be.
#pragma once

#include "addon/convert.h"

namespace repconv {

// info() → { model, isa, bfloat16, l2Bytes, affinity, quota, threads }
Result<Napi::Value> describeMachine(const Napi::CallbackInfo& info);

// peak(isa) → multiply-adds in registers on one thread, in floating-point operations per second: the best of several
// short stretches.
Result<Napi::Value> measurePeak(const Napi::CallbackInfo& info);

// peakAsync(isa) → a promise of peak's number, measured on the pool
Result<Napi::Value> measurePeakAsync(const Napi::CallbackInfo& info);

}  // namespace repconv

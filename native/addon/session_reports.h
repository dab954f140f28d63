// What a session says of itself, as JavaScript objects (lib/engine/addon.ts has the types).
#pragma once

#include "addon/convert.h"
#include "executor/session.h"

namespace repconv {

// Per step { label, operation, algorithm, kernel, costs, isForced, macs }.
Napi::Value stepsObject(Napi::Env env, const Session& session, const Plan& plan);

// Per value that lives inside a run { value, offset, bytes, from, to }: the steps during which its place is taken.
Napi::Value arenaObject(Napi::Env env, const Plan& plan);

// { isa, threads, precision }: of the kernels in use, and of one run at most.
Napi::Value settingsObject(Napi::Env env, const Session& session);

// { packedBytes, constantBytes, arenaBytes, stagingBytes }
Napi::Value memoryObject(Napi::Env env, const Session::Memory& memory);

}  // namespace repconv

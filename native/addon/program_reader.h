// The door for programs: a JavaScript object becomes a Program, or a Status that says what is wrong with it.
//
//     { values: [{ dtype, layout, shape?, data? }], steps: [{ operation, label?, inputs, outputs, attributes }],
//     inputs, outputs }
//
// A value with data is a constant. Constants are read where they lie: the typed arrays must live, unchanged, as long as
// the Program reads them.
#pragma once

#include "addon/convert.h"
#include "executor/program.h"

namespace repconv {

Result<Program> readProgram(Napi::Value value);

}  // namespace repconv

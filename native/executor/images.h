// Where the images of a program lie, and in which format: agreed between the step that makes an image and those that
// read it.
#pragma once

#include <vector>

#include "executor/program.h"

namespace repconv {

// The images of all values (those that are no images have an empty one). `types` and `largest` as in PlanContext;
// `choices`: a context without them.
Result<std::vector<Image>> layOutImages(const Program& program, const std::vector<ValueType>& types,
                                        const std::vector<ValueType>& largest, const PlanContext& choices);

}  // namespace repconv

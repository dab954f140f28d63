// What is done to a result on its way to memory: add another value, then an activation.
#pragma once

#include <limits>

#include "core/status.h"
#include "kernels/table.h"
#include "ops/attributes.h"

namespace repconv {

struct Epilogue {
  Activation activation = Activation::none;
  float alpha = 0;

  static Status read(const Attributes& attributes, Epilogue* epilogue);

  // relu and relu6 are a clamp, which every kernel applies as it stores; the others are a second pass over what was
  // just stored.
  bool isClamp() const {
    return activation == Activation::none || activation == Activation::relu || activation == Activation::relu6;
  }
  float low() const {
    return activation == Activation::none || !isClamp() ? -std::numeric_limits<float>::infinity() : 0.0f;
  }
  float high() const { return activation == Activation::relu6 ? 6.0f : std::numeric_limits<float>::infinity(); }
};

}  // namespace repconv

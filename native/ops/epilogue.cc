#include "ops/epilogue.h"

namespace repconv {

Status Epilogue::read(const Attributes& attributes, Epilogue* epilogue) {
  int index = 0;
  // In the order of the enumeration.
  const Status status = attributes.word(
      "activation",
      {"none", "relu", "relu6", "leakyRelu", "sigmoid", "silu", "hardSigmoid", "hardSwish", "gelu", "geluTanh", "tanh"},
      &index);
  if (!status.isOk()) return status;
  epilogue->activation = static_cast<Activation>(index);
  double alpha = 0;
  const Status alphaStatus = attributes.number("alpha", &alpha);
  epilogue->alpha = static_cast<float>(alpha);
  return alphaStatus;
}

}  // namespace repconv

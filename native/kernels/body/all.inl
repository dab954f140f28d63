// The order in which the bodies are read, inside the namespace and target region of one instruction set.
#include "kernels/body/vector.inl"
#include "kernels/body/math.inl"
#include "kernels/body/gemm.inl"
#include "kernels/body/elementwise.inl"
#include "kernels/body/image.inl"
#include "kernels/body/winograd.inl"
#include "kernels/body/answers.inl"

static void fill(KernelTable& table, const char* name, Isa isa) {
  table.name = name;
  table.isa = isa;
  table.vectorLength = VL;
  fillGemm(table);
  fillElementwise(table);
  fillImage(table);
  fillWinograd(table);
  fillAnswers(table);
}

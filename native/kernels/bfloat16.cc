// Which bfloat16 kernels a session gets.
#include "kernels/bfloat16.h"

namespace repconv {

const Bfloat16Kernels* availableBfloat16(Isa isa) {
  const CpuInfo& cpu = cpuInfo();
  if (isa < Isa::avx512 || cpu.isa < Isa::avx512 || !cpu.hasBf16Dot) return nullptr;
  if (cpu.hasAmxBf16 && permitAmx() && bfloat16AmxKernels() != nullptr) return bfloat16AmxKernels();
  // Intel's vdpbf16ps multiplies at half the rate of float32 (121 GFLOP/s against 242, Xeon, Sapphire Rapids): a
  // slowdown.
  return cpu.isBf16DotFast ? bfloat16DotKernels() : nullptr;
}

}  // namespace repconv

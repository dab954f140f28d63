// The bfloat16 kernels that can be tested here: on the processor's own instructions, AMX emulated where it has none.
#pragma once

#include <memory>
#include <vector>

#include "amx_emulator.h"
#include "kernels/bfloat16.h"
#include "test.h"

namespace repconv::test {

struct Bfloat16Ways {
  std::vector<const Bfloat16Kernels*> kernels;
  std::unique_ptr<AmxEmulator> emulator;  // while it lives

  // Repetitions for kernels that run themselves, fewer for those that are emulated.
  int repetitionsOf(const Bfloat16Kernels* one, int ordinary, int emulated) const {
    return repetitions(one == bfloat16AmxKernels() && emulator != nullptr ? emulated : ordinary);
  }
};

inline Bfloat16Ways bfloat16Ways() {
  Bfloat16Ways ways;
#if defined(__x86_64__) && defined(__linux__)
  // AMX kernels round and finish in AVX-512 vectors, and every processor with AMX has AVX512_BF16.
  if (!cpuInfo().hasBf16Dot) {
    skip("this processor has no AVX512_BF16: the kernels of bfloat16 are not tested here, AMX's neither");
    return ways;
  }
  ways.kernels = {bfloat16DotKernels(), bfloat16AmxKernels()};
  if (!permitAmx()) {
    skip("this processor has no AMX: its kernels are tested on an emulator");
    ways.emulator = std::make_unique<AmxEmulator>();
  }
#else
  skip("this is not Linux on x86-64: the kernels of bfloat16 are not tested here");
#endif
  return ways;
}

}  // namespace repconv::test

// Facts about the processor and about how much of it this process may use.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace repconv {

// Ordered: a processor that has one has all before it.
enum class Isa { scalar, avx2, avx512 };
inline constexpr Isa kIsas[] = {Isa::scalar, Isa::avx2, Isa::avx512};

struct CpuInfo {
  std::string model;
  Isa isa = Isa::scalar;
  size_t l1dBytes = 32 << 10;
  size_t l2Bytes = 1 << 20;
  // Beside that order, since no instruction set here implies them.
  bool hasBf16Dot = false;  // AVX512_BF16
  bool isBf16DotFast = false;  // faster than float32: on AMD's
  bool hasAmxBf16 = false;  // AMX_TILE and AMX_BF16, and the operating system keeps tiles for those it permits them
};

const CpuInfo& cpuInfo();

// Asks the operating system, once, to let this process use AMX; whether it does. Only where hasAmxBf16.
bool permitAmx();

const char* isaName(Isa isa);
// False for an unknown name.
bool parseIsa(const std::string& name, Isa* isa);

// What bounds the number of threads, smallest wins: the affinity mask, the container's processor quota (rounded up).
struct ThreadBudget {
  int affinity = 1;
  int quota = 0;  // 0: none
  int threads() const { return quota > 0 && quota < affinity ? quota : affinity; }
};

ThreadBudget threadBudget();

// The smallest processor quota of this process' control group and those around it, rounded up; 0: none. `read` gives
// the text of a file, or nothing.
int processorQuota(const std::function<std::string(const std::string& path)>& read);

}  // namespace repconv

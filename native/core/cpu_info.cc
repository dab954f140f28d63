#include "core/cpu_info.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

namespace repconv {
namespace {

Isa detectIsa() {
#if (defined(__x86_64__) || defined(_M_X64)) && defined(__GNUC__)
  // The compiler's run-time looks at XCR0 too: a feature counts only if the operating system saves its registers.
  __builtin_cpu_init();
  const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool hasAvx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (hasAvx2 && hasAvx512) return Isa::avx512;
  if (hasAvx2) return Isa::avx2;
#endif
  return Isa::scalar;
}

#if defined(__x86_64__) && defined(__GNUC__)
// Intel SDM volume 2, CPUID leaf 7. The compiler's run-time does not know AMX everywhere we build.
void detectBfloat16(CpuInfo* info) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (info->isa < Isa::avx512 || !__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) return;
  info->hasBf16Dot = (eax >> 5 & 1) != 0;
  info->isBf16DotFast = info->hasBf16Dot && __builtin_cpu_is("amd");
#if defined(__linux__)
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return;
  const bool hasAmx = (edx >> 22 & 1) != 0 && (edx >> 24 & 1) != 0;
  // Whether the operating system manages the tiles: XCR0, bits 17 (configuration) and 18 (data).
  unsigned low = 0, high = 0;
  if (hasAmx) asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  info->hasAmxBf16 = info->hasBf16Dot && hasAmx && (low >> 17 & 3) == 3;
#endif
}
#endif

CpuInfo detect() {
  CpuInfo info;
  info.isa = detectIsa();
#if defined(__x86_64__) && defined(__GNUC__)
  detectBfloat16(&info);
#endif
#if defined(__linux__)
  if (std::FILE* file = std::fopen("/proc/cpuinfo", "re")) {
    char line[256];
    const char* value = nullptr;
    while (value == nullptr && std::fgets(line, sizeof line, file)) {
      if (std::strncmp(line, "model name", 10) == 0) value = std::strchr(line, ':');
    }
    std::fclose(file);
    if (value != nullptr) info.model.assign(value + 2, std::strcspn(value + 2, "\n"));
  }
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  if (const long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes > 0) info.l1dBytes = static_cast<size_t>(bytes);
  if (const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0) info.l2Bytes = static_cast<size_t>(bytes);
#endif
#endif
  return info;
}

#if defined(__linux__)
std::string readSmallFile(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return {};
  char text[4096];
  const size_t length = std::fread(text, 1, sizeof text, file);
  std::fclose(file);
  return std::string(text, length);
}
#endif

// A quota beyond is none.
constexpr double kMostProcessors = 1 << 20;

// Processors that a quota of "used microseconds per period" amounts to; 0 for "max", −1, nothing and nonsense.
int processorsOf(const std::string& quotaText, const std::string& periodText) {
  const double quota = std::strtod(quotaText.c_str(), nullptr), period = std::strtod(periodText.c_str(), nullptr);
  const double processors = quota > 0 && period > 0 ? std::ceil(quota / period) : 0;
  return processors <= kMostProcessors ? static_cast<int>(processors) : 0;
}

}  // namespace

const CpuInfo& cpuInfo() {
  static const CpuInfo info = detect();
  return info;
}

bool permitAmx() {
#if defined(__linux__) && defined(__x86_64__)
  static const bool isPermitted = [] {
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return cpuInfo().hasAmxBf16 && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return isPermitted;
#else
  return false;
#endif
}

const char* isaName(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    case Isa::scalar:
      break;
  }
  return "scalar";
}

bool parseIsa(const std::string& name, Isa* isa) {
  for (Isa candidate : kIsas) {
    if (name == isaName(candidate)) {
      *isa = candidate;
      return true;
    }
  }
  return false;
}

ThreadBudget threadBudget() {
  ThreadBudget budget;
  budget.affinity = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails beyond 1024 processors, where hardware_concurrency has to do.
  if (sched_getaffinity(0, sizeof set, &set) == 0) budget.affinity = CPU_COUNT(&set);
  budget.quota = processorQuota(readSmallFile);
#endif
  if (budget.affinity < 1) budget.affinity = 1;
  return budget;
}

// cgroup v2: one file "quota period" per group; v1: two files at the mount point, which is all a container sees.
int processorQuota(const std::function<std::string(const std::string& path)>& read) {
  int quota = 0;
  const auto lower = [&quota](int candidate) {
    if (candidate > 0 && (quota == 0 || candidate < quota)) quota = candidate;
  };
  const std::string groups = read("/proc/self/cgroup");
  const size_t entry = groups.find("0::/");
  if (entry != std::string::npos) {
    std::string group = groups.substr(entry + 3, groups.find('\n', entry) - entry - 3);
    for (;; group.erase(group.rfind('/'))) {
      const std::string text = read("/sys/fs/cgroup" + group + "/cpu.max");
      lower(processorsOf(text, text.substr(std::min(text.find(' '), text.size()))));
      if (group.empty()) break;
    }
  }
  lower(processorsOf(read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")));
  return quota;
}

}  // namespace repconv

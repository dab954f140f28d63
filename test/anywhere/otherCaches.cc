// Preloaded (LD_PRELOAD): the system says that the processor's caches have other sizes. REPCONV_TEST_CACHES has those
// of the first and the second level in bytes; 0, as some virtual machines say: unknown. Linux with glibc only.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

extern "C" long sysconf(int name) {
  static const auto systems = reinterpret_cast<long (*)(int)>(dlsym(RTLD_NEXT, "sysconf"));
  const char* sizes = std::getenv("REPCONV_TEST_CACHES");
  long first = 0, second = 0;
  if (sizes != nullptr && std::sscanf(sizes, "%ld %ld", &first, &second) == 2) {
    if (name == _SC_LEVEL1_DCACHE_SIZE) return first;
    if (name == _SC_LEVEL2_CACHE_SIZE) return second;
  }
  return systems(name);
}

#include "allocation.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

// The C library's, past the wrappers below.
extern "C" void* __real_malloc(size_t size);
extern "C" void* __real_calloc(size_t count, size_t size);
extern "C" void* __real_realloc(void* memory, size_t size);
extern "C" void* __real_aligned_alloc(size_t alignment, size_t size);

namespace repconv::test {
namespace {

constexpr int64_t kNever = INT64_MAX;
std::atomic<int64_t> untilFailure{kNever};

bool isRefused() {
  if (untilFailure.load(std::memory_order_relaxed) > kNever / 2) return false;
  return untilFailure.fetch_sub(1, std::memory_order_relaxed) == 1;
}

void* allocate(size_t size) {
  void* memory = isRefused() ? nullptr : __real_malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void failAllocation(int64_t n) { untilFailure.store(n, std::memory_order_relaxed); }

bool stopFailing() { return untilFailure.exchange(kNever, std::memory_order_relaxed) <= 0; }

}  // namespace repconv::test

extern "C" void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  return repconv::test::isRefused() ? nullptr : __real_aligned_alloc(alignment, size);
}
extern "C" void* __wrap_malloc(size_t size) { return repconv::test::isRefused() ? nullptr : __real_malloc(size); }
extern "C" void* __wrap_calloc(size_t count, size_t size) {
  return repconv::test::isRefused() ? nullptr : __real_calloc(count, size);
}
extern "C" void* __wrap_realloc(void* memory, size_t size) {
  return repconv::test::isRefused() ? nullptr : __real_realloc(memory, size);
}

void* operator new(size_t size) { return repconv::test::allocate(size); }
void* operator new[](size_t size) { return repconv::test::allocate(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return repconv::test::isRefused() ? nullptr : __real_malloc(size == 0 ? 1 : size);
}
void* operator new[](size_t size, const std::nothrow_t& tag) noexcept { return operator new(size, tag); }
void* operator new(size_t size, std::align_val_t alignment) {
  const size_t multiple = static_cast<size_t>(alignment);
  void* memory = repconv::test::isRefused()
                     ? nullptr
                     : __real_aligned_alloc(multiple, (size + multiple - 1) / multiple * multiple);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

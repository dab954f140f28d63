// Refuses memory to the addon, in a real Node: preloaded, it stands before operator new, aligned_alloc, fopen and the
// start of threads, and counts what is called from inside repconv.node. Loaded a second time, as an addon
// (process.dlopen), it is told which of them to refuse; allocations.cjs does both.
//
//   arm(n, count)   from now on, on any thread: the n-th allocation (from 1) fails, and those after it, `count` in all
//   disarm()        back to normal → { seen, refused, at }: allocations since, how many failed, where in
//                   repconv.node the last of these was called
//   externalBytes() what this isolate was told of memory outside its heap (napi_adjust_external_memory;
//   process.memoryUsage() does not show it)
//
// The standard library's templates are inlined into the addon, so whoever calls directly is all there is to look at.
// Linux only.
#include <dlfcn.h>
#include <link.h>
#include <node_api.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>

namespace {

constexpr char kAddon[] = "/repconv.node";

std::atomic<bool> isArmed{false};
std::atomic<int64_t> seen{0}, refused{0};
std::atomic<int64_t> first{0}, last{0};
std::atomic<uintptr_t> at{0};
// Where the addon lies; it is never unmapped (-z nodelete).
std::atomic<uintptr_t> begin{0}, end{0};

void findAddon() {
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void*) {
        const size_t length = std::strlen(info->dlpi_name), wanted = sizeof kAddon - 1;
        if (length < wanted || std::strcmp(info->dlpi_name + length - wanted, kAddon) != 0) return 0;
        uintptr_t limit = 0;
        for (int i = 0; i < info->dlpi_phnum; i++) {
          const ElfW(Phdr)& segment = info->dlpi_phdr[i];
          if (segment.p_type == PT_LOAD && segment.p_vaddr + segment.p_memsz > limit)
            limit = segment.p_vaddr + segment.p_memsz;
        }
        end.store(info->dlpi_addr + limit);
        begin.store(info->dlpi_addr);
        return 1;
      },
      nullptr);
}

// Whether this call, which returns to `caller`, has to fail.
bool isRefused(const void* caller) {
  if (!isArmed.load(std::memory_order_relaxed)) return false;
  // Its first allocations may come while it is being loaded.
  if (begin.load() == 0) findAddon();
  const uintptr_t address = reinterpret_cast<uintptr_t>(caller);
  if (address < begin.load() || address >= end.load()) return false;
  const int64_t n = seen.fetch_add(1) + 1;
  if (n < first.load() || n > last.load()) return false;
  refused.fetch_add(1);
  at.store(address - begin.load());
  return true;
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

#define REPCONV_REFUSE() isRefused(__builtin_return_address(0))

void* operator new(size_t size) {
  static const auto original = next<void* (*)(size_t)>("_Znwm");
  if (REPCONV_REFUSE()) throw std::bad_alloc();
  return original(size);
}

void* operator new[](size_t size) {
  static const auto original = next<void* (*)(size_t)>("_Znam");
  if (REPCONV_REFUSE()) throw std::bad_alloc();
  return original(size);
}

void* operator new(size_t size, const std::nothrow_t& tag) noexcept {
  static const auto original = next<void* (*)(size_t, const std::nothrow_t&)>("_ZnwmRKSt9nothrow_t");
  return REPCONV_REFUSE() ? nullptr : original(size, tag);
}

void* operator new[](size_t size, const std::nothrow_t& tag) noexcept {
  static const auto original = next<void* (*)(size_t, const std::nothrow_t&)>("_ZnamRKSt9nothrow_t");
  return REPCONV_REFUSE() ? nullptr : original(size, tag);
}

void* operator new(size_t size, std::align_val_t alignment) {
  static const auto original = next<void* (*)(size_t, std::align_val_t)>("_ZnwmSt11align_val_t");
  if (REPCONV_REFUSE()) throw std::bad_alloc();
  return original(size, alignment);
}

extern "C" {

void* aligned_alloc(size_t alignment, size_t size) {
  static const auto original = next<void* (*)(size_t, size_t)>("aligned_alloc");
  return REPCONV_REFUSE() ? nullptr : original(alignment, size);
}

FILE* fopen64(const char* path, const char* mode) {
  static const auto original = next<FILE* (*)(const char*, const char*)>("fopen64");
  if (!REPCONV_REFUSE()) return original(path, mode);
  errno = ENOMEM;
  return nullptr;
}

// std::thread's constructor: this, the state (a unique_ptr, by reference) and a function that nobody uses.
void _ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(void* thread, void* state,
                                                                                           void (*depend)()) {
  static const auto original = next<void (*)(void*, void*, void (*)())>(
      "_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE");
  if (REPCONV_REFUSE()) throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  original(thread, state, depend);
}

}  // extern "C"

namespace {

napi_value arm(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value given[2];
  int64_t n = 0, many = 1;
  napi_get_cb_info(env, info, &count, given, nullptr, nullptr);
  napi_get_value_int64(env, given[0], &n);
  napi_get_value_int64(env, given[1], &many);
  seen.store(0);
  refused.store(0);
  first.store(n);
  last.store(n + many - 1);
  isArmed.store(true);
  return nullptr;
}

void set(napi_env env, napi_value object, const char* name, int64_t number) {
  napi_value value;
  napi_create_int64(env, number, &value);
  napi_set_named_property(env, object, name, value);
}

napi_value disarm(napi_env env, napi_callback_info) {
  isArmed.store(false);
  napi_value result;
  napi_create_object(env, &result);
  set(env, result, "seen", seen.load());
  set(env, result, "refused", refused.load());
  set(env, result, "at", static_cast<int64_t>(at.load()));
  return result;
}

napi_value externalBytes(napi_env env, napi_callback_info) {
  int64_t bytes = 0;
  napi_adjust_external_memory(env, 0, &bytes);
  napi_value result;
  napi_create_int64(env, bytes, &result);
  return result;
}

}  // namespace

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"arm", arm}, {"disarm", disarm}, {"externalBytes", externalBytes}};
  for (const auto& [name, function] : functions) {
    napi_value value;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    napi_set_named_property(env, exports, name, value);
  }
  return exports;
}

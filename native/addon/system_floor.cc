// Keeps the addon loadable on systems older than the one that builds it: GLIBC_2.28 and GLIBCXX_3.4.25 are what Node
// itself runs on.
//
// The headers of GCC 11 and newer refer to two names that only newer system libraries have. Both are defined here,
// hidden, so that the addon brings them along instead of asking for them. test/package/symbols.test.ts reads what the
// built addon asks for. (Linking libstdc++ statically is no way out: Debian 12's asks for GLIBC_2.36.)
#include <new>

#if defined(__GLIBCXX__) && defined(__GLIBC__)

// GLIBC_2.32. "This process has one thread, so reference counts need no atomic instruction": never so here, there is a
// pool.
extern "C" {
__attribute__((visibility("hidden"))) extern char __libc_single_threaded;
char __libc_single_threaded = 0;
}

// GLIBCXX_3.4.29. What an allocator calls when a container's size overflows.
namespace std {
[[noreturn]] __attribute__((visibility("hidden"))) void __throw_bad_array_new_length();
void __throw_bad_array_new_length() { throw bad_array_new_length(); }
}  // namespace std

#endif

// The harness of the native unit tests: tests register themselves, run those whose name contains the argument, and say
// what failed and where.
//
//     TEST("adds") { CHECK(1 + 1 == 2, "got %d", 1 + 1); }
//
// A test notes what it is doing; the note stands beside every failure, and is printed when the process dies in the
// middle (a guard page).
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "core/status.h"

namespace repconv::test {

struct Test {
  const char* name;
  void (*body)();
};

std::vector<Test>& allTests();

struct Registration {
  Registration(const char* name, void (*body)()) { allTests().push_back({name, body}); }
};

// What is being done, in printf's manner: with the seed and the numbers of the case, so that it can be done again.
__attribute__((format(printf, 1, 2))) void note(const char* format, ...);
const char* noted();

__attribute__((format(printf, 3, 4))) void fail(const char* file, int line, const char* format, ...);
// Not on this machine: said loudly, at its place and once more at the end.
__attribute__((format(printf, 1, 2))) void skip(const char* format, ...);

// `full` repetitions, or a tenth under a sanitizer, which makes everything about that much slower.
int repetitions(int full);

// Numbers that follow from a seed (SplitMix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // A whole number from least to most, both included.
  int between(int least, int most) {
    return least + static_cast<int>(next() % static_cast<uint64_t>(most - least + 1));
  }
  bool chance(int percent) { return between(1, 100) <= percent; }
  template <typename T>
  const T& of(const std::vector<T>& choices) {
    return choices[next() % choices.size()];
  }

 private:
  uint64_t state_;
};

}  // namespace repconv::test

#define REPCONV_JOIN_AGAIN(a, b) a##b
#define REPCONV_JOIN(a, b) REPCONV_JOIN_AGAIN(a, b)

#define TEST(name)                                                                                                     \
  static void REPCONV_JOIN(test, __LINE__)();                                                                          \
  static const ::repconv::test::Registration REPCONV_JOIN(registration, __LINE__)(name, REPCONV_JOIN(test, __LINE__)); \
  static void REPCONV_JOIN(test, __LINE__)()

#define CHECK(condition, ...) \
  ((condition) ? static_cast<void>(0) : ::repconv::test::fail(__FILE__, __LINE__, __VA_ARGS__))

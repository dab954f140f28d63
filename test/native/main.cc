// Runs the native unit tests: all, or those whose name contains one of the arguments. Ends with 1 if any failed.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdarg>
#include <cstring>

#include "test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#endif

namespace repconv::test {
namespace {

constexpr int kShownFailures = 10;

char currentNote[4096];
const char* currentTest = "";
int failures = 0;
std::vector<std::string> skipped;

// Which case it was, with functions that may be called in a handler.
void sayLastWords() {
  const char* parts[] = {"\nDIED in ", currentTest, "\n     at ", currentNote, "\n"};
  for (const char* part : parts) {
    if (write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
  }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void handleDeath() { __sanitizer_set_death_callback(sayLastWords); }
#else
void sayAndDie(int signal) {
  sayLastWords();
  ::signal(signal, SIG_DFL);
  raise(signal);
}

void handleDeath() {
  for (int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) ::signal(number, sayAndDie);
}
#endif

bool isWanted(const char* name, int count, char** patterns) {
  for (int i = 1; i < count; i++) {
    if (std::strstr(name, patterns[i]) != nullptr) return true;
  }
  return count <= 1;
}

}  // namespace

std::vector<Test>& allTests() {
  static std::vector<Test> tests;
  return tests;
}

void note(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(currentNote, sizeof currentNote, format, arguments);
  va_end(arguments);
}

const char* noted() { return currentNote; }

void fail(const char* file, int line, const char* format, ...) {
  if (++failures > kShownFailures) return;
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "  FAILED %s:%d: %s\n         at %s\n", file, line, text, currentNote);
}

void skip(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  for (const std::string& other : skipped) {
    if (other == text) return;
  }
  skipped.push_back(text);
}

int repetitions(int full) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return full / 10 > 0 ? full / 10 : 1;
#else
  return full;
#endif
}

namespace {

int runAll(int count, char** patterns) {
  handleDeath();
  int ran = 0, failed = 0;
  for (const Test& test : allTests()) {
    if (!isWanted(test.name, count, patterns)) continue;
    currentTest = test.name;
    note("%s", test.name);
    failures = 0;
    const auto start = std::chrono::steady_clock::now();
    test.body();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ran++;
    failed += failures > 0;
    std::printf("%s %s (%.2f s)\n", failures > 0 ? "not ok" : "ok    ", test.name, seconds);
    if (failures > kShownFailures) std::printf("       and %d failures more\n", failures - kShownFailures);
    std::fflush(stdout);
  }
  for (const std::string& text : skipped) std::printf("SKIPPED: %s\n", text.c_str());
  std::printf("%d tests, %d failed\n", ran, failed);
  return failed > 0 || ran == 0;
}

}  // namespace
}  // namespace repconv::test

int main(int count, char** arguments) { return repconv::test::runAll(count, arguments); }

// The three things that hold for every kernel, whatever it computes (the checks themselves are in the files beside this
// one).
#include <signal.h>
#include <sys/wait.h>

#include <cstddef>
#include <cstring>

#include "kernel_test.h"

namespace repconv::test {

std::vector<KernelCheck>& kernelChecks() {
  static std::vector<KernelCheck> checks;
  return checks;
}

Difference compareFloats(const char* what, const float* got, const float* expected, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (std::memcmp(got + i, expected + i, sizeof(float)) == 0 || (got[i] != got[i] && expected[i] != expected[i]))
      continue;
    char text[200];
    std::snprintf(text, sizeof text, "%s[%zu] of %zu is %.9g, expected %.9g", what, i, size,
                  static_cast<double>(got[i]), static_cast<double>(expected[i]));
    return text;
  }
  return {};
}

namespace {

std::vector<const KernelTable*> usableTables() {
  std::vector<const KernelTable*> tables;
  for (Isa isa : kIsas) {
    if (isa > cpuInfo().isa) {
      skip("this processor has no %s; its kernels are not tested here", isaName(isa));
    } else {
      tables.push_back(&kernelTable(isa));
    }
  }
  return tables;
}

// How a child ends that reads or writes `offset` elements from the beginning of 5 guarded ones.
int signalOfTouching(Side side, ptrdiff_t offset, bool isWrite) {
  const pid_t child = fork();
  if (child == 0) {
    for (int number : {SIGSEGV, SIGBUS}) signal(number, SIG_DFL);
    const Guarded<float> memory(5, side, [](size_t) { return 1.0f; });
    volatile float* at = memory.data() + offset;
    if (isWrite) {
      *at = 2;
    } else {
      (void)*at;
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST("guarded memory can be touched inside and kills at the first element beside it") {
  for (bool isWrite : {false, true}) {
    for (Side side : kSides) {
      CHECK(signalOfTouching(side, 0, isWrite) == 0, "the first element was refused");
      CHECK(signalOfTouching(side, 4, isWrite) == 0, "the last element was refused");
    }
    CHECK(signalOfTouching(Side::begin, -1, isWrite) == SIGSEGV, "the element before the first was not refused");
    CHECK(signalOfTouching(Side::end, 5, isWrite) == SIGSEGV, "the element after the last was not refused");
  }
}

TEST("every kernel of every instruction set computes what plain loops compute and touches nothing beside its arrays") {
  for (const KernelTable* table : usableTables()) {
    for (const KernelCheck& check : kernelChecks()) {
      for (Side side : kSides) {
        note("%s %s", table->name, check.kernel);
        const Difference difference = check.compare(*table, side);
        CHECK(difference.empty(), "%s", difference.c_str());
      }
    }
  }
}

TEST("every kernel's check fails when the kernel does nothing") {
  for (const KernelTable* table : usableTables()) {
    for (const KernelCheck& check : kernelChecks()) {
      note("%s %s", table->name, check.kernel);
      KernelTable broken = *table;
      check.disable(broken);
      CHECK(!check.compare(broken, Side::end).empty(), "the check accepts a kernel that does nothing");
    }
  }
}

TEST("every kernel in the table has a check") {
  for (const KernelTable* table : usableTables()) {
    KernelTable disabled = *table;
    for (const KernelCheck& check : kernelChecks()) check.disable(disabled);
    const char *before = reinterpret_cast<const char*>(table), *after = reinterpret_cast<const char*>(&disabled);
    for (size_t at = offsetof(KernelTable, gemm); at + sizeof(uintptr_t) <= sizeof(KernelTable);
         at += sizeof(uintptr_t)) {
      uintptr_t was, is;
      std::memcpy(&was, before + at, sizeof was);
      std::memcpy(&is, after + at, sizeof is);
      // Small numbers are sizes that stand beside the functions.
      CHECK(was < 1 << 20 || was != is,
            "%s: the function %zu bytes into KernelTable is in no check: add one in test/native", table->name, at);
    }
  }
}

TEST("the scalar table is there on every processor, and a table says what it is") {
  for (const KernelTable* table : usableTables()) {
    Isa isa = Isa::scalar;
    CHECK(parseIsa(table->name, &isa) && isa == table->isa, "%s", table->name);
    CHECK(table->vectorLength > 0 && 16 % table->vectorLength == 0, "%s: a vector of %d", table->name,
          table->vectorLength);
    for (int v = 1; v <= kMaxPanelVectors; v++) {
      CHECK(table->tilePixels[v] >= 1 && table->tilePixels[v] <= kMaxTilePixels, "%s: tiles of %d pixels", table->name,
            table->tilePixels[v]);
      for (int p = 1; p <= kMaxTilePixels; p++) {
        CHECK((table->gemm[v][p] != nullptr) == (p <= table->tilePixels[v]), "%s: gemm[%d][%d]", table->name, v, p);
      }
    }
  }
}

}  // namespace repconv::test

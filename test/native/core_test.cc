// What everything stands on: statuses, blocks of memory, the facts about the processor.
#include <cstdint>
#include <cstring>

#include "allocation.h"
#include "core/cpu_info.h"
#include "core/memory.h"
#include "test.h"

namespace repconv::test {

TEST("a status carries its code and a message that is cut, not overrun") {
  CHECK(Status().isOk() && Status().code() == Code::ok, "an empty status is an error");
  const Status status = failure(Code::shape, "%s has %d axes", "input", 3);
  CHECK(!status.isOk() && status.code() == Code::shape && status.message() == "input has 3 axes", "%s", status.message().c_str());
  const std::string text(5000, 'x');
  CHECK(failure(Code::input, "%s", text.c_str()).message().size() == 511, "%zu characters",
        failure(Code::input, "%s", text.c_str()).message().size());
  Result<int> value(7);
  CHECK(value.isOk() && value.value() == 7, "a result lost its value");
  const Result<int> none(failure(Code::busy, "no"));
  CHECK(!none.isOk() && none.status().code() == Code::busy, "a result lost its status");
}

TEST("a block is aligned, has room for one cache line more than asked, and moves without copying") {
  for (size_t bytes :
       {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{4096}, kHugePageBytes - 64, kHugePageBytes, 3 * kHugePageBytes + 5}) {
    Block block = Block::allocate(bytes);
    note("%zu bytes", bytes);
    CHECK(static_cast<bool>(block), "no memory");
    CHECK(block.sizeBytes() >= bytes + kCacheLineBytes, "room for %zu", block.sizeBytes());
    const uintptr_t alignment = bytes + kCacheLineBytes >= kHugePageBytes ? kHugePageBytes : kCacheLineBytes;
    CHECK(reinterpret_cast<uintptr_t>(block.as<void>()) % alignment == 0, "not aligned to %zu", static_cast<size_t>(alignment));
    std::memset(block.as<void>(), 1, block.sizeBytes());
    const void* at = block.as<void>();
    Block moved = std::move(block);
    CHECK(moved.as<void>() == at, "moving copied");
    Block assigned;
    assigned = std::move(moved);
    CHECK(assigned.as<void>() == at && !Block(), "moving copied");
  }
}

TEST("a block for which there is no memory, or no number, is empty") {
  failAllocation(1);
  const Block refused = Block::allocate(1000);
  CHECK(stopFailing() && !refused && refused.sizeBytes() == 0, "the failed allocation gave a block");
  for (size_t bytes : {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX - 64, SIZE_MAX - kHugePageBytes, SIZE_MAX / 2}) {
    CHECK(!Block::allocate(bytes), "%zu bytes were allocated", bytes);
  }
}

TEST("instruction sets have names that are read back, and nothing else is read") {
  for (Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    Isa parsed = Isa::scalar;
    CHECK(parseIsa(isaName(isa), &parsed) && parsed == isa, "%s", isaName(isa));
  }
  Isa untouched = Isa::avx2;
  for (const char* text : {"", "AVX2", "avx", "avx2 ", "avx5120", "neon"}) CHECK(!parseIsa(text, &untouched) && untouched == Isa::avx2, "%s", text);
}

TEST("the thread budget is at least one and at most what the affinity mask allows") {
  const ThreadBudget budget = threadBudget();
  CHECK(budget.affinity >= 1 && budget.threads() >= 1 && budget.threads() <= budget.affinity, "%d of %d", budget.threads(), budget.affinity);
  CHECK((ThreadBudget{8, 0}.threads()) == 8 && (ThreadBudget{8, 3}.threads()) == 3 && (ThreadBudget{2, 3}.threads()) == 2,
        "the smaller does not win");
}

}  // namespace repconv::test

// What everything stands on: statuses, blocks of memory, the facts about the processor.
#include <cstdint>
#include <cstring>
#include <map>

#include "allocation.h"
#include "core/cpu_info.h"
#include "core/memory.h"
#include "test.h"

namespace repconv::test {

TEST("a status carries its code and a message that is cut, not overrun") {
  CHECK(Status().isOk() && Status().code() == Code::ok, "an empty status is an error");
  const Status status = failure(Code::shape, "%s has %d axes", "input", 3);
  CHECK(!status.isOk() && status.code() == Code::shape && status.message() == "input has 3 axes", "%s",
        status.message().c_str());
  const std::string text(5000, 'x');
  CHECK(failure(Code::input, "%s", text.c_str()).message().size() == 511, "%zu characters",
        failure(Code::input, "%s", text.c_str()).message().size());
  Result<int> value(7);
  CHECK(value.isOk() && value.value() == 7, "a result lost its value");
  const Result<int> none(failure(Code::limit, "no"));
  CHECK(!none.isOk() && none.status().code() == Code::limit, "a result lost its status");
}

TEST("a block is aligned, has room for one cache line more than asked, and moves without copying") {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{4096}, kHugePageBytes - 64,
                       kHugePageBytes, 3 * kHugePageBytes + 5}) {
    Block block = Block::allocate(bytes);
    note("%zu bytes", bytes);
    CHECK(static_cast<bool>(block), "no memory");
    CHECK(block.sizeBytes() >= bytes + kCacheLineBytes, "room for %zu", block.sizeBytes());
    const uintptr_t alignment = bytes + kCacheLineBytes >= kHugePageBytes ? kHugePageBytes : kCacheLineBytes;
    CHECK(reinterpret_cast<uintptr_t>(block.as<void>()) % alignment == 0, "not aligned to %zu",
          static_cast<size_t>(alignment));
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
  for (Isa isa : kIsas) {
    Isa parsed = Isa::scalar;
    CHECK(parseIsa(isaName(isa), &parsed) && parsed == isa, "%s", isaName(isa));
  }
  Isa untouched = Isa::avx2;
  for (const char* text : {"", "AVX2", "avx", "avx2 ", "avx5120", "neon"})
    CHECK(!parseIsa(text, &untouched) && untouched == Isa::avx2, "%s", text);
}

TEST("the thread budget is at least one and at most what the affinity mask allows") {
  const ThreadBudget budget = threadBudget();
  CHECK(budget.affinity >= 1 && budget.threads() >= 1 && budget.threads() <= budget.affinity, "%d of %d",
        budget.threads(), budget.affinity);
  CHECK(
      (ThreadBudget{8, 0}.threads()) == 8 && (ThreadBudget{8, 3}.threads()) == 3 && (ThreadBudget{2, 3}.threads()) == 2,
      "the smaller does not win");
}

TEST("the quota of a container is the smallest of its control groups, rounded up; what is no quota is none") {
  using Files = std::map<std::string, std::string>;
  const std::string groups = "/proc/self/cgroup", v2 = "/sys/fs/cgroup", v1 = "/sys/fs/cgroup/cpu/cpu.cfs_";
  const auto quotaOf = [](const Files& files) {
    return processorQuota([&](const std::string& path) {
      const auto found = files.find(path);
      return found == files.end() ? std::string() : found->second;
    });
  };
  const auto expect = [&](int expected, const char* what, const Files& files) {
    CHECK(quotaOf(files) == expected, "%s: %d", what, quotaOf(files));
  };
  expect(0, "no files", {});
  // Version 2.
  expect(2, "two processors", {{groups, "0::/\n"}, {v2 + "/cpu.max", "200000 100000\n"}});
  expect(2, "one and a half", {{groups, "0::/\n"}, {v2 + "/cpu.max", "150000 100000\n"}});
  expect(1, "a hundredth", {{groups, "0::/\n"}, {v2 + "/cpu.max", "1000 100000\n"}});
  expect(0, "max", {{groups, "0::/\n"}, {v2 + "/cpu.max", "max 100000\n"}});
  expect(3, "a group without a line's end", {{groups, "0::/a"}, {v2 + "/a/cpu.max", "300000 100000"}});
  expect(2, "a group inside a smaller one",
         {{groups, "0::/a/b\n"},
          {v2 + "/a/b/cpu.max", "max 100000\n"},
          {v2 + "/a/cpu.max", "200000 100000\n"},
          {v2 + "/cpu.max", "400000 100000\n"}});
  expect(1, "a group inside a larger one",
         {{groups, "0::/a/b\n"}, {v2 + "/a/b/cpu.max", "50000 100000\n"}, {v2 + "/a/cpu.max", "200000 100000\n"}});
  expect(4, "another group's quota beside ours",
         {{groups, "0::/a\n"}, {v2 + "/b/cpu.max", "100000 100000\n"}, {v2 + "/a/cpu.max", "400000 100000\n"}});
  // Version 1, and both at a time.
  const std::string old = "12:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n";
  expect(2, "version 1", {{groups, old}, {v1 + "quota_us", "200000\n"}, {v1 + "period_us", "100000\n"}});
  expect(0, "version 1 without a quota", {{groups, old}, {v1 + "quota_us", "-1\n"}, {v1 + "period_us", "100000\n"}});
  expect(0, "both negative", {{groups, old}, {v1 + "quota_us", "-1\n"}, {v1 + "period_us", "-1\n"}});
  expect(0, "a quota without its period", {{groups, old}, {v1 + "quota_us", "200000\n"}});
  expect(1, "both versions",
         {{groups, old + "0::/\n"},
          {v2 + "/cpu.max", "300000 100000\n"},
          {v1 + "quota_us", "100000\n"},
          {v1 + "period_us", "100000\n"}});
  // Nonsense.
  for (const char* text :
       {"", "\n", "100000", "100000 ", "100000 0", "0 100000", "-1 100000", "-100000 100000", "x y", "nan 1", "1 nan",
        "inf 1", "1e300 1e-300", "99999999999999999999 1", "100000 -100000", "\xff\xfe"}) {
    note("cpu.max \"%s\"", text);
    expect(0, "nonsense", {{groups, "0::/\n"}, {v2 + "/cpu.max", text}});
  }
  for (const char* text : {"0::", "0:/", "garbage", "0::/\n\n", "0::/../..\n"}) {
    note("cgroup \"%s\"", text);
    expect(0, "nonsense", {{groups, text}, {v2 + "/other/cpu.max", "100000 100000"}});
  }
}

}  // namespace repconv::test

// The thread pool: every item once, on any number of threads, whatever else the pool is asked at the same time.
// ThreadSanitizer runs these too.
#include "core/thread_pool.h"

#if defined(__linux__)
#include <sys/resource.h>
#endif

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "allocation.h"
#include "core/process.h"
#include "test.h"

namespace repconv::test {
namespace {

// One count per item, plain memory on purpose: two members at one item would be a race, which ThreadSanitizer reports.
struct Counts {
  explicit Counts(size_t size) : counts(size) {}
  bool areAll(int expected) const {
    for (int count : counts) {
      if (count != expected) return false;
    }
    return true;
  }
  std::vector<int> counts;
};

// A job that computes in a team of its own and says when it is done.
class CountingJob : public ThreadPool::Job {
 public:
  void prepare(ThreadPool* pool, int capacity, size_t items) {
    pool_ = pool;
    capacity_ = capacity;
    counts_ = std::make_unique<Counts>(items);
  }
  void run() override {
    {
      Team team(*pool_, capacity_);
      for (int region = 0; region < 3; region++)
        team.parallelFor(counts_->counts.size(), [this](size_t item, int) { counts_->counts[item]++; });
    }
    isDone_.store(true, std::memory_order_release);
    isDone_.notify_all();
  }
  void wait() const { isDone_.wait(false, std::memory_order_acquire); }
  bool isRight() const { return counts_->areAll(3); }

 private:
  ThreadPool* pool_ = nullptr;
  int capacity_ = 1;
  std::unique_ptr<Counts> counts_;
  std::atomic<bool> isDone_{false};
};

}  // namespace

TEST("each item of a region is computed once and its writes are seen after it, for 1 to 64 threads") {
  for (int threads : {1, 2, 3, 4, 7, 16, 64}) {
    ThreadPool pool;
    CHECK(pool.ensureThreads(threads).isOk() && pool.threadCount() == threads, "%d threads wanted, %d made", threads,
          pool.threadCount());
    for (size_t count : {0, 1, 2, 3, 63, 64, 65, 1000}) {
      Team team(pool, threads);
      Counts counts(count);
      std::vector<int> members(count, -1);
      const int regions = repetitions(1000);
      note("%d threads, %zu items", threads, count);
      for (int region = 0; region < regions; region++) {
        team.parallelFor(count, [&](size_t item, int member) {
          counts.counts[item]++;
          members[item] = member;
        });
        // Read by the leader between regions: the region's end must order it after the members' writes.
        CHECK(counts.areAll(region + 1), "an item was left out or computed twice in region %d", region);
      }
      for (int member : members)
        CHECK(member >= 0 && member < team.capacity(), "member %d of %d", member, team.capacity());
    }
  }
}

TEST("helpers take part: two items that wait for each other both begin") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(2).isOk(), "no threads");
  for (int i = 0; i < 20; i++) {
    Team team(pool, 2);
    std::atomic<int> begun{0};
    team.parallelFor(2, [&](size_t, int) {
      begun.fetch_add(1);
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (begun.load() < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      if (std::chrono::steady_clock::now() >= end) begun.store(-1000000);
    });
    CHECK(begun.load() == 2, "the leader was left alone with both items");
    if (begun.load() != 2) return;
  }
}

TEST("a helper leaves for a waiting job after the item it is in") {
  struct Signal : ThreadPool::Job {
    std::atomic<bool> isDone{false};
    void run() override { isDone.store(true); }
  };
  ThreadPool pool;
  CHECK(pool.ensureThreads(1).isOk(), "no threads");
  for (int i = 0; i < 20; i++) {
    Signal job;
    std::atomic<bool> isSubmitted{false};
    std::atomic<int> early{0};
    Counts counts(6);
    Team(pool, 2).parallelFor(6, [&](size_t item, int member) {
      counts.counts[item]++;
      if (member != 0) {
        if (!isSubmitted.exchange(true)) {
          pool.submit(&job);
        } else if (!job.isDone.load()) {
          early.fetch_add(1);
        }
        return;
      }
      // The leader is held up until the job has run, so that all other items would be the helper's.
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (!job.isDone.load() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    });
    CHECK(job.isDone.load() && early.load() == 0, "the job was done: %d; items that the helper took before: %d",
          job.isDone.load(), early.load());
    CHECK(counts.areAll(1), "an item was left out or computed twice");
  }
}

TEST("a member's number belongs to one thread at a time") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(4).isOk(), "no threads");
  Team team(pool, 4);
  std::atomic<int> inside[kMaxTeam] = {};
  std::atomic<int> clashes{0};
  for (int region = 0; region < repetitions(3000); region++) {
    team.parallelFor(64, [&](size_t, int member) {
      if (inside[member].fetch_add(1) != 0) clashes.fetch_add(1);
      inside[member].fetch_sub(1);
    });
  }
  CHECK(clashes.load() == 0, "%d times two threads had one number, and so one scratch memory", clashes.load());
}

TEST("a team without pool threads, and one larger than the pool, computes everything") {
  for (int threads : {0, 1}) {
    ThreadPool pool;
    CHECK(pool.ensureThreads(threads).isOk(), "no threads");
    Team team(pool, 8);
    Counts counts(500);
    team.parallelFor(500, [&](size_t item, int) { counts.counts[item]++; });
    CHECK(counts.areAll(1), "with %d threads", threads);
  }
}

#if defined(__linux__)
TEST("pool threads give way to the threads that made them, whose priority stays") {
  struct Asking : ThreadPool::Job {
    void run() override {
      found = getpriority(PRIO_PROCESS, 0);
      isDone.store(true);
    }
    int found = -100;
    std::atomic<bool> isDone{false};
  };
  const int own = getpriority(PRIO_PROCESS, 0);
  ThreadPool pool;
  CHECK(pool.ensureThreads(2).isOk(), "no threads");
  Asking job;
  pool.submit(&job);
  while (!job.isDone.load()) std::this_thread::yield();
  CHECK(job.found == std::min(own + kPoliteness, 19), "%d beside %d", job.found, own);
  CHECK(getpriority(PRIO_PROCESS, 0) == own, "%d became %d", own, getpriority(PRIO_PROCESS, 0));
}
#endif

TEST("many jobs at once, each with a team, all end right") {
  for (int threads : {1, 2, 4, 16}) {
    ThreadPool pool;
    CHECK(pool.ensureThreads(threads).isOk(), "no threads");
    std::vector<CountingJob> jobs(static_cast<size_t>(repetitions(4000)));
    note("%d threads, %zu jobs", threads, jobs.size());
    for (size_t i = 0; i < jobs.size(); i++) {
      jobs[i].prepare(&pool, static_cast<int>(i % 5) + 1, i % 97);
      pool.submit(&jobs[i]);
    }
    for (const CountingJob& job : jobs) job.wait();
    for (const CountingJob& job : jobs) CHECK(job.isRight(), "a job computed something else");
  }
}

TEST("jobs may be submitted from many threads, teams may lead from threads outside the pool") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(3).isOk(), "no threads");
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 4; caller++) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < repetitions(600); i++) {
        CountingJob job;
        job.prepare(&pool, caller + 1, 40);
        pool.submit(&job);
        Team team(pool, 3);
        Counts counts(77);
        team.parallelFor(77, [&](size_t item, int) { counts.counts[item]++; });
        job.wait();
        if (!job.isRight() || !counts.areAll(1)) wrong.fetch_add(1);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong.load() == 0, "%d results are wrong", wrong.load());
}

TEST("a team inside an item of another team computes everything and ends") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(4).isOk(), "no threads");
  for (int i = 0; i < repetitions(1000); i++) {
    Team outer(pool, 3);
    std::vector<Counts> counts(6, Counts(50));
    outer.parallelFor(6, [&](size_t item, int) {
      Team inner(pool, 4);
      inner.parallelFor(50, [&](size_t innerItem, int) { counts[item].counts[innerItem]++; });
    });
    for (const Counts& inner : counts) CHECK(inner.areAll(1), "an inner region is not complete");
  }
}

TEST("a withdrawn job never runs, and a job that has begun cannot be withdrawn") {
  class Blocker : public ThreadPool::Job {
   public:
    void run() override {
      hasBegun.store(true);
      hasBegun.notify_all();
      mayEnd.wait(false);
      hasEnded.store(true);
      hasEnded.notify_all();
    }
    std::atomic<bool> hasBegun{false}, mayEnd{false}, hasEnded{false};
  };
  for (int i = 0; i < repetitions(1000); i++) {
    ThreadPool pool;
    CHECK(pool.ensureThreads(1).isOk(), "no threads");
    Blocker blocker;
    pool.submit(&blocker);
    blocker.hasBegun.wait(false);
    CHECK(!pool.withdraw(&blocker), "a running job was withdrawn");
    CountingJob first, second, third;
    for (CountingJob* job : {&first, &second, &third}) {
      job->prepare(&pool, 1, 4);
      pool.submit(job);
    }
    // The last in the queue, then one from within: what is appended after must not be lost.
    CHECK(pool.withdraw(&third) && pool.withdraw(&first), "a waiting job was not withdrawn");
    CHECK(!pool.withdraw(&first), "a job was withdrawn twice");
    CountingJob fourth;
    fourth.prepare(&pool, 1, 4);
    pool.submit(&fourth);
    blocker.mayEnd.store(true);
    blocker.mayEnd.notify_all();
    second.wait();
    fourth.wait();
    blocker.hasEnded.wait(false);
    CHECK(second.isRight() && fourth.isRight() && !first.isRight() && !third.isRight(), "the wrong jobs ran");
  }
}

TEST("a pool stops at once, whether its threads spin, sleep or have just been made") {
  for (int i = 0; i < repetitions(2000); i++) {
    ThreadPool pool;
    const int threads = i % 5 + 1;
    CHECK(pool.ensureThreads(threads).isOk(), "no threads");
    if (i % 3 == 1) {
      Team team(pool, threads);
      Counts counts(9);
      team.parallelFor(9, [&](size_t item, int) { counts.counts[item]++; });
      CHECK(counts.areAll(1), "the region is not complete");
    }
    // Long enough that all are parked.
    if (i % 20 == 2) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST("a pool grows while it works, never shrinks, and never beyond 64 threads") {
  ThreadPool pool;
  std::vector<CountingJob> jobs(20);
  for (int threads : {1, 3, 2, 5}) {
    CHECK(pool.ensureThreads(threads).isOk(), "no threads");
    for (size_t i = 0; i < 5; i++) {
      CountingJob& job = jobs[static_cast<size_t>(threads == 1 ? 0 : threads == 3 ? 5 : threads == 2 ? 10 : 15) + i];
      job.prepare(&pool, threads, 30);
      pool.submit(&job);
    }
  }
  for (const CountingJob& job : jobs) job.wait();
  CHECK(pool.threadCount() == 5, "%d threads", pool.threadCount());
  CHECK(pool.ensureThreads(1000).isOk() && pool.threadCount() == kMaxTeam, "%d threads", pool.threadCount());
}

TEST("a pool for which there is no memory says so, and works once there is") {
  for (int64_t n = 1; n < 100; n++) {
    ThreadPool pool;
    failAllocation(n);
    const Status status = pool.ensureThreads(3);
    const bool hasFailed = stopFailing();
    CHECK(status.isOk() == !hasFailed && (status.isOk() || status.code() == Code::outOfMemory), "allocation %lld: %s",
          static_cast<long long>(n), status.message().c_str());
    CHECK(pool.ensureThreads(3).isOk() && pool.threadCount() == 3, "%d threads after allocation %lld had failed",
          pool.threadCount(), static_cast<long long>(n));
    Team team(pool, 3);
    Counts counts(30);
    team.parallelFor(30, [&](size_t item, int) { counts.counts[item]++; });
    CHECK(counts.areAll(1), "the region is not complete after allocation %lld had failed", static_cast<long long>(n));
    if (!hasFailed) return;
  }
  CHECK(false, "making three threads takes a hundred allocations");
}

TEST("the pool of the process is one for all who hold it, and ends with the last") {
  std::weak_ptr<ThreadPool> seen;
  {
    const std::shared_ptr<ThreadPool> first = processPool();
    CHECK(first == processPool(), "there are two");
    CHECK(first->ensureThreads(2).isOk(), "no threads");
    seen = first;
  }
  CHECK(seen.expired(), "nobody holds it and it is still there");
  CHECK(processPool()->threadCount() == 0, "a new pool begins with threads");
}

}  // namespace repconv::test

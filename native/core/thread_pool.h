// The threads that compute, shared by everything in the process.
//
// A *job* (one inference request) waits in a queue until a pool thread takes it. The thread that runs it, or any other
// thread that wants to compute, becomes the leader of a *team*; idle pool threads join as helpers. The leader splits
// each step into items:
//
//     shares of a region with 10 items, 2 members:      0 1 2 3 4 | 5 6 7 8 9
//                                            member 0 → 0 1 2 … then what is left of the other share;
//                                            member 1 the other way round
//
// A member begins with its own share, so that neighbouring steps find their data in its cache, and then takes what
// others have not begun: the split needs nobody to be there, helpers may come late or leave. Results never depend on
// who computed an item.
//
// So one request alone uses all threads, and as many requests as threads run on one thread each: helpers leave for a
// waiting job after the item they are in.
//
// Waiting spins for kSpinMicroseconds at most, then sleeps, or where a team stands yields and comes back: two processes
// that spin on each other's processors were measured 15 times slower (1.0 → 15.4 ms for one inference, two processes of
// two threads on two processors).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/status.h"

namespace repconv {

inline constexpr int kMaxTeam = 64;
inline constexpr int kSpinMicroseconds = 50;
// How much nicer pool threads are than the thread that made them (Linux): a JavaScript thread that wakes gets a
// processor from them sooner. With 8 callers on 2 processors the event loop's delay (99th percentile, median of six
// interleaved rounds) went from 4.6 to 2.8 ms, in six others from 4.9 to 2.0; single rounds reached 8 ms either way,
// beside other processes. 5 is little better (2.2) and gives more away where others want the processors, too.
// Throughput stayed within its noise. (Linux 6.18, a busy virtual machine.)
inline constexpr int kPoliteness = 3;

class ThreadPool;

class Team {
 public:
  Team(ThreadPool& pool, int capacity);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // Members at most, the leader included; a member's number is below it.
  int capacity() const { return capacity_; }

  // Calls body(item, member) for every item below `count`, each once, and returns when all are done. `body` must not
  // throw.
  template <typename Body>
  void parallelFor(size_t count, const Body& body) {
    run(
        count, [](const void* context, size_t item, int member) { (*static_cast<const Body*>(context))(item, member); },
        &body);
  }

 private:
  friend class ThreadPool;
  using ItemFunction = void (*)(const void* context, size_t item, int member);
  struct alignas(64) Share {
    std::atomic<size_t> next{0};
    size_t end = 0;
  };

  void run(size_t count, ItemFunction function, const void* context);
  void work(int member);
  void help(int member);

  ThreadPool& pool_;
  Team* next_ = nullptr;
  const int capacity_;
  ItemFunction function_ = nullptr;
  const void* context_ = nullptr;
  // Odd while a region is open; a helper that has registered in active_ and still sees the same odd value may touch the
  // region.
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<int> active_{0};
  alignas(64) std::atomic<bool> isDismissed_{false};
  std::atomic<uint64_t> members_{1};  // bit m: number m is taken; the leader is 0
  Share shares_[kMaxTeam];
};

class ThreadPool {
 public:
  class Job {
   public:
    virtual ~Job() = default;
    // Called once on a pool thread. Must not throw. The pool does not touch the job afterwards.
    virtual void run() = 0;

   private:
    friend class ThreadPool;
    Job* next_ = nullptr;
  };

  ThreadPool() = default;
  ~ThreadPool();

  // Grows to at least `threads` pool threads.
  Status ensureThreads(int threads);
  int threadCount() const { return threadCount_.load(std::memory_order_relaxed); }

  // Wakes as many threads as the job's team will have: the others wait for it as the first one does for the job. Woken
  // one by the other, two threads come to share a processor for a time slice (MobileOne-s0 with 3 ms between its runs,
  // two threads on two processors: median 2.19 → 1.56 ms, three quarters within 1.63 ms, before 2.81; RepVGG-A0 3.76,
  // before 6.88; `node bench/pause.mjs`).
  void submit(Job* job, int threads = 1);
  // Takes a job back that no thread has begun. False if it runs or has run.
  bool withdraw(Job* job);

 private:
  friend class Team;

  void work();
  Job* takeJob();
  Team* joinTeam(int* member);
  void enlist(Team* team);
  void dismiss(Team* team);
  void wake(int threads);

  std::mutex mutex_;
  std::vector<std::thread> threads_;
  Team* firstTeam_ = nullptr;
  Job* firstJob_ = nullptr;
  Job** lastJob_ = &firstJob_;
  bool isStopping_ = false;

  std::atomic<int> threadCount_{0};
  alignas(64) std::atomic<int> pendingJobs_{0};
  std::atomic<int> openTeams_{0};
  std::atomic<int> parked_{0};
  // Changes whenever there may be something to do.
  alignas(64) std::atomic<int> signal_{0};
};

}  // namespace repconv

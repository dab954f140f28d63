// What one JavaScript environment (the main thread, a Worker) has of its own: its hold on the thread pool, and the runs
// it waits for.
//
// Life of a run:   JavaScript thread          pool thread                     JavaScript thread
//                  start() — queue ─────────▶ compute ─ finished() ─────────▶ settle the promise
//
// When the environment ends, its runs are told to stop, those that compute are waited for (one layer at most), and no
// JavaScript is touched any more: whatever they were to deliver is dropped.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "addon/convert.h"
#include "core/process.h"

namespace repconv {

class Environment;

// Work that is done on the pool and settles a promise. Subclasses compute in `compute` and make the result in
// `deliver`.
class AsyncRun : public ThreadPool::Job {
 public:
  const std::atomic<bool>* isCancelled() const { return &isCancelled_; }

 protected:
  virtual Status compute(ThreadPool& pool) = 0;
  // On the JavaScript thread, after success.
  virtual Result<Napi::Value> deliver(Napi::Env env) = 0;

 private:
  friend class Environment;
  void run() override;

  napi_deferred deferred_ = nullptr;
  Environment* environment_ = nullptr;
  uint32_t id_ = 0;
  std::atomic<bool> isCancelled_{false};
  Status status_;
};

class Environment {
 public:
  // Makes that of `env`, which keeps it to its end.
  static Status make(Napi::Env env);
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  ThreadPool& pool() { return *pool_; }

  struct Started {
    Napi::Value promise;
    uint32_t id = 0;  // identifies the run for cancel
  };
  // Queues a run of up to so many threads. Where that fails there is no promise, and no run.
  Result<Started> start(std::unique_ptr<AsyncRun> run, int threads);
  // A run that has not begun ends at once, one that computes ends after the layer it is in; both reject with an abort.
  void cancel(uint32_t id);

 private:
  friend class AsyncRun;
  // How many runs are being computed; outlives the environment for the moment in which the last one signs off.
  struct Counter {
    std::atomic<int> running{0};
  };

  explicit Environment(Napi::Env env) : pool_(processPool()), env_(env) {}
  Status open();
  static void settle(Napi::Env env, Napi::Function, Environment* environment, AsyncRun* run);
  using Delivery = Napi::TypedThreadSafeFunction<Environment, AsyncRun, settle>;

  void finished(AsyncRun* run);
  void end();

  std::shared_ptr<ThreadPool> pool_;
  std::shared_ptr<Counter> counter_ = std::make_shared<Counter>();
  Napi::Env env_;
  Delivery delivery_;
  std::unordered_map<uint32_t, std::unique_ptr<AsyncRun>> runs_;
  uint32_t nextId_ = 1;
  std::mutex mutex_;  // of isEnding_ against deliveries
  bool isEnding_ = false;
};

}  // namespace repconv

#include "addon/environment.h"

#include <new>

namespace repconv {

void AsyncRun::run() {
  const std::shared_ptr<Environment::Counter> counter = environment_->counter_;
  if (isCancelled_.load(std::memory_order_relaxed)) {
    status_ = Status(Code::aborted, "run: aborted");
  } else {
    try {
      status_ = compute(environment_->pool());
    } catch (const std::bad_alloc&) {
      status_ = Status(Code::outOfMemory, "run: out of memory");
    }
  }
  environment_->finished(this);
  counter->running.fetch_sub(1, std::memory_order_release);
  counter->running.notify_all();
}

Environment::Environment(Napi::Env env) : pool_(processPool()), env_(env) {
  delivery_ = Delivery::New(env, "repconv", 0, 1, this);
  // Only a run that is under way keeps the process alive.
  delivery_.Unref(env);
  // After the function above was made: hooks run last in, first out, and it must still stand when this one runs.
  env.AddCleanupHook([](Environment* environment) { environment->end(); }, this);
}

Environment::~Environment() = default;

uint32_t Environment::start(std::unique_ptr<AsyncRun> run) {
  AsyncRun* job = run.get();
  job->environment_ = this;
  job->id_ = nextId_++;
  if (runs_.empty()) delivery_.Ref(env_);
  runs_.emplace(job->id_, std::move(run));
  counter_->running.fetch_add(1, std::memory_order_relaxed);
  pool_->submit(job);
  return job->id_;
}

void Environment::cancel(uint32_t id) {
  const auto found = runs_.find(id);
  if (found == runs_.end()) return;
  AsyncRun* run = found->second.get();
  run->isCancelled_.store(true, std::memory_order_relaxed);
  // Not begun: no pool thread will see it, so it is finished here.
  if (!pool_->withdraw(run)) return;
  run->status_ = Status(Code::aborted, "run: aborted");
  finished(run);
  counter_->running.fetch_sub(1, std::memory_order_relaxed);
}

void Environment::finished(AsyncRun* run) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!isEnding_) delivery_.NonBlockingCall(run);
}

void Environment::settle(Napi::Env env, Napi::Function, Environment* environment, AsyncRun* run) {
  // Called without an environment when it is gone: there is nobody to tell.
  if (env == nullptr || environment == nullptr) return;
  const auto found = environment->runs_.find(run->id_);
  if (found == environment->runs_.end()) return;
  const std::unique_ptr<AsyncRun> owned = std::move(found->second);
  environment->runs_.erase(found);
  if (environment->runs_.empty()) environment->delivery_.Unref(env);
  const Napi::HandleScope scope(env);
  Napi::Value result;
  if (owned->status_.isOk()) result = owned->deliver(env);
  if (env.IsExceptionPending()) {
    owned->deferred_.Reject(env.GetAndClearPendingException().Value());
  } else if (owned->status_.isOk()) {
    owned->deferred_.Resolve(result);
  } else {
    owned->deferred_.Reject(toError(env, owned->status_).Value());
  }
}

void Environment::end() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    isEnding_ = true;
  }
  for (auto& [id, run] : runs_) {
    run->isCancelled_.store(true, std::memory_order_relaxed);
    if (pool_->withdraw(run.get())) counter_->running.fetch_sub(1, std::memory_order_relaxed);
  }
  for (int running; (running = counter_->running.load(std::memory_order_acquire)) > 0;) counter_->running.wait(running);
  runs_.clear();
  delivery_.Release();
  pool_.reset();
}

}  // namespace repconv

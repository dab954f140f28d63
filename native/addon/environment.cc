#include "addon/environment.h"

#include "addon/entry.h"

namespace repconv {

void AsyncRun::run() {
  const std::shared_ptr<Environment::Counter> counter = environment_->counter_;
  if (isCancelled_.load(std::memory_order_relaxed)) {
    status_ = Status(Code::aborted, "run: aborted");
  } else {
    status_ = orOutOfMemory([this] { return compute(environment_->pool()); });
  }
  environment_->finished(this);
  counter->running.fetch_sub(1, std::memory_order_release);
  counter->running.notify_all();
}

Status Environment::make(Napi::Env env) {
  std::unique_ptr<Environment> made(new Environment(env));
  Environment* environment = made.get();
  env.SetInstanceData(made.release());
  return environment->open();
}

Status Environment::open() {
  delivery_ = Delivery::New(env_, "repconv", 0, 1, this);
  if (env_.IsExceptionPending()) return failure(Code::native, "repconv: results of runs cannot be delivered here");
  // Only a run that is under way keeps the process alive.
  delivery_.Unref(env_);
  // After the function above was made: hooks run last in, first out, and it must still stand when this one runs.
  const auto end = [](void* environment) { static_cast<Environment*>(environment)->end(); };
  if (napi_add_env_cleanup_hook(env_, end, this) == napi_ok) return Status();
  delivery_.Release();
  return failure(Code::native, "repconv: the end of the environment cannot be watched");
}

Result<Environment::Started> Environment::start(std::unique_ptr<AsyncRun> run, int threads) {
  AsyncRun* job = run.get();
  job->environment_ = this;
  job->id_ = nextId_++;
  // What the run holds of JavaScript could not be held.
  if (env_.IsExceptionPending()) return failure(Code::native, "run: its arguments cannot be kept");
  const auto [place, isNew] = runs_.emplace(job->id_, std::move(run));
  napi_value promise = nullptr;
  if (napi_create_promise(env_, &job->deferred_, &promise) != napi_ok) {
    runs_.erase(place);
    return failure(Code::native, "run: no promise can be made");
  }
  if (runs_.size() == 1) delivery_.Ref(env_);
  counter_->running.fetch_add(1, std::memory_order_relaxed);
  // From here on the run may end at any time, though it is not settled before this thread returns to its event loop.
  pool_->submit(job, threads);
  return Started{Napi::Value(env_, promise), job->id_};
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
  Result<Napi::Value> result = std::move(owned->status_);
  if (result.isOk()) result = orOutOfMemory([&] { return owned->deliver(env); });
  if (env.IsExceptionPending()) {
    napi_reject_deferred(env, owned->deferred_, env.GetAndClearPendingException().Value());
  } else if (result.isOk()) {
    napi_resolve_deferred(env, owned->deferred_, result.value());
  } else {
    napi_reject_deferred(env, owned->deferred_, toError(env, result.status()).Value());
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

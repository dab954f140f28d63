// The one thing that is global and mutable: the thread pool of the process, kept while any environment (main thread,
// Worker) holds it.
#pragma once

#include <memory>

#include "core/thread_pool.h"

namespace repconv {

// The pool, made by the first caller. The threads end, joined, when the last holder lets go: before the process runs
// static destructors, and never while an environment could still submit.
std::shared_ptr<ThreadPool> processPool();

}  // namespace repconv

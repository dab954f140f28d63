#include "core/process.h"

namespace repconv {

std::shared_ptr<ThreadPool> processPool() {
  // Function-local and trivially destructible: nothing here runs when the process exits.
  static std::mutex* mutex = new std::mutex;
  static std::weak_ptr<ThreadPool>* current = new std::weak_ptr<ThreadPool>;
  std::lock_guard<std::mutex> lock(*mutex);
  std::shared_ptr<ThreadPool> pool = current->lock();
  if (pool == nullptr) {
    pool = std::make_shared<ThreadPool>();
    *current = pool;
  }
  return pool;
}

}  // namespace repconv

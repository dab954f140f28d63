#include "core/block_pool.h"

#include <algorithm>

namespace repconv {

BlockPool::BlockPool(size_t mostIdle) : mostIdle_(mostIdle) { idle_.reserve(mostIdle); }

Block BlockPool::take(size_t sizeBytes) {
  Block block;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    size_t found = idle_.size();
    for (size_t i = 0; i < idle_.size(); i++) {
      const bool fits = idle_[i].sizeBytes() >= sizeBytes;
      const bool isBetter = found == idle_.size() || idle_[i].sizeBytes() < idle_[found].sizeBytes() ||
                            idle_[found].sizeBytes() < sizeBytes;
      if (fits ? isBetter : found == idle_.size()) found = i;
    }
    if (found < idle_.size()) {
      block = std::move(idle_[found]);
      idle_[found] = std::move(idle_.back());
      idle_.pop_back();
      if (block.sizeBytes() >= sizeBytes) return block;
      sizeBytes_ -= block.sizeBytes();
    }
  }
  block = Block();
  block = Block::allocate(sizeBytes);
  std::lock_guard<std::mutex> lock(mutex_);
  sizeBytes_ += block.sizeBytes();
  return block;
}

void BlockPool::give(Block block) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.size() < mostIdle_) {
    idle_.push_back(std::move(block));
  } else {
    sizeBytes_ -= block.sizeBytes();
  }
}

void BlockPool::trim(size_t sizeBytes) {
  const size_t most = Block::roundedSize(sizeBytes);
  // One at a time: a list of them would take memory itself.
  for (;;) {
    Block freed;
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found =
        std::find_if(idle_.begin(), idle_.end(), [most](const Block& block) { return block.sizeBytes() > most; });
    if (found == idle_.end()) return;
    sizeBytes_ -= found->sizeBytes();
    freed = std::move(*found);
    *found = std::move(idle_.back());
    idle_.pop_back();
  }
}

size_t BlockPool::sizeBytes() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return sizeBytes_;
}

}  // namespace repconv

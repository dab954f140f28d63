// Blocks of memory that are used again and again: what a run needs is there from the run before.
#pragma once

#include <mutex>
#include <vector>

#include "core/memory.h"

namespace repconv {

// Any thread may take and give. Blocks that are taken have to be given back before the pool goes.
class BlockPool {
 public:
  // At most `mostIdle` blocks are kept while nobody uses them.
  explicit BlockPool(size_t mostIdle);

  // The smallest idle block of at least `sizeBytes`, or a new one in place of an idle one that is too small; an empty
  // one when there is no memory.
  Block take(size_t sizeBytes);
  void give(Block block);
  // Frees idle blocks that are larger than a new one of `sizeBytes` would be.
  void trim(size_t sizeBytes);
  // The size of all blocks, idle or in use.
  size_t sizeBytes() const;

 private:
  // The blocks are freed outside of the mutex: unmapping takes its time.
  mutable std::mutex mutex_;
  std::vector<Block> idle_;
  const size_t mostIdle_;
  size_t sizeBytes_ = 0;
};

}  // namespace repconv

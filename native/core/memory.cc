#include "core/memory.h"

#include <cstdlib>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(_WIN32)
#include <malloc.h>
#endif

namespace repconv {

namespace {

size_t alignmentFor(size_t sizeBytes) { return sizeBytes >= kHugePageBytes ? kHugePageBytes : kCacheLineBytes; }

}  // namespace

size_t Block::roundedSize(size_t sizeBytes) {
  // One cache line more, so that a vector load that begins at the last element stays inside.
  const size_t wanted = sizeBytes + kCacheLineBytes, rounded = roundUp(wanted, alignmentFor(wanted));
  return rounded < sizeBytes ? 0 : rounded;
}

Block Block::allocate(size_t sizeBytes) {
  Block block;
  const size_t rounded = roundedSize(sizeBytes), alignment = alignmentFor(rounded);
  if (rounded == 0) return block;
#if defined(_WIN32)
  block.data_ = _aligned_malloc(rounded, alignment);
#else
  block.data_ = std::aligned_alloc(alignment, rounded);
#endif
  if (block.data_ == nullptr) return block;
  block.sizeBytes_ = rounded;
#if defined(__linux__)
  if (alignment == kHugePageBytes) madvise(block.data_, rounded, MADV_HUGEPAGE);
#endif
  return block;
}

Block::~Block() {
#if defined(_WIN32)
  _aligned_free(data_);
#else
  std::free(data_);
#endif
}

}  // namespace repconv

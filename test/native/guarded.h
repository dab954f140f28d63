// Memory between pages that cannot be touched: whoever reads or writes one byte beside it dies at once.
//
//     Side::end     ┌────────┬──────────────────────────┬────────┐
//                   │ no use │ …          the elements  │ no use │
//                   └────────┴──────────────────────────┴────────┘
//     Side::begin   ┌────────┬──────────────────────────┬────────┐
//                   │ no use │ the elements           … │ no use │
//                   └────────┴──────────────────────────┴────────┘
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <utility>

namespace repconv::test {

enum class Side { begin, end };

inline constexpr Side kSides[] = {Side::begin, Side::end};

template <typename T>
class Guarded {
 public:
  Guarded(size_t size, Side side) : size_(size) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), bytes = size * sizeof(T);
    const size_t inner = (bytes + page - 1) / page * page;
    mappedBytes_ = inner + 2 * page;
    void* memory = mmap(nullptr, mappedBytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED ||
        (inner > 0 && mprotect(static_cast<char*>(memory) + page, inner, PROT_READ | PROT_WRITE) != 0))
      std::abort();
    mapped_ = static_cast<char*>(memory);
    data_ = reinterpret_cast<T*>(mapped_ + page + (side == Side::end ? inner - bytes : 0));
  }
  template <typename Fill>
  Guarded(size_t size, Side side, const Fill& fill) : Guarded(size, side) {
    for (size_t i = 0; i < size; i++) data_[i] = fill(i);
  }
  Guarded(Guarded&& other) noexcept
      : mapped_(std::exchange(other.mapped_, nullptr)),
        mappedBytes_(other.mappedBytes_),
        data_(other.data_),
        size_(other.size_) {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() {
    if (mapped_ != nullptr) munmap(mapped_, mappedBytes_);
  }

  T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) const { return data_[i]; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }

 private:
  char* mapped_ = nullptr;
  size_t mappedBytes_ = 0;
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace repconv::test

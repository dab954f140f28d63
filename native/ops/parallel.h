// The usual ways to cut work that has no structure of its own.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/thread_pool.h"
#include "ops/types.h"

namespace repconv {

// Elements worth handing to another thread.
inline constexpr size_t kChunkElements = 16 << 10;

// body(begin, end) over pieces of `size` elements.
template <typename Body>
void forChunks(Team& team, size_t size, const Body& body) {
  const size_t chunks = (size + kChunkElements - 1) / kChunkElements;
  team.parallelFor(
      chunks, [&](size_t chunk, int) { body(chunk * kChunkElements, std::min(size, (chunk + 1) * kChunkElements)); });
}

// body(n, y, member) over the rows of all images, several small rows at a time.
template <typename Body>
void forRows(Team& team, const Image& image, const Body& body) {
  const int64_t perItem =
      std::max<int64_t>(1, static_cast<int64_t>(kChunkElements) / std::max<int64_t>(1, image.W * image.pixel));
  const int64_t rows = image.N * image.H;
  team.parallelFor(static_cast<size_t>((rows + perItem - 1) / perItem), [&](size_t item, int member) {
    const int64_t begin = static_cast<int64_t>(item) * perItem;
    for (int64_t r = begin; r < std::min(rows, begin + perItem); r++) body(r / image.H, r % image.H, member);
  });
}

}  // namespace repconv

// Rows of an image that may be stored rounded, made by kernels that know float32 only: such a row is made in scratch
// memory and rounded on its way.
#pragma once

#include <cstring>

#include "ops/types.h"

namespace repconv {

// Scratch memory of each member of a team.
inline size_t rowScratchBytes(const Image& image) {
  return image.format == Format::float32
             ? 0
             : roundUp(static_cast<size_t>(image.W * image.pixel) * sizeof(float), kCacheLineBytes);
}

// make(row) writes the channels of row y of image n as float32. `bfloat16` may be null where the image is float32.
template <typename Make>
void writeRow(const Image& image, const Bfloat16Kernels* bfloat16, void* memory, int64_t n, int64_t y, float* scratch,
              const Make& make) {
  if (image.format == Format::float32) return make(image.at(static_cast<float*>(memory), n, y));
  // Channels beyond C are zeros.
  if (image.C < image.pixel) std::memset(scratch, 0, rowScratchBytes(image));
  make(scratch);
  uint16_t* row = image.at(static_cast<uint16_t*>(memory), n, y);
  bfloat16->narrow(row, image.format == Format::bfloat16x2 ? row + image.low : nullptr, scratch,
                   static_cast<size_t>(image.W * image.pixel));
}

}  // namespace repconv

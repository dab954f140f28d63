#include "ops/types.h"

#include <algorithm>
#include <cstring>

namespace repconv {

int64_t ValueType::size() const {
  int64_t size = 1;
  for (int64_t extent : shape) size *= extent;
  return size;
}

std::string showShape(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (int64_t extent : shape) {
    if (text.size() > 1) text += ',';
    text += std::to_string(extent);
  }
  text += ']';
  return text;
}

void Border::include(const Border& other) {
  top = std::max(top, other.top);
  left = std::max(left, other.left);
  bottom = std::max(bottom, other.bottom);
  right = std::max(right, other.right);
}

Image layOut(const ValueType& type, const Border& border, bool isTight) {
  Image image;
  image.N = type.extent(0);
  image.C = type.extent(1);
  image.H = type.extent(2);
  image.W = type.extent(3);
  image.border = border;
  image.pixel = isTight && image.C < kChannelBlock ? image.C : roundUp(image.C, kChannelBlock);
  image.row = (border.left + image.W + border.right) * image.pixel;
  // Rows whose distance is a multiple of 4 KB fall into the same cache sets, and loads of one seem to depend on stores to the other.
  constexpr ptrdiff_t kAlias = 4096 / sizeof(float);
  const int64_t rows = border.top + image.H + border.bottom;
  if (rows > 1 && !border.isNone() && image.row % kAlias == 0) image.row += kChannelBlock;
  image.image = roundUp(rows * image.row, kChannelBlock);
  image.origin = border.top * image.row + border.left * image.pixel;
  return image;
}

void clearBorder(const Image& image, float* memory, int64_t n, int64_t rowBegin, int64_t rowEnd) {
  const Border& border = image.border;
  if (border.isNone()) return;
  float* start = memory + n * image.image;
  const size_t rowBytes = static_cast<size_t>(image.row) * sizeof(float);
  if (rowBegin == 0) std::memset(start, 0, border.top * rowBytes);
  const size_t leftBytes = static_cast<size_t>(border.left * image.pixel) * sizeof(float);
  const size_t rightBytes = static_cast<size_t>(border.right * image.pixel) * sizeof(float);
  for (int64_t y = rowBegin; y < rowEnd; y++) {
    float* row = start + (border.top + y) * image.row;
    std::memset(row, 0, leftBytes);
    std::memset(row + (border.left + image.W) * image.pixel, 0, rightBytes);
  }
  if (rowEnd == image.H) std::memset(start + (border.top + image.H) * image.row, 0, border.bottom * rowBytes);
}

}  // namespace repconv

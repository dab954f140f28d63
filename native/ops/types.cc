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
  tail = std::max(tail, other.tail);
}

Image layOut(const ValueType& type, Format format, const Border& border, bool isTight) {
  Image image;
  image.format = format;
  image.N = type.extent(0);
  image.C = type.extent(1);
  image.H = type.extent(2);
  image.W = type.extent(3);
  image.border = border;
  image.pixel = isTight && image.C < kChannelBlock ? image.C : roundUp(image.C, kChannelBlock);
  image.row = (border.left + image.W + border.right) * image.pixel;
  // Rows whose distance is a multiple of 4 KB fall into the same cache sets, and loads of one seem to depend on stores
  // to the other.
  const auto elements = [format](size_t bytes) { return static_cast<ptrdiff_t>(bytes / elementBytes(format)); };
  const int64_t rows = border.top + image.H + border.bottom;
  if (rows > 1 && !border.isNone() && image.row % elements(4096) == 0) image.row += elements(kCacheLineBytes);
  ptrdiff_t plane = roundUp(rows * image.row + border.tail * image.pixel, elements(kCacheLineBytes));
  if (planesOf(format) > 1 && plane % elements(4096) == 0) plane += elements(kCacheLineBytes);
  image.image = planesOf(format) * plane;
  image.low = image.image - plane;
  image.origin = border.top * image.row + border.left * image.pixel;
  return image;
}

void clearBorder(const Image& image, void* memory, int64_t n, int64_t rowBegin, int64_t rowEnd) {
  const Border& border = image.border;
  if (border.isNone()) return;
  const auto bytes = [&image](ptrdiff_t elements) {
    return static_cast<size_t>(elements) * elementBytes(image.format);
  };
  for (int plane = 0; plane < planesOf(image.format); plane++) {
    char* start = static_cast<char*>(memory) + bytes(n * image.image + plane * image.low);
    if (rowBegin == 0) std::memset(start, 0, bytes(border.top * image.row));
    for (int64_t y = rowBegin; y < rowEnd; y++) {
      char* row = start + bytes((border.top + y) * image.row);
      std::memset(row, 0, bytes(border.left * image.pixel));
      std::memset(row + bytes((border.left + image.W) * image.pixel), 0, bytes(border.right * image.pixel));
    }
    if (rowEnd == image.H)
      std::memset(start + bytes((border.top + image.H) * image.row), 0, bytes(border.bottom * image.row));
  }
}

}  // namespace repconv

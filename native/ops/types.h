// What an operation knows of the values it reads and writes: their types, and how images lie in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/memory.h"
#include "kernels/bfloat16.h"

namespace repconv {

// uint8: a decoded image, as an input of a program only.
enum class DType { float32, float64, uint8 };

// plain: dense, row-major. nhwc: an image [N, C, H, W] stored pixel by pixel, see Image.
enum class Layout { plain, nhwc };

struct ValueType {
  DType dtype = DType::float32;
  Layout layout = Layout::plain;
  std::vector<int64_t> shape;

  int64_t size() const;
  int64_t extent(size_t axis) const { return axis < shape.size() ? shape[axis] : 1; }
};

std::string showShape(const std::vector<int64_t>& shape);

// Pixels of zeros around an image, so that no convolution needs to ask whether a tap lies outside.
struct Border {
  int top = 0, left = 0, bottom = 0, right = 0;
  // Pixels of anything behind the last row: they are read, and what is made of them is thrown away.
  int tail = 0;

  void include(const Border& other);
  bool isNone() const { return (top | left | bottom | right) == 0; }
};

// An image in memory, padded NHWC:
//
//        left        W pixels          right
//     ┌───────┬───────────────────────┬──────┐
//     │ 0 0 0 │ 0 0 0 … 0 0 0         │ 0 0  │  top rows
//     ├───────┼───────────────────────┼──────┤
//     │ 0 0 0 │ c0 c1 … | c0 c1 … | … │ 0 0  │  H rows; a pixel is its C channels, then what rounds them up
//     ├───────┼───────────────────────┼──────┤
//     │ 0 0 0 │ 0 0 0 … 0 0 0         │ 0 0  │  bottom rows
//     └───────┴───────────────────────┴──────┘
//
// Strides are in elements of the format. Channels beyond C hold anything in float32, where no sum ever includes them,
// so a NaN there stays there; they are zeros in the other formats.
struct Image {
  int64_t N = 0, C = 0, H = 0, W = 0;
  Format format = Format::float32;
  Border border;
  ptrdiff_t pixel = 0;
  ptrdiff_t row = 0;
  ptrdiff_t image = 0;
  ptrdiff_t origin = 0;  // of pixel (0, 0) of image 0, from the start of the memory
  ptrdiff_t low = 0;  // from a number's high part to its low part

  // Rows follow each other without a gap: the whole image is one row of H·W pixels.
  bool isDense() const { return row == W * pixel; }
  size_t sizeBytes() const { return static_cast<size_t>(N * image) * elementBytes(format); }
  template <typename Element>
  Element* at(Element* memory, int64_t n, int64_t y, int64_t x = 0) const {
    return memory + origin + n * image + y * row + x * pixel;
  }
};

// Channels of a pixel are rounded up to this many, so that kernels may work in whole vectors of any instruction set.
inline constexpr int64_t kChannelBlock = 16;

// `isTight`: fewer channels than a block stay unrounded (an image of 3 channels would grow fivefold); only readers that
// need no whole vectors can have that.
Image layOut(const ValueType& type, Format format, const Border& border, bool isTight);

// Zeroes the border beside rows rowBegin … rowEnd − 1 of image n, and above the first and below the last row of the
// image. Whoever writes the rows calls it, in the same task: the memory held something else before.
void clearBorder(const Image& image, void* memory, int64_t n, int64_t rowBegin, int64_t rowEnd);

}  // namespace repconv

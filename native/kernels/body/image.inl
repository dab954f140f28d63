// Kernels that walk over pixels: depthwise convolution, pooling, and the change between planes and pixels.

// A depthwise block walks over channels while its pixels stay: all that it reads and writes are streams in order. (One
// vector of channels over a row of pixels strides by whole pixels, which uses few sets of the cache, and which no
// prefetcher follows.)
//
// 3×3 kernels that move by kStride taps: kRows × kPixels outputs, each input loaded once, for all outputs that it
// reaches. Registers: kRows · kPixels sums, 1 input, and as many of the 9 weights as are left. C = 48 at 56×56, one
// core of an EPYC (Zen 5), GFLOP/s: 4×4 in AVX-512 215 of 270 (2×4 185, 2×6 190, 4×6 150; each tap from memory 105),
// 2×4 in AVX2 115 of 136 (4×2 119, but 14 rows are worse; 73).
template <int kStride, int kRows, int kPixels>
__attribute__((noinline)) static void depthwise3x3Block(const DepthwiseRows& work, int64_t y, int64_t x) {
  const float* corner = work.in + y * work.inRow + x * work.inPixel;
  float* outCorner = work.out + y * work.outRow + x * work.outPixel;
  const float* residual =
      work.residual != nullptr ? work.residual + y * work.residualRow + x * work.residualPixel : nullptr;
  // Copies: for all the compiler knows, a store might change what `work` refers to.
  const float *weights = work.weights, *biases = work.bias;
  const ptrdiff_t weightStride = work.weightStride, tapRow = work.tapRow, tapPixel = work.tapPixel,
                  outRow = work.outRow, outPixel = work.outPixel;
  const int64_t channels = work.channels;
  const vf low = broadcast(work.low), high = broadcast(work.high);
  for (int64_t c = 0; c < channels; c += VL) {
    vf taps[9], sum[kRows][kPixels];
    const vf bias = load(biases + c);
#pragma GCC unroll 9
    for (int t = 0; t < 9; t++) taps[t] = load(weights + t * weightStride + c);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
      for (int p = 0; p < kPixels; p++) sum[r][p] = bias;
    }
    const float* line = corner + c;
#pragma GCC unroll 16
    for (int i = 0; i < kStride * (kRows - 1) + 3; i++) {
      const float* in = line;
#pragma GCC unroll 16
      for (int j = 0; j < kStride * (kPixels - 1) + 3; j++) {
        const vf value = load(in);
        in = stepped(in, tapPixel);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; r++) {
          const int u = i - r * kStride;
#pragma GCC unroll 4
          for (int p = 0; p < kPixels; p++) {
            const int v = j - p * kStride;
            if (u >= 0 && u < 3 && v >= 0 && v < 3) sum[r][p] += value * taps[u * 3 + v];
          }
        }
      }
      line = stepped(line, tapRow);
    }
    if (residual != nullptr) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
        for (int p = 0; p < kPixels; p++)
          sum[r][p] += load(residual + r * work.residualRow + p * work.residualPixel + c);
      }
    }
    float* outLine = outCorner + c;
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r++) {
      float* out = outLine;
#pragma GCC unroll 4
      for (int p = 0; p < kPixels; p++) {
        store(out, clamp(sum[r][p], low, high));
        out = stepped(out, outPixel);
      }
      outLine = stepped(outLine, outRow);
    }
  }
}

template <int kStride, int kRows, int kPixels>
REPCONV_INLINE void depthwise3x3Blocks(const DepthwiseRows& work, int64_t y, int64_t x, int64_t pixels) {
  if (pixels == kPixels) return depthwise3x3Block<kStride, kRows, kPixels>(work, y, x);
  if constexpr (kPixels > 1) depthwise3x3Blocks<kStride, kRows, kPixels - 1>(work, y, x, pixels);
}

// Rows y … , kRows at a time, then fewer; blocks of nearly equal width.
template <int kStride, int kRows>
static void depthwise3x3(const DepthwiseRows& work, int64_t y) {
  const int64_t blocks = (work.pixels + kDepthwisePixels - 1) / kDepthwisePixels;
  for (; y + kRows <= work.rows; y += kRows) {
    for (int64_t b = 0, x = 0; b < blocks; b++) {
      const int64_t end = work.pixels * (b + 1) / blocks;
      depthwise3x3Blocks<kStride, kRows, kDepthwisePixels>(work, y, x, end - x);
      x = end;
    }
  }
  if constexpr (kRows > 1) depthwise3x3<kStride, kRows / 2>(work, y);
}

// Any kernel: kPixels outputs of a row share each tap's weights, every input is loaded for every tap.
template <int kPixels>
static void depthwiseBlock(const DepthwiseRows& work, int64_t y, int64_t x) {
  const DepthwiseRows w = work;
  const float* corner = w.in + y * w.inRow + x * w.inPixel;
  float* out = w.out + y * w.outRow + x * w.outPixel;
  const float* residual = w.residual != nullptr ? w.residual + y * w.residualRow + x * w.residualPixel : nullptr;
  const vf low = broadcast(w.low), high = broadcast(w.high);
  for (int64_t c = 0; c < w.channels; c += VL) {
    vf sum[kPixels];
    const vf bias = load(w.bias + c);
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; p++) sum[p] = bias;
    const float* weights = w.weights + c;
    for (int u = 0; u < w.tapRows; u++) {
      const float* in = corner + u * w.tapRow + c;
      for (int v = 0; v < w.tapColumns; v++) {
        const vf tap = load(weights);
#pragma GCC unroll 8
        for (int p = 0; p < kPixels; p++) sum[p] += load(in + p * w.inPixel) * tap;
        weights += w.weightStride;
        in += w.tapPixel;
      }
    }
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; p++) {
      if (residual != nullptr) sum[p] += load(residual + p * w.residualPixel + c);
      store(out + p * w.outPixel + c, clamp(sum[p], low, high));
    }
  }
}

static void depthwiseChannels(const DepthwiseRows& work) {
  if (work.tapRows == 3 && work.tapColumns == 3) {
    if (work.inRow == work.tapRow && work.inPixel == work.tapPixel) return depthwise3x3<1, kDepthwiseRows>(work, 0);
    if (work.inRow == 2 * work.tapRow && work.inPixel == 2 * work.tapPixel)
      return depthwise3x3<2, kDepthwiseRows>(work, 0);
  }
  for (int64_t y = 0; y < work.rows; y++) {
    int64_t x = 0;
    for (; x + 8 <= work.pixels; x += 8) depthwiseBlock<8>(work, y, x);
    for (; x + 4 <= work.pixels; x += 4) depthwiseBlock<4>(work, y, x);
    for (; x < work.pixels; x++) depthwiseBlock<1>(work, y, x);
  }
}

// 128 channels at a time: neighbouring blocks then find the pixels they share in L1 (512 channels at 14×14: 127 → 140
// GFLOP/s).
static void depthwise(const DepthwiseRows& work) {
  constexpr int64_t kChannels = 128;
  for (int64_t c = 0; c < work.channels; c += kChannels) {
    DepthwiseRows part = work;
    part.in += c;
    part.weights += c;
    part.bias += c;
    part.out += c;
    if (part.residual != nullptr) part.residual += c;
    part.channels = work.channels - c < kChannels ? work.channels - c : kChannels;
    depthwiseChannels(part);
  }
}

static void poolMax(float* out, const float* in, const ptrdiff_t* taps, int64_t tapCount, int64_t channels) {
  for (int64_t c = 0; c < channels; c += VL) {
    vf largest = broadcast(-__builtin_inff());
    for (int64_t t = 0; t < tapCount; t++) {
      const vf value = load(in + taps[t] + c);
      // NaN wins, and stays: nothing is greater.
      largest = (value > largest) | (value != value) ? value : largest;
    }
    store(out + c, largest);
  }
}

static vf sumOfTaps(const float* in, const ptrdiff_t* taps, int64_t tapCount) {
  if (tapCount > kStretch) {
    const int64_t half = tapCount / 2;
    return sumOfTaps(in, taps, half) + sumOfTaps(in, taps + half, tapCount - half);
  }
  vf sum{};
  for (int64_t t = 0; t < tapCount; t++) sum += load(in + taps[t]);
  return sum;
}

static void poolMean(float* out, const float* in, const ptrdiff_t* taps, int64_t tapCount, int64_t channels,
                     float divisor) {
  for (int64_t c = 0; c < channels; c += VL) store(out + c, sumOfTaps(in + c, taps, tapCount) / divisor);
}

// Three planes, pixels side by side: what the compiler makes vectors of, when it is told so.
static void interleaveColours(float* __restrict out, const float* __restrict in, ptrdiff_t plane, int64_t pixels) {
  for (int64_t x = 0; x < pixels; x++) {
    out[3 * x] = in[x];
    out[3 * x + 1] = in[plane + x];
    out[3 * x + 2] = in[2 * plane + x];
  }
}

// Eight planes at a time: each cache line of a pixel is written while it is in L1.
static void interleave(float* out, ptrdiff_t pixel, const float* in, ptrdiff_t plane, int64_t channels,
                       int64_t pixels) {
  if (channels == 3 && pixel == 3) return interleaveColours(out, in, plane, pixels);
  int64_t c = 0;
  for (; c + 8 <= channels; c += 8) {
    for (int64_t x = 0; x < pixels; x++) {
      float* to = out + x * pixel + c;
      for (int i = 0; i < 8; i++) to[i] = in[(c + i) * plane + x];
    }
  }
  for (; c + 3 <= channels; c += 3) {
    const float* planes[3] = {in + c * plane, in + (c + 1) * plane, in + (c + 2) * plane};
    for (int64_t x = 0; x < pixels; x++) {
      float* to = out + x * pixel + c;
      to[0] = planes[0][x];
      to[1] = planes[1][x];
      to[2] = planes[2][x];
    }
  }
  for (; c < channels; c++) {
    for (int64_t x = 0; x < pixels; x++) out[x * pixel + c] = in[c * plane + x];
  }
}

static void deinterleave(float* out, ptrdiff_t plane, const float* in, ptrdiff_t pixel, int64_t channels,
                         int64_t pixels) {
  int64_t c = 0;
  for (; c + 8 <= channels; c += 8) {
    for (int64_t x = 0; x < pixels; x++) {
      const float* from = in + x * pixel + c;
      for (int i = 0; i < 8; i++) out[(c + i) * plane + x] = from[i];
    }
  }
  for (; c < channels; c++) {
    for (int64_t x = 0; x < pixels; x++) out[c * plane + x] = in[x * pixel + c];
  }
}

static void fillImage(KernelTable& table) {
  table.depthwiseRows = kDepthwiseRows;
  table.depthwise = depthwise;
  table.poolMax = poolMax;
  table.poolMean = poolMean;
  table.interleave = interleave;
  table.deinterleave = deinterleave;
}

// Kernels that walk over pixels: depthwise convolution, pooling, and the change between planes and pixels.

// Tiles of kDepthwisePixels outputs share each tap's weights, one vector of channels at a time.
// Registers: kPixels sums, one vector of weights; the inputs are memory operands.
template <int kPixels>
static void depthwiseTile(const DepthwiseRow& row, int64_t firstPixel, int64_t c) {
  vf sum[kPixels];
  const vf bias = load(row.bias + c);
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; p++) sum[p] = bias;
  const float* in = row.in + firstPixel * row.inPixelStride + c;
  for (int t = 0; t < row.tapCount; t++) {
    const vf w = load(row.weights + t * row.weightStride + c);
    const float* tap = in + row.tapOffsets[t];
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; p++) sum[p] += load(tap + p * row.inPixelStride) * w;
  }
  const vf low = broadcast(row.low);
  const vf high = broadcast(row.high);
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; p++) {
    vf value = sum[p];
    if (row.residual != nullptr) value += load(row.residual + (firstPixel + p) * row.residualPixelStride + c);
    store(row.out + (firstPixel + p) * row.outPixelStride + c, clamp(value, low, high));
  }
}

static void depthwise(const DepthwiseRow& row) {
  for (int64_t c = 0; c < row.channels; c += VL) {
    int64_t p = 0;
    for (; p + 8 <= row.pixels; p += 8) depthwiseTile<8>(row, p, c);
    for (; p + 4 <= row.pixels; p += 4) depthwiseTile<4>(row, p, c);
    for (; p < row.pixels; p++) depthwiseTile<1>(row, p, c);
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

static void poolMean(float* out, const float* in, const ptrdiff_t* taps, int64_t tapCount, int64_t channels, float divisor) {
  for (int64_t c = 0; c < channels; c += VL) store(out + c, sumOfTaps(in + c, taps, tapCount) / divisor);
}

// Eight planes at a time: each cache line of a pixel is written while it is in L1.
static void interleave(float* out, ptrdiff_t pixel, const float* in, ptrdiff_t plane, int64_t channels, int64_t pixels) {
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

static void deinterleave(float* out, ptrdiff_t plane, const float* in, ptrdiff_t pixel, int64_t channels, int64_t pixels) {
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
  table.depthwise = depthwise;
  table.poolMax = poolMax;
  table.poolMean = poolMean;
  table.interleave = interleave;
  table.deinterleave = deinterleave;
}

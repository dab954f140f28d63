// What both bfloat16 kernels do with a finished vector of sums, inside their target regions.

static inline __attribute__((always_inline)) void finishVector(const Bfloat16Tile& tile, const Bfloat16Tile::Strip& strip, int p, int v, __m512 value) {
  const ptrdiff_t channel = static_cast<ptrdiff_t>(v) * kBfloat16Lanes;
  if (strip.residual != nullptr) value += _mm512_loadu_ps(strip.residual + p * tile.residualPixelStride + channel);
  const __m512 low = _mm512_set1_ps(tile.low), high = _mm512_set1_ps(tile.high);
  // Keeps NaN, and −0 at low = 0.
  value = value < low ? low : value;
  value = value > high ? high : value;
  const __mmask16 lanes = v + 1 < tile.vectors ? 0xffff : static_cast<__mmask16>((1u << tile.lastLanes) - 1);
  _mm512_mask_storeu_ps(strip.out + p * tile.outPixelStride + channel, lanes, value);
}

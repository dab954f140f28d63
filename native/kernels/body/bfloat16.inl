// What both bfloat16 kernels do with a finished vector of sums, inside their target regions.

// A store under a mask of 16-bit lanes costs as much as ten without one (EPYC, Zen 5).
static inline __attribute__((always_inline)) void storeHalves(uint16_t* to, __m256i value, __mmask16 lanes) {
  if (lanes == 0xffff) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
  } else {
    _mm256_mask_storeu_epi16(to, lanes, value);
  }
}

// The bfloat16 nearest to x; `low`, if given, receives the one nearest to what is left.
static inline __attribute__((always_inline)) void narrowVector(uint16_t* high, uint16_t* low, __m512 x, __mmask16 lanes) {
  const __m256i rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
  storeHalves(high, rounded, lanes);
  if (low == nullptr) return;
  // (The forms with a mask: the others read an undefined register in GCC 12, which warns of it.)
  const __m512i bits = _mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, rounded), 16);
  const __m512i exponent = _mm512_set1_epi32(0x7f800000);
  const __mmask16 isFinite = _mm512_cmpneq_epi32_mask(bits & exponent, exponent);
  const __m512 rest = _mm512_maskz_sub_ps(isFinite, x, _mm512_castsi512_ps(bits));
  storeHalves(low, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(rest)), lanes);
}

static inline __attribute__((always_inline)) __mmask16 firstLanes(int count) { return static_cast<__mmask16>((1u << count) - 1); }

static inline __attribute__((always_inline)) void finishVector(const Bfloat16Tile& tile, const Bfloat16Tile::Strip& strip, int p, int v, __m512 value) {
  const ptrdiff_t channel = static_cast<ptrdiff_t>(v) * kBfloat16Lanes;
  if (strip.residual != nullptr) value += _mm512_loadu_ps(strip.residual + p * tile.residualPixelStride + channel);
  const __m512 low = _mm512_set1_ps(tile.low), high = _mm512_set1_ps(tile.high);
  // Keeps NaN, and −0 at low = 0.
  value = value < low ? low : value;
  value = value > high ? high : value;
  const bool isLast = v + 1 == tile.vectors;
  const __mmask16 lanes = isLast ? firstLanes(tile.lastLanes) : 0xffff;
  const ptrdiff_t at = p * tile.outPixelStride + channel;
  if (tile.outFormat == Format::float32) {
    _mm512_mask_storeu_ps(static_cast<float*>(strip.out) + at, lanes, value);
    return;
  }
  uint16_t* out = static_cast<uint16_t*>(strip.out) + at;
  if (isLast) value = _mm512_maskz_mov_ps(firstLanes(tile.lastChannels), value);
  narrowVector(out, tile.outFormat == Format::bfloat16x2 ? out + tile.outLowPlane : nullptr, value, lanes);
}

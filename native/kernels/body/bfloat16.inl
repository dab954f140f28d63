// What both bfloat16 kernels do with a finished vector of sums, inside their target regions.

// Without a mask where none is needed: stores under masks of 16-bit lanes are slow (first layer of RepVGG-A0 0.185 →
// 0.16 ms; EPYC, Zen 5).
static inline __attribute__((always_inline)) void storeHalves(uint16_t* to, __m256i value, __mmask16 lanes) {
  if (lanes == 0xffff) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
  } else {
    _mm256_mask_storeu_epi16(to, lanes, value);
  }
}

// The bfloat16 nearest to x; `low`, if given, receives the one nearest to what is left.
static inline __attribute__((always_inline)) void narrowVector(uint16_t* high, uint16_t* low, __m512 x,
                                                               __mmask16 lanes) {
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

static inline __attribute__((always_inline)) __mmask16 firstLanes(int count) {
  return static_cast<__mmask16>((1u << count) - 1);
}

// What is done to the sums of a tile's pixels, with all that it needs in registers.
template <Format kFormat>
struct Finish {
  __m512 low, high;
  ptrdiff_t outPixel, outLow, residualPixel;
  int last;  // vector
  __mmask16 lanes, channels;

  inline __attribute__((always_inline)) explicit Finish(const Bfloat16Tile& tile)
      : low(_mm512_set1_ps(tile.low)),
        high(_mm512_set1_ps(tile.high)),
        outPixel(tile.outPixelStride),
        outLow(tile.outLowPlane),
        residualPixel(tile.residualPixelStride),
        last(tile.vectors - 1),
        lanes(firstLanes(tile.lastLanes)),
        channels(firstLanes(tile.lastChannels)) {}

  inline __attribute__((always_inline)) void vector(const Bfloat16Tile::Strip& strip, int p, int v,
                                                    __m512 value) const {
    const ptrdiff_t channel = static_cast<ptrdiff_t>(v) * kBfloat16Lanes, at = p * outPixel + channel;
    if (strip.residual != nullptr) value += _mm512_loadu_ps(strip.residual + p * residualPixel + channel);
    // Keeps NaN, and −0 at low = 0.
    value = value < low ? low : value;
    value = value > high ? high : value;
    const __mmask16 stored = v == last ? lanes : 0xffff;
    if constexpr (kFormat == Format::float32) {
      _mm512_mask_storeu_ps(static_cast<float*>(strip.out) + at, stored, value);
    } else {
      if (v == last) value = _mm512_maskz_mov_ps(channels, value);
      uint16_t* out = static_cast<uint16_t*>(strip.out) + at;
      narrowVector(out, kFormat == Format::bfloat16x2 ? out + outLow : nullptr, value, stored);
    }
  }
};

// body(finish) for the tile's format.
template <typename Body>
static inline __attribute__((always_inline)) void finishAs(const Bfloat16Tile& tile, const Body& body) {
  switch (tile.outFormat) {
    case Format::float32:
      return body(Finish<Format::float32>(tile));
    case Format::bfloat16:
      return body(Finish<Format::bfloat16>(tile));
    case Format::bfloat16x2:
      return body(Finish<Format::bfloat16x2>(tile));
  }
}

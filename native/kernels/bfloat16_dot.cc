// bfloat16 by AVX512_BF16: vdpbf16ps adds two products to each of 16 sums.
//
// Registers, as in body/gemm.inl: 24 sums (8 pixels × 3 vectors, 12 × 2), the vectors' weights, one broadcast pair of
// inputs; split, twice the weights and one broadcast more: all 32.
#include "kernels/bfloat16.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,prefer-vector-width=512")
#endif

namespace repconv {
namespace {

#include "kernels/body/bfloat16.inl"

constexpr int kTilePixels[kMaxPanelVectors + 1] = {0, 14, 12, 8};
// How many of a step's one to three lines of weights are fetched: the next panel has arrived after as many tiles.
constexpr int kPrefetchLines = 1;

inline __attribute__((always_inline)) __m512 products(__m512 sum, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

inline __attribute__((always_inline)) __m512i pairAt(const uint16_t* in) {
  int pair;
  __builtin_memcpy(&pair, in, sizeof pair);
  return _mm512_set1_epi32(pair);
}

template <int kPixels, int kVectors, bool kIsSplit>
void multiplyTile(const Bfloat16Tile& tile) {
  constexpr int kLine = 2 * kBfloat16Lanes, kParts = kIsSplit ? 2 : 1;
  const Bfloat16Tile::Strip& strip = tile.strips[0];
  __m512 sum[kPixels][kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; v++) {
    const __m512 bias = _mm512_loadu_ps(tile.bias + v * kBfloat16Lanes);
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; p++) sum[p][v] = bias;
  }
  const uint16_t* weights = tile.weights;
  const ptrdiff_t stride = tile.pixelStride, lowPlane = tile.lowPlane;
  const uint16_t* prefetch = tile.prefetch;
  for (int run = 0; run < tile.runCount; run++) {
    const uint16_t* in = strip.in + tile.runOffsets[run];
    const int length = tile.runLength;
#pragma GCC unroll 2
    for (int next = 0; next < length; next += 2) {
      const int k = next + 2 <= length ? next : length - 2;
      __m512i high[kVectors], low[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) {
        high[v] = _mm512_loadu_si512(weights + v * kLine);
        if constexpr (kIsSplit) low[v] = _mm512_loadu_si512(weights + (kVectors + v) * kLine);
      }
#pragma GCC unroll 2
      for (int line = 0; line < kPrefetchLines * kParts; line++) __builtin_prefetch(prefetch + line * kLine, 0, 2);
      prefetch += kPrefetchLines * kParts * kLine;
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; p++) {
        const __m512i x = pairAt(in + p * stride + k);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; v++) sum[p][v] = products(sum[p][v], high[v], x);
        if constexpr (kIsSplit) {
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; v++) sum[p][v] = products(sum[p][v], low[v], x);
          const __m512i rest = pairAt(in + lowPlane + p * stride + k);
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; v++) sum[p][v] = products(sum[p][v], high[v], rest);
        }
      }
      weights += kLine * kVectors * kParts;
    }
  }
  finishAs(
      tile, [&](const auto& finish) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int p = 0; p < kPixels; p++) {
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; v++) finish.vector(strip, p, v, sum[p][v]);
        }
      });
}

using TileFunction = void (*)(const Bfloat16Tile& tile);

template <bool kIsSplit>
struct TileTable {
  TileFunction byVectors[kMaxPanelVectors + 1][kMaxTilePixels + 1] = {};
  constexpr TileTable() {
    fill<1, kTilePixels[1]>();
    fill<2, kTilePixels[2]>();
    fill<3, kTilePixels[3]>();
  }
  template <int kVectors, int kPixels>
  constexpr void fill() {
    if constexpr (kPixels > 0) {
      byVectors[kVectors][kPixels] = multiplyTile<kPixels, kVectors, kIsSplit>;
      fill<kVectors, kPixels - 1>();
    }
  }
};

template <bool kIsSplit>
void multiply(Bfloat16Work&, const Bfloat16Tile& tile) {
  static constexpr TileTable<kIsSplit> table;
  table.byVectors[tile.vectors][tile.strips[0].pixels](tile);
}

void narrow(uint16_t* high, uint16_t* low, const float* in, size_t size) {
  size_t i = 0;
  for (; i + kBfloat16Lanes <= size; i += kBfloat16Lanes)
    narrowVector(high + i, low == nullptr ? nullptr : low + i, _mm512_loadu_ps(in + i), 0xffff);
  if (i == size) return;
  const __mmask16 lanes = firstLanes(static_cast<int>(size - i));
  narrowVector(high + i, low == nullptr ? nullptr : low + i, _mm512_maskz_loadu_ps(lanes, in + i), lanes);
}

// Pixels of at most a vector: its stretches come together in a register. (Lanes outside a mask are not read.)
template <int kCount>
void gatherShort(const Bfloat16Patches& patches) {
  const uint16_t* in[kCount];
  __mmask32 lanes[kCount];
  for (int i = 0; i < kCount; i++) {
    in[i] = patches.in + patches.offsets[i] - i * patches.size;
    lanes[i] = ((__mmask32{1} << patches.size) - 1) << (i * patches.size);
  }
  uint16_t* out = patches.out;
  for (int64_t p = 0; p < patches.pixels; p++, out += patches.outPixel) {
    __m512i value = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int i = 0; i < kCount; i++) value = _mm512_mask_loadu_epi16(value, lanes[i], in[i] + p * patches.inPixel);
    _mm512_storeu_si512(out, value);
  }
}

// Whole vectors are stored, in order: what one writes too much, the next one overwrites.
void gather(const Bfloat16Patches& patches) {
  constexpr int64_t kLanes = 2 * kBfloat16Lanes;
  // Three rows of taps, as most first layers have.
  if (patches.count == 3 && 3 * patches.size <= kLanes) return gatherShort<3>(patches);
  const uint16_t* in = patches.in;
  uint16_t* out = patches.out;
  for (int64_t p = 0; p < patches.pixels; p++, in += patches.inPixel, out += patches.outPixel) {
    // (A shorter pixel ends with the zeros of its last stretch.)
    if (patches.outPixel >= kLanes) _mm512_storeu_si512(out + patches.outPixel - kLanes, _mm512_setzero_si512());
    for (int64_t i = 0; i < patches.count; i++) {
      const uint16_t* from = in + patches.offsets[i];
      uint16_t* to = out + i * patches.size;
      int64_t k = 0;
      for (; k + kLanes <= patches.size; k += kLanes) _mm512_storeu_si512(to + k, _mm512_loadu_si512(from + k));
      const __mmask32 lanes = (__mmask32{1} << (patches.size - k)) - 1;
      if (lanes != 0) _mm512_storeu_si512(to + k, _mm512_maskz_loadu_epi16(lanes, from + k));
    }
  }
}

void nothing(Bfloat16Work&) {}

}  // namespace
}  // namespace repconv

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace repconv {
const Bfloat16Kernels* bfloat16DotKernels() {
  static constexpr Bfloat16Kernels kernels = {"avx512-bf16",
                                              2,
                                              kMaxPanelVectors,
                                              {0, kTilePixels[1], kTilePixels[2], kTilePixels[3]},
                                              1,
                                              1,
                                              kPrefetchLines,
                                              1.0,
                                              {multiply<false>, multiply<true>},
                                              narrow,
                                              gather,
                                              nothing,
                                              nothing};
  return &kernels;
}
}  // namespace repconv

#else

namespace repconv {
const Bfloat16Kernels* bfloat16DotKernels() { return nullptr; }
}  // namespace repconv

#endif

// bfloat16 by AVX512_BF16: vdpbf16ps adds two products to each of 16 sums.
//
// Registers, as in body/gemm.inl: 24 sums (8 pixels × 3 vectors, 12 × 2), the vectors' weights, one broadcast pair of inputs; split, twice the
// weights and one broadcast more: all 32.
#include "kernels/bfloat16.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,prefer-vector-width=512")
#endif

namespace repconv {
namespace {

#include "kernels/body/bfloat16.inl"

constexpr int kTilePixels[kMaxPanelVectors + 1] = {0, 14, 12, 8};
// Of a step's one to three lines of weights: the next panel has arrived after as many tiles.
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
  for (int v = 0; v < kVectors; v++) {
    const __m512 bias = _mm512_loadu_ps(tile.bias + v * kBfloat16Lanes);
    for (int p = 0; p < kPixels; p++) sum[p][v] = bias;
  }
  const uint16_t* weights = tile.weights;
  const ptrdiff_t stride = tile.pixelStride, lowPlane = tile.lowPlane;
  const uint16_t* prefetch = tile.prefetch;
  for (int run = 0; run < tile.runCount; run++) {
    const uint16_t* in = strip.in + tile.runOffsets[run];
    const int length = tile.runLength;
#pragma GCC unroll 2
    for (int k = 0; k < length; k += 2) {
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
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; p++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) finishVector(tile, strip, p, v, sum[p][v]);
  }
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

inline __attribute__((always_inline)) void narrowVector(uint16_t* high, uint16_t* low, __m512 x, __mmask16 lanes) {
  const __m256i rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
  _mm256_mask_storeu_epi16(high, lanes, rounded);
  if (low == nullptr) return;
  // (The forms with a mask: the others read an undefined register in GCC 12, which warns of it.)
  const __m512i bits = _mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, rounded), 16);
  const __m512i exponent = _mm512_set1_epi32(0x7f800000);
  const __mmask16 isFinite = _mm512_cmpneq_epi32_mask(bits & exponent, exponent);
  const __m512 rest = _mm512_maskz_sub_ps(isFinite, x, _mm512_castsi512_ps(bits));
  _mm256_mask_storeu_epi16(low, lanes, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(rest)));
}

void narrow(uint16_t* high, uint16_t* low, const float* in, size_t size) {
  size_t i = 0;
  for (; i + kBfloat16Lanes <= size; i += kBfloat16Lanes) narrowVector(high + i, low == nullptr ? nullptr : low + i, _mm512_loadu_ps(in + i), 0xffff);
  if (i == size) return;
  const __mmask16 lanes = static_cast<__mmask16>((1u << (size - i)) - 1);
  narrowVector(high + i, low == nullptr ? nullptr : low + i, _mm512_maskz_loadu_ps(lanes, in + i), lanes);
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

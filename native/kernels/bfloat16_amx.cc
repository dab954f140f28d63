// bfloat16 by AMX: tdpbf16ps multiplies a tile of 16 pixels × 32 k by one of 32 k × 16 channels.
//
//     tiles  0 1   sums: strip × vector      4 5   inputs of the two strips      6 7   weights of the two vectors
//            2 3
//
// The instructions are inline assembly, all here: the intrinsics of GCC 12 do not say which memory they read, and a
// store that they need may be dropped or moved behind them. Weights and inputs lie as the tiles want them, 64 bytes a
// row. All tiles have 16 rows always: rows beyond a strip's last pixel read what follows it and are thrown away, which
// is cheaper than another configuration (14 rows take the time of 16).
#include "kernels/bfloat16.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                            \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,avx512bf16,amx-tile,amx-bf16"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,prefer-vector-width=512")
#endif

namespace repconv {
namespace {

#include "kernels/body/bfloat16.inl"

constexpr int kRows = 16;
constexpr int kStep = 32;  // k of a tile
// How many of a step's 32 lines of weights are fetched: prefetches wait for the same buffers as loads do, so the next
// panel comes over several tiles.
constexpr int kPrefetchLines = 4;

// "memory": reads or writes what the compiler cannot see.
template <int kTile>
inline __attribute__((always_inline)) void loadTile(const void* from, ptrdiff_t strideBytes) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(strideBytes), "i"(kTile) : "memory");
}
template <int kTile>
inline __attribute__((always_inline)) void storeTile(void* to, ptrdiff_t strideBytes) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(strideBytes), "i"(kTile) : "memory");
}
template <int kSums, int kInputs, int kWeights>
inline __attribute__((always_inline)) void addProducts() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kInputs), "i"(kWeights));
}

struct alignas(64) TileConfig {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {kRows, kRows, kRows, kRows, kRows, kRows, kRows, kRows};
};
static_assert(sizeof(TileConfig) == 64);
constexpr TileConfig kConfig;

void begin(Bfloat16Work& work) {
  work.pendingPixels = work.next = 0;
  asm volatile("ldtilecfg %0" ::"m"(kConfig) : "memory");
}

// Stores pixels begin … end − 1 of the pending tile, counted over its strips. Sums go to memory while the next tile is
// multiplied: done at once, that cost 29 % of a layer of 192 channels at 14×14 (62 µs in place of 44), done a pixel at
// each step it costs half (prototype; Xeon, Sapphire Rapids class).
void finishPixels(const Bfloat16Work& work, int begin, int end) {
  const Bfloat16Tile& tile = work.pending;
  finishAs(
      tile, [&](const auto& finish) __attribute__((always_inline)) {
        const int first = tile.strips[0].pixels;
        const auto& sums = work.sums[work.next ^ 1];
        for (int p = begin; p < end; p++) {
          const int s = p >= first, inStrip = s ? p - first : p;
          for (int v = 0; v <= finish.last; v++)
            finish.vector(tile.strips[s], inStrip, v, _mm512_load_ps(sums[s * kRows + inStrip] + v * kBfloat16Lanes));
        }
      });
}

void end(Bfloat16Work& work) {
  finishPixels(work, 0, work.pendingPixels);
  // Threads carry no tiles between tasks: the operating system would save and restore 8 KB for each.
  asm volatile("tilerelease" ::: "memory");
}

template <int kStrips>
inline __attribute__((always_inline)) void loadInputs(const uint16_t* const* in, ptrdiff_t at, ptrdiff_t strideBytes) {
  loadTile<4>(in[0] + at, strideBytes);
  if constexpr (kStrips > 1) loadTile<5>(in[1] + at, strideBytes);
}
template <int kVectors>
inline __attribute__((always_inline)) void loadWeights(const uint16_t* from, ptrdiff_t strideBytes) {
  loadTile<6>(from, strideBytes);
  if constexpr (kVectors > 1) loadTile<7>(from + 2 * kBfloat16Lanes, strideBytes);
}
template <int kStrips, int kVectors>
inline __attribute__((always_inline)) void addAll() {
  addProducts<0, 4, 6>();
  if constexpr (kVectors > 1) addProducts<1, 4, 7>();
  if constexpr (kStrips > 1) addProducts<2, 5, 6>();
  if constexpr (kStrips > 1 && kVectors > 1) addProducts<3, 5, 7>();
}

template <int kStrips, int kVectors, bool kIsSplit>
void multiplyTile(Bfloat16Work& work, const Bfloat16Tile& tile) {
  constexpr ptrdiff_t kPart = 2 * kBfloat16Lanes * kVectors, kRow = kPart * (kIsSplit ? 2 : 1);
  constexpr ptrdiff_t kRowBytes = kRow * static_cast<ptrdiff_t>(sizeof(uint16_t));
  // The bias, once for every row.
  loadTile<0>(tile.bias, 0);
  if constexpr (kVectors > 1) loadTile<1>(tile.bias + kBfloat16Lanes, 0);
  if constexpr (kStrips > 1) loadTile<2>(tile.bias, 0);
  if constexpr (kStrips > 1 && kVectors > 1) loadTile<3>(tile.bias + kBfloat16Lanes, 0);
  const uint16_t* weights = tile.weights;
  const ptrdiff_t strideBytes = tile.pixelStride * static_cast<ptrdiff_t>(sizeof(uint16_t)), lowPlane = tile.lowPlane;
  const uint16_t* prefetch = tile.prefetch;
  // Some at each step.
  const int steps = tile.runCount * ((tile.runLength + kStep - 1) / kStep),
            perStep = (work.pendingPixels + steps - 1) / steps;
  int finished = 0;
  for (int run = 0; run < tile.runCount; run++) {
    const uint16_t* const in[2] = {tile.strips[0].in + tile.runOffsets[run],
                                   tile.strips[kStrips - 1].in + tile.runOffsets[run]};
    for (int k = 0; k < tile.runLength; k += kStep) {
      const ptrdiff_t at = k + kStep <= tile.runLength ? k : tile.runLength - kStep;
      if (finished < work.pendingPixels) {
        const int until = finished + perStep < work.pendingPixels ? finished + perStep : work.pendingPixels;
        finishPixels(work, finished, until);
        finished = until;
      }
      for (int line = 0; line < kPrefetchLines * (kIsSplit ? 2 : 1); line++, prefetch += 2 * kBfloat16Lanes)
        __builtin_prefetch(prefetch, 0, 2);
      loadWeights<kVectors>(weights, kRowBytes);
      if constexpr (kIsSplit) {
        loadInputs<kStrips>(in, lowPlane + at, strideBytes);
        addAll<kStrips, kVectors>();
      }
      loadInputs<kStrips>(in, at, strideBytes);
      addAll<kStrips, kVectors>();
      if constexpr (kIsSplit) {
        loadWeights<kVectors>(weights + kPart, kRowBytes);
        addAll<kStrips, kVectors>();
      }
      weights += kRow * kRows;
    }
  }
  constexpr ptrdiff_t kSumBytes = sizeof work.sums[0][0];
  float(*sums)[2 * kBfloat16Lanes] = work.sums[work.next];
  storeTile<0>(sums[0], kSumBytes);
  if constexpr (kVectors > 1) storeTile<1>(sums[0] + kBfloat16Lanes, kSumBytes);
  if constexpr (kStrips > 1) storeTile<2>(sums[kRows], kSumBytes);
  if constexpr (kStrips > 1 && kVectors > 1) storeTile<3>(sums[kRows] + kBfloat16Lanes, kSumBytes);
  work.pending = tile;
  work.pendingPixels = tile.strips[0].pixels + tile.strips[1].pixels;
  work.next ^= 1;
}

template <bool kIsSplit>
void multiply(Bfloat16Work& work, const Bfloat16Tile& tile) {
  if (tile.strips[1].pixels > 0) {
    tile.vectors > 1 ? multiplyTile<2, 2, kIsSplit>(work, tile) : multiplyTile<2, 1, kIsSplit>(work, tile);
  } else {
    tile.vectors > 1 ? multiplyTile<1, 2, kIsSplit>(work, tile) : multiplyTile<1, 1, kIsSplit>(work, tile);
  }
}

}  // namespace
}  // namespace repconv

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace repconv {
const Bfloat16Kernels* bfloat16AmxKernels() {
  // 16 × 16 pixels and channels, 32 k: set so that estimates compare as times did where both were measured (prototype;
  // Xeon, Sapphire Rapids class): bfloat16x3 153, 140, 180 µs beside F(4×4) 275, 209, 243 µs for 192 channels at 14×14,
  // 96 at 28×28, 48 at 56×56. (Beside direct convolution it would be 43: Winograd's transforms reach less of that
  // processor's peak than its estimate says, and no other choice is close.)
  constexpr double kTileCost = 30;
  static const Bfloat16Kernels kernels = {"amx",
                                          kStep,
                                          2,
                                          {0, kRows, kRows, 0},
                                          kRows,
                                          2,
                                          kPrefetchLines,
                                          kTileCost / kRows,
                                          {multiply<false>, multiply<true>},
                                          bfloat16DotKernels()->narrow,
                                          bfloat16DotKernels()->gather,
                                          begin,
                                          end};
  return &kernels;
}
}  // namespace repconv

#else

namespace repconv {
const Bfloat16Kernels* bfloat16AmxKernels() { return nullptr; }
}  // namespace repconv

#endif

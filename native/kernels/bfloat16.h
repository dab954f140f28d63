// The kernels of products in bfloat16, beside the tables of float32: the only ones written with intrinsics, since what
// the hardware has here is no vector of the compiler's. Two kinds, behind one contract: AVX512_BF16's products of pairs
// (bfloat16_dot.cc) and AMX tiles (bfloat16_amx.cc).
//
// A value is one bfloat16, or the sum of two (`isSplit`): x = high + low, 16 bits of mantissa; products are then
// high·high + low·high + high·low. Sums are float32 either way. Both instructions take denormal numbers for zero.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu_info.h"
#include "kernels/table.h"

namespace repconv {

// How the numbers of an image are stored: as float32, rounded to bfloat16, or as the sum of two bfloat16 (a plane of
// high parts, then one of low parts). An image is stored rounded only where every reader would round it so, which
// changes no result.
enum class Format { float32, bfloat16, bfloat16x2 };

inline constexpr size_t elementBytes(Format format) {
  return format == Format::float32 ? sizeof(float) : sizeof(uint16_t);
}
inline constexpr int planesOf(Format format) { return format == Format::bfloat16x2 ? 2 : 1; }

// Channels of a vector of float32 sums, and of a row of an AMX tile.
inline constexpr int kBfloat16Lanes = 16;
inline constexpr int kBfloat16Strips = 2;

// One register tile:
//
//     out[p][c] = clamp(bias[c] + Σ_runs Σ_k in[p·pixelStride + runOffsets[run] + k] · weights[run][k][c] +
//     residual[p][c])
//
// for the pixels of one or two strips, in any format. A run is a stretch of input that is contiguous in memory; it is
// read in steps of `stepLength` k. The last step ends with the run: where it overlaps the one before, its weights are
// zero.
//
//     weights  [run][step][stepLength / 2][high, low][vectors · 16 channels][2 of k]         (low parts only if split)
struct Bfloat16Tile {
  struct Strip {
    const uint16_t* in;
    void* out;  // of outFormat
    const float* residual;  // or null
    int pixels;  // 0: no strip
  };
  Strip strips[kBfloat16Strips];
  ptrdiff_t pixelStride;
  ptrdiff_t lowPlane;  // from the high part of a value to its low part
  const ptrdiff_t* runOffsets;
  int runCount;
  int runLength;  // at least a step
  int vectors;
  const uint16_t* weights;
  const float* bias;  // [vectors · 16]
  Format outFormat;
  ptrdiff_t outPixelStride;
  ptrdiff_t outLowPlane;
  ptrdiff_t residualPixelStride;
  int lastLanes;  // of the last vector, those that are stored
  int lastChannels;  // of these, those that are channels: behind them are zeros, in formats other than float32
  float low;  // NaN passes the clamp
  float high;
  // Weights that are wanted soon: each step fetches prefetchLines of their cache lines (twice as many if split).
  const uint16_t* prefetch;
};

// For each of `pixels` pixels, `count` stretches of `size` elements become one of outPixel elements, which ends with
// zeros:
//
//     out[p·outPixel + i·size + k] = in[p·inPixel + offsets[i] + k]
//
// Up to 31 elements behind the last pixel are written, too.
struct Bfloat16Patches {
  const uint16_t* in;
  ptrdiff_t inPixel;
  const ptrdiff_t* offsets;
  int64_t count, size;
  uint16_t* out;
  int64_t outPixel;  // as many as count · size are, rounded up to a step
  int64_t pixels;
};

// What a kernel keeps from one tile to the next: sums that are on their way to memory.
struct alignas(64) Bfloat16Work {
  float sums[2][kBfloat16Strips * 16][2 * kBfloat16Lanes];
  Bfloat16Tile pending;
  int pendingPixels;  // 0: nothing pending
  int next;
};

struct Bfloat16Kernels {
  const char* name;
  int stepLength;
  int maxVectors;
  // The pixels of one strip, by vectors; and the pixels a strip takes the time of.
  int tilePixels[kMaxPanelVectors + 1];
  int pixelStep;
  int strips;
  int prefetchLines;
  // Time of one step for one vector and one pixel, in float32 multiply-adds of the same vector.
  double stepCost;
  // By isSplit. What a tile gives is in memory after the next call, or `end`.
  void (*multiply[2])(Bfloat16Work& work, const Bfloat16Tile& tile);
  // Rounds to nearest even; `low`, if given, receives the bfloat16 nearest to what is left (0 where high is no finite
  // number).
  void (*narrow)(uint16_t* high, uint16_t* low, const float* in, size_t size);
  void (*gather)(const Bfloat16Patches& patches);
  // Around any number of calls of `multiply` on one thread.
  void (*begin)(Bfloat16Work& work);
  void (*end)(Bfloat16Work& work);
};

// Null where this build has none. The processor must support them: see availableBfloat16.
const Bfloat16Kernels* bfloat16DotKernels();
const Bfloat16Kernels* bfloat16AmxKernels();

// The fastest of them that the processor and the operating system allow below `isa`, and that is faster than float32;
// or null. On processors with AMX the first call asks the operating system for it.
const Bfloat16Kernels* availableBfloat16(Isa isa);

}  // namespace repconv

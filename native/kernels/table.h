// The kernels of one instruction set, as a table of functions with the sizes that belong to them.
//
// A kernel is a pure function over a small piece of work: no threads, no allocation, no failure. The bodies are written
// once (body/*.inl) and compiled once per instruction set (isa_*.cc); a table is chosen once per session and handed
// down, so one process can run and test them all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu_info.h"
#include "kernels/answers.h"

namespace repconv {

// Pixels are stored with their channels together (NHWC); a "vector" is kernels.vectorLength channels.
inline constexpr int kMaxPanelVectors = 3;
inline constexpr int kMaxTilePixels = 14;

// One register tile of a convolution or matrix product:
//
//     out[p][c] = clamp(bias[c] + Σ_runs Σ_k in[p·pixelStride + runOffsets[run] + k] · weights[run][k][c] +
//     residual[p][c])
//
// A run is a stretch of input that is contiguous in memory for all its k: a row of taps (3·C for a 3×3 kernel over
// dense pixels), one tap, or a whole row of a matrix. The sum is formed in the order of runs and k, in one accumulator
// per output.
struct GemmTile {
  const float* in;
  ptrdiff_t pixelStride;
  const ptrdiff_t* runOffsets;
  int runCount;
  int runLength;
  const float* weights;  // [run][k][panel vectors · vectorLength], zero beyond the last channel
  const float* bias;  // [panel vectors · vectorLength]
  float* out;
  ptrdiff_t outPixelStride;
  int lastLanes;  // channels of the panel's last vector that are stored
  const float* residual;  // or null
  ptrdiff_t residualPixelStride;
  float low;  // NaN passes the clamp
  float high;
  // Memory that is wanted soon, fetched into the second-level cache on the way: every k fetches a line, prefetchStep
  // bytes after the one before.
  const void* prefetch;
  ptrdiff_t prefetchStep;
};

using GemmKernel = void (*)(const GemmTile& tile);

// Rows of outputs of a depthwise convolution, for `channels` channels from the pointers on:
//     out[y][x][c] = clamp(bias[c] + Σ_u Σ_v in[y·inRow + x·inPixel + u·tapRow + v·tapPixel + c] · weights[u·tapColumns
//     + v][c] + residual[y][x][c])
// summed in the order of u and v.
struct DepthwiseRows {
  const float* in;  // the first tap of the first output
  ptrdiff_t inRow, inPixel;  // from one output's taps to the next one's
  ptrdiff_t tapRow, tapPixel;
  int tapRows, tapColumns;
  const float* weights;
  ptrdiff_t weightStride;
  const float* bias;
  float* out;
  ptrdiff_t outRow, outPixel;
  const float* residual;  // or null
  ptrdiff_t residualRow, residualPixel;
  int64_t rows, pixels;
  int64_t channels;  // whole vectors
  float low;
  float high;
};

inline constexpr int kMaxWinogradOutputs = 4;
inline constexpr int kMaxWinogradPoints = (kMaxWinogradOutputs + 2) * (kMaxWinogradOutputs + 2);

// U = G g Gᵀ of one panel's 3×3 kernels, for a stretch of input channels: tap t of channel c is at in + (c·9 +
// t)·width, where width is that of the panel (vectors · vectorLength); point ξ goes to out + ξ·pointStride + c·width.
struct WinogradWeights {
  const float* in;
  float* out;
  ptrdiff_t pointStride;
  int64_t channels;
  int vectors;
};

// A tile of F(4×4) may be short in either direction: two outputs, from four pixels, at the points 0, ±1/√2 and ∞ alone.
// Its points are numbered as those of the other tiles, and are those of the same kernels.
struct WinogradShortness {
  bool rows, columns;
};

// Bᵀ d B of one tile: whole vectors of channels from the t·t pixels at `taps` (of a short tile, the first ones of its
// rows and columns); point ξ goes to out + ξ·pointStride.
struct WinogradInput {
  const float* taps[kMaxWinogradPoints];
  WinogradShortness isShort;
  float* out;
  ptrdiff_t pointStride;
  int64_t channels;
};

// clamp(Aᵀ M A + bias + residual) of one tile, for a panel of channels: point ξ of M is at in + ξ·pointStride.
struct WinogradOutput {
  const float* in;
  ptrdiff_t pointStride;
  const float* bias;
  float* out;
  ptrdiff_t outRow, outPixel;
  const float* residual;  // or null
  ptrdiff_t residualRow, residualPixel;
  int vectors;
  WinogradShortness isShort;
  int rows, columns;  // that lie inside the image
  float low, high;
};

// Pixels of whole vectors of channels, one behind the other:
//     out[p][c] = clamp(in[p][c] · scale[c] + shift[c] + residual[p][c])
struct AffineRow {
  float* out;
  const float* in;
  const float* scale;
  const float* shift;
  const float* residual;  // or null
  int64_t pixels;
  int64_t channels;
  float low;
  float high;
};

// In the order in which programs name them (ops/epilogue.cc).
enum class Activation { none, relu, relu6, leakyRelu, sigmoid, silu, hardSigmoid, hardSwish, gelu, geluTanh, tanh };

struct KernelTable {
  const char* name = nullptr;
  Isa isa = Isa::scalar;
  int vectorLength = 0;

  // gemm[v][p]: p pixels by v vectors of channels, for p up to tilePixels[v]; the accumulators fill the registers.
  int tilePixels[kMaxPanelVectors + 1] = {};
  GemmKernel gemm[kMaxPanelVectors + 1][kMaxTilePixels + 1] = {};
  // Most efficient for whole multiples of depthwiseRows rows.
  int depthwiseRows = 1;
  void (*depthwise)(const DepthwiseRows& work) = nullptr;
  // By the outputs m of a tile's side: 2 or 4.
  void (*winogradWeights[kMaxWinogradOutputs + 1])(const WinogradWeights& panel) = {};
  void (*winogradInput[kMaxWinogradOutputs + 1])(const WinogradInput& tile) = {};
  void (*winogradOutput[kMaxWinogradOutputs + 1])(const WinogradOutput& tile) = {};

  void (*affine)(const AffineRow& row) = nullptr;
  // Any number of elements, contiguous: clamp(a + b), clamp(in), clamp(a · b), in · scale + shift, the activation.
  void (*add)(float* out, const float* a, const float* b, size_t size, float low, float high) = nullptr;
  void (*clampRow)(float* out, const float* in, size_t size, float low, float high) = nullptr;
  void (*multiply)(float* out, const float* a, const float* b, size_t size, float low, float high) = nullptr;
  void (*affinePlane)(float* out, const float* in, size_t size, float scale, float shift) = nullptr;
  void (*activate)(Activation activation, float alpha, float* out, const float* in, size_t size) = nullptr;
  // e^(x − max) / Σ of one contiguous line.
  void (*softmax)(float* out, const float* in, size_t size) = nullptr;

  // One output pixel over the pixels at `taps`: the largest, or the sum over `divisor`.
  void (*poolMax)(float* out, const float* in, const ptrdiff_t* taps, int64_t tapCount, int64_t channels) = nullptr;
  void (*poolMean)(float* out, const float* in, const ptrdiff_t* taps, int64_t tapCount, int64_t channels,
                   float divisor) = nullptr;

  // A row of pixels from planes (one per channel, `plane` floats apart) to pixels (`pixel` floats apart) and back.
  void (*interleave)(float* out, ptrdiff_t pixel, const float* in, ptrdiff_t plane, int64_t channels,
                     int64_t pixels) = nullptr;
  void (*deinterleave)(float* out, ptrdiff_t plane, const float* in, ptrdiff_t pixel, int64_t channels,
                       int64_t pixels) = nullptr;

  // out += factor · in, in float64: what folding is made of.
  void (*axpy64)(double* out, const double* in, double factor, size_t size) = nullptr;

  // Answers to impulses: pixels moved and added; one pixel's sum over channels; every channel of some pixels times its
  // factor; the comparison of two.
  void (*moveAnswers)(const AnswerMoves& work) = nullptr;
  void (*contractAnswer)(const AnswerContraction& work) = nullptr;
  void (*scaleAnswers)(double* out, const double* factors, int64_t pixels) = nullptr;
  void (*compareAnswers)(const AnswerPairs& work) = nullptr;

  // Independent multiply-adds in registers, nothing else; returns how many floating-point operations it did.
  double (*peak)(int64_t rounds, float* sink) = nullptr;
};

// The table for `isa`, or for the most this build has below it. The processor must support it.
const KernelTable& kernelTable(Isa isa);

}  // namespace repconv

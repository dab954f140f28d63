// What the kernels of answers to impulses work on (ops/answers): tiles [sample][pixel][8 channels] in float64.
#pragma once

#include <cstddef>
#include <cstdint>

namespace repconv {

inline constexpr int64_t kAnswerLanes = 8;

// A pixel that goes to another; `which` is its share, or the tap that it goes through.
struct PixelMove {
  int64_t from, to, which;
};

// Pixels that are compared; -1 where one of the two is zero.
struct PixelPair {
  int64_t before, after;
};

// In every sample, move after move: out[to] += share · in[from].
struct AnswerMoves {
  double* out;
  ptrdiff_t outSample;
  const double* in;
  ptrdiff_t inSample;
  int64_t samples;
  const PixelMove* moves;
  int64_t count;
  const double* shares;  // by `which`; null: 1
};

// out += Σ in[c] · taps[c - begin] over channels begin … end − 1 in order, those that are zero left out. Channel c is
// in block c / 8.
struct AnswerContraction {
  double* out;
  const double* in;
  ptrdiff_t inBlock;
  int64_t begin, end;
  const double* taps;
  ptrdiff_t tapStep;  // from one input channel to the next
};

// Over all pairs of all samples, the largest |before − after| and |before|; infinite where a number is NaN. Each is
// only ever raised.
struct AnswerPairs {
  const double* before;
  ptrdiff_t beforeSample;
  const double* after;
  ptrdiff_t afterSample;
  int64_t samples;
  const PixelPair* pairs;
  int64_t count;
  double* distance;
  double* magnitude;
};

}  // namespace repconv

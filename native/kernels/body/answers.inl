// Answers to impulses (ops/answers): eight channels of a pixel at a time, in float64.

typedef double vd __attribute__((vector_size(kVectorBytes)));
typedef double vdUnaligned __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
inline constexpr int kDoubles = kVectorBytes / sizeof(double);
// Vectors of a pixel's lanes.
inline constexpr int kLaneVectors = kAnswerLanes / kDoubles;

REPCONV_INLINE vd loadDoubles(const double* from) { return *reinterpret_cast<const vdUnaligned*>(from); }
REPCONV_INLINE void storeDoubles(double* to, vd value) { *reinterpret_cast<vdUnaligned*>(to) = value; }
REPCONV_INLINE vd larger(vd most, vd value) { return value > most ? value : most; }
REPCONV_INLINE vd absolute(vd value) { return value < 0 ? -value : value; }

static void moveAnswers(const AnswerMoves& work) {
  for (int64_t s = 0; s < work.samples; s++) {
    double* out = work.out + s * work.outSample;
    const double* in = work.in + s * work.inSample;
    for (const PixelMove* move = work.moves; move < work.moves + work.count; move++) {
      double* to = out + move->to * kAnswerLanes;
      const double* from = in + move->from * kAnswerLanes;
      const vd share = (work.shares != nullptr ? work.shares[move->which] : 1) - vd{};
#pragma GCC unroll 4
      for (int v = 0; v < kLaneVectors; v++)
        storeDoubles(to + v * kDoubles, loadDoubles(to + v * kDoubles) + share * loadDoubles(from + v * kDoubles));
    }
  }
}

static void contractAnswer(const AnswerContraction& work) {
  vd sums[kLaneVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kLaneVectors; v++) sums[v] = loadDoubles(work.out + v * kDoubles);
  const double* taps = work.taps;
  for (int64_t c = work.begin; c < work.end; c++, taps += work.tapStep) {
    const double x = work.in[c / kAnswerLanes * work.inBlock + c % kAnswerLanes];
    // What is not reached has no part in it, whatever the taps are.
    if (x == 0) continue;
#pragma GCC unroll 4
    for (int v = 0; v < kLaneVectors; v++) sums[v] += (x - vd{}) * loadDoubles(taps + v * kDoubles);
  }
#pragma GCC unroll 4
  for (int v = 0; v < kLaneVectors; v++) storeDoubles(work.out + v * kDoubles, sums[v]);
}

static void scaleAnswers(double* out, const double* factors, int64_t pixels) {
  vd by[kLaneVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kLaneVectors; v++) by[v] = loadDoubles(factors + v * kDoubles);
  for (int64_t p = 0; p < pixels; p++, out += kAnswerLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kLaneVectors; v++) storeDoubles(out + v * kDoubles, loadDoubles(out + v * kDoubles) * by[v]);
  }
}

static void raise(double* most, const vd* found, const vd* isNumber) {
  for (int lane = 0; lane < kAnswerLanes; lane++) {
    const int v = lane / kDoubles, of = lane % kDoubles;
    const double here = isNumber[v][of] == 0 ? found[v][of] : __builtin_inf();
    if (here > *most) *most = here;
  }
}

static void compareAnswers(const AnswerPairs& work) {
  static const double nothing[kAnswerLanes] = {};
  vd distance[kLaneVectors] = {}, magnitude[kLaneVectors] = {};
  // Zeros, and NaN from the first number on that is none (or infinite, which is as bad).
  vd ofDistance[kLaneVectors] = {}, ofMagnitude[kLaneVectors] = {};
  for (int64_t s = 0; s < work.samples; s++) {
    const double* before = work.before + s * work.beforeSample;
    const double* after = work.after + s * work.afterSample;
    for (const PixelPair* pair = work.pairs; pair < work.pairs + work.count; pair++) {
      const double* from = pair->before < 0 ? nothing : before + pair->before * kAnswerLanes;
      const double* to = pair->after < 0 ? nothing : after + pair->after * kAnswerLanes;
#pragma GCC unroll 4
      for (int v = 0; v < kLaneVectors; v++) {
        const vd x = loadDoubles(from + v * kDoubles), apart = x - loadDoubles(to + v * kDoubles);
        magnitude[v] = larger(magnitude[v], absolute(x));
        distance[v] = larger(distance[v], absolute(apart));
        ofMagnitude[v] += x - x;
        ofDistance[v] += apart - apart;
      }
    }
  }
  raise(work.distance, distance, ofDistance);
  raise(work.magnitude, magnitude, ofMagnitude);
}

static void fillAnswers(KernelTable& table) {
  table.moveAnswers = moveAnswers;
  table.contractAnswer = contractAnswer;
  table.scaleAnswers = scaleAnswers;
  table.compareAnswers = compareAnswers;
}

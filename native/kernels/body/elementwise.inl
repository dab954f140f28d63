// Element by element: rows of pixels, and plain runs of any length. Inputs of plain runs may be a user's memory:
// nothing is read beyond the end.

static void affine(const AffineRow& row) {
  const vf low = broadcast(row.low);
  const vf high = broadcast(row.high);
  for (int64_t p = 0; p < row.pixels; p++) {
    const int64_t at = p * row.channels;
    for (int64_t c = 0; c < row.channels; c += VL) {
      vf value = load(row.in + at + c) * load(row.scale + c) + load(row.shift + c);
      if (row.residual != nullptr) value += load(row.residual + at + c);
      store(row.out + at + c, clamp(value, low, high));
    }
  }
}

struct AddWord {
  vf low, high;
  REPCONV_INLINE vf of(const AddWord& word, vf a, vf b) { return clamp(a + b, word.low, word.high); }
};
struct ClampWord {
  vf low, high;
  REPCONV_INLINE vf of(const ClampWord& word, vf a, vf) { return clamp(a, word.low, word.high); }
};
struct MultiplyWord {
  vf low, high;
  REPCONV_INLINE vf of(const MultiplyWord& word, vf a, vf b) { return clamp(a * b, word.low, word.high); }
};
struct AffineWord {
  vf scale, shift;
  REPCONV_INLINE vf of(const AffineWord& word, vf a, vf) { return a * word.scale + word.shift; }
};

// Whole vectors, then the rest lane by lane through the same words.
template <typename Word>
REPCONV_INLINE void forEach(const Word& word, float* out, const float* a, const float* b, size_t size) {
  size_t i = 0;
  for (; i + VL <= size; i += VL) store(out + i, Word::of(word, load(a + i), load(b + i)));
  const int rest = static_cast<int>(size - i);
  if (rest > 0) storeLanes(out + i, Word::of(word, loadLanes(a + i, rest), loadLanes(b + i, rest)), rest);
}

static void add(float* out, const float* a, const float* b, size_t size, float low, float high) {
  forEach(AddWord{broadcast(low), broadcast(high)}, out, a, b, size);
}

static void clampRow(float* out, const float* in, size_t size, float low, float high) {
  forEach(ClampWord{broadcast(low), broadcast(high)}, out, in, in, size);
}

static void multiply(float* out, const float* a, const float* b, size_t size, float low, float high) {
  forEach(MultiplyWord{broadcast(low), broadcast(high)}, out, a, b, size);
}

static void affinePlane(float* out, const float* in, size_t size, float scale, float shift) {
  forEach(AffineWord{broadcast(scale), broadcast(shift)}, out, in, in, size);
}

template <Activation kActivation>
struct ActivationWord {
  float alpha;
  REPCONV_INLINE vf of(const ActivationWord& word, vf x, vf) {
    switch (kActivation) {
      case Activation::none:
        return x;
      case Activation::relu:
        return x < 0.0f ? vf{} : x;
      case Activation::relu6:
        return clamp(x, vf{}, broadcast(6.0f));
      case Activation::leakyRelu:
        return x > 0.0f ? x : word.alpha * x;
      case Activation::sigmoid:
        return sigmoid(x);
      case Activation::silu:
        return x / (1.0f + exponential(-x));
      case Activation::hardSigmoid:
        return clamp(x + 3.0f, vf{}, broadcast(6.0f)) / 6.0f;
      case Activation::hardSwish:
        // The factor first: six times the largest numbers would be infinite.
        return x * (clamp(x + 3.0f, vf{}, broadcast(6.0f)) / 6.0f);
      case Activation::gelu:
        return gaussianErrorLinear(x);
      case Activation::geluTanh:
        // ½·(1 + tanh z) = 1 / (1 + e^−2z), where 1 + tanh z would cancel.
        return x / (1.0f + exponential(-1.59576912f * (x + 0.044715f * x * x * x)));
      case Activation::tanh:
        return hyperbolicTangent(x);
    }
  }
};

template <Activation kActivation>
static void activateWith(float alpha, float* out, const float* in, size_t size) {
  forEach(ActivationWord<kActivation>{alpha}, out, in, in, size);
}

static void activate(Activation activation, float alpha, float* out, const float* in, size_t size) {
  switch (activation) {
#define REPCONV_CASE(name) \
  case Activation::name:   \
    return activateWith<Activation::name>(alpha, out, in, size);
    REPCONV_CASE(none)
    REPCONV_CASE(relu)
    REPCONV_CASE(relu6)
    REPCONV_CASE(leakyRelu)
    REPCONV_CASE(sigmoid)
    REPCONV_CASE(silu)
    REPCONV_CASE(hardSigmoid)
    REPCONV_CASE(hardSwish)
    REPCONV_CASE(gelu)
    REPCONV_CASE(geluTanh)
    REPCONV_CASE(tanh)
#undef REPCONV_CASE
  }
}

static float sumOfLine(const float* in, size_t size) {
  if (size > kStretch) {
    const size_t half = size / 2;
    return sumOfLine(in, half) + sumOfLine(in + half, size - half);
  }
  float sum = 0;
  for (size_t i = 0; i < size; i++) sum += in[i];
  return sum;
}

static void softmax(float* out, const float* in, size_t size) {
  // NaN anywhere in the line makes the whole line NaN: it survives into the sum.
  float largest = -__builtin_inff();
  for (size_t i = 0; i < size; i++) largest = in[i] > largest ? in[i] : largest;
  for (size_t i = 0; i < size; i += VL) {
    const int lanes = size - i < VL ? static_cast<int>(size - i) : VL;
    storeLanes(out + i, exponential(loadLanes(in + i, lanes) - largest), lanes);
  }
  const float scale = 1.0f / sumOfLine(out, size);
  affinePlane(out, out, size, scale, -0.0f);
}

static void axpy64(double* out, const double* in, double factor, size_t size) {
  for (size_t i = 0; i < size; i++) out[i] += factor * in[i];
}

static double peak(int64_t rounds, float* sink) {
  constexpr int kChains = kVectorBytes == 64 ? 24 : 12;
  vf sums[kChains];
  for (int i = 0; i < kChains; i++) sums[i] = broadcast(static_cast<float>(i));
  // Values the compiler cannot see through, and that neither grow nor vanish: x ← x·(1 − 2^-20) + 2^-20.
  vf factor = broadcast(sink[0]);
  vf term = broadcast(sink[1]);
  for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; i++) sums[i] = sums[i] * factor + term;
  }
  vf total{};
  for (int i = 0; i < kChains; i++) total += sums[i];
  storeLanes(sink + 2, total, 1);
  return 2.0 * VL * kChains * static_cast<double>(rounds);
}

static void fillElementwise(KernelTable& table) {
  table.affine = affine;
  table.add = add;
  table.clampRow = clampRow;
  table.multiply = multiply;
  table.affinePlane = affinePlane;
  table.activate = activate;
  table.softmax = softmax;
  table.axpy64 = axpy64;
  table.peak = peak;
}

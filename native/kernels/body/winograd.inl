// Winograd's transforms of one tile, F(2×2, 3×3) and F(4×4, 3×3): Lavin & Gray, "Fast Algorithms for Convolutional
// Neural Networks" (2016), §4.
//
// A tile of t×t inputs (t = m + 2) gives m×m outputs: Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A. Bᵀ and Aᵀ for the points
//
//     F(2×2): 0, 1, −1, ∞          F(4×4): 0, ±1/√2, ±√2, ∞
//
// written out below, are Toom and Cook's: column j of Aᵀ holds the powers of point j, row j of Bᵀ the coefficients of
// Π(x − other points). With powers of √2 the numbers stay near one; the textbook's 0, ±1, ±2 lose twice as much (4.4e-6
// against 2.4e-6 rms over RepVGG-A0). Row j of G holds (1, a, a²) of point a over Π(a − other points).
//
// Where an image ends with one or two outputs, a tile of F(4×4) needs two only, and four points do: 0, ±1/√2, ∞. G of
// these is G of the six but for a factor, which stands in Bᵀ here, so that all tiles are multiplied by the same
// kernels. (A map of 14×14 takes 484 products instead of 576: layers of 192 channels 0.258 → 0.237 ms for one image,
// RepVGG-A0 1.08 times as fast for eight; EPYC, Zen 5.)

inline constexpr float kHalfRoot = 0.70710678118654752f;  // 1/√2
inline constexpr float kRoot = 1.41421356237309505f;  // √2

// G of one line: from 3 `step`-strided values to t of the same distance at `to`.
template <int kOutputs>
REPCONV_INLINE void winogradWeightLine(const vf* g, vf* to, int step) {
  const vf g0 = g[0], g1 = g[step], g2 = g[2 * step];
  to[0] = g0;
  if constexpr (kOutputs == 2) {
    const vf even = 0.5f * (g0 + g2), odd = 0.5f * g1;
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = g2;
  } else {
    const vf even = (-2.0f / 3) * g0 - (1.0f / 3) * g2, odd = (-kRoot / 3) * g1;
    const vf evenFar = (1.0f / 6) * g0 + (1.0f / 3) * g2, oddFar = (kRoot / 6) * g1;
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = evenFar + oddFar;
    to[4 * step] = evenFar - oddFar;
    to[5 * step] = g2;
  }
}

// How many points a line has, and which of all points its i-th is.
template <int kOutputs, bool kIsShort>
inline constexpr int kLinePoints = kIsShort ? 4 : kOutputs + 2;
template <bool kIsShort>
constexpr int linePoint(int i) {
  return kIsShort && i == 3 ? 5 : i;
}

// Bᵀ of one line: from `step`-strided values d[0], d[step] … to the same places.
template <int kOutputs, bool kIsShort>
REPCONV_INLINE void winogradInputLine(vf* d, int step) {
  if constexpr (kIsShort) {
    const vf d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    const vf even = -1.5f * d2, odd = (-1.5f * kHalfRoot) * d1;
    d[0] = d0 - 2.0f * d2;
    d[step] = even + odd;
    d[2 * step] = even - odd;
    d[3 * step] = d3 - 0.5f * d1;
  } else if constexpr (kOutputs == 2) {
    const vf d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    d[0] = d0 - d2;
    d[step] = d1 + d2;
    d[2 * step] = d2 - d1;
    d[3 * step] = d1 - d3;
  } else {
    const vf d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const vf even = d4 - 2.0f * d2, odd = kHalfRoot * (d3 - 2.0f * d1);
    const vf evenFar = d4 - 0.5f * d2, oddFar = kRoot * (d3 - 0.5f * d1);
    d[0] = d0 - 2.5f * d2 + d4;
    d[step] = even + odd;
    d[2 * step] = even - odd;
    d[3 * step] = evenFar + oddFar;
    d[4 * step] = evenFar - oddFar;
    d[5 * step] = d1 - 2.5f * d3 + d5;
  }
}

// Aᵀ of one line: from its points' values to the first of the same places.
template <int kOutputs, bool kIsShort>
REPCONV_INLINE void winogradOutputLine(vf* d, int step) {
  if constexpr (kIsShort) {
    const vf sum = d[step] + d[2 * step], difference = d[step] - d[2 * step], last = d[3 * step];
    d[0] = d[0] + sum;
    d[step] = kHalfRoot * difference + last;
  } else if constexpr (kOutputs == 2) {
    const vf sum = d[step] + d[2 * step], difference = d[step] - d[2 * step], last = d[3 * step];
    d[0] = d[0] + sum;
    d[step] = difference - last;
  } else {
    const vf near = d[step] + d[2 * step], nearOdd = d[step] - d[2 * step];
    const vf far = d[3 * step] + d[4 * step], farOdd = d[3 * step] - d[4 * step], last = d[5 * step];
    d[0] = d[0] + near + far;
    d[step] = kHalfRoot * nearOdd + kRoot * farOdd;
    d[2 * step] = 0.5f * near + 2.0f * far;
    d[3 * step] = 0.5f * kHalfRoot * nearOdd + 2.0f * kRoot * farOdd + last;
  }
}

template <int kOutputs>
static void winogradWeights(const WinogradWeights& panel) {
  constexpr int t = kOutputs + 2;
  const int64_t width = panel.vectors * VL;
  for (int64_t c = 0; c < panel.channels; c++) {
    for (int v = 0; v < panel.vectors; v++) {
      const float* in = panel.in + c * 9 * width + v * VL;
      float* out = panel.out + c * width + v * VL;
      vf g[9], half[t * 3];
#pragma GCC unroll 9
      for (int tap = 0; tap < 9; tap++) g[tap] = load(in + tap * width);
#pragma GCC unroll 3
      for (int x = 0; x < 3; x++) winogradWeightLine<kOutputs>(g + x, half + x, 3);
#pragma GCC unroll 6
      for (int y = 0; y < t; y++) {
        vf u[t];
        winogradWeightLine<kOutputs>(half + y * 3, u, 1);
#pragma GCC unroll 6
        for (int x = 0; x < t; x++) store(out + (y * t + x) * panel.pointStride, u[x]);
      }
    }
  }
}

// Fetching the next tile's pixels meanwhile was tried, and gained nothing.
template <int kOutputs, bool kShortRows, bool kShortColumns>
static void winogradInputTile(const WinogradInput& tile) {
  constexpr int t = kOutputs + 2, rows = kLinePoints<kOutputs, kShortRows>,
                columns = kLinePoints<kOutputs, kShortColumns>;
  for (int64_t c = 0; c < tile.channels; c += VL) {
    vf d[t * t];
#pragma GCC unroll 6
    for (int x = 0; x < columns; x++) {
#pragma GCC unroll 6
      for (int y = 0; y < rows; y++) d[y * t + x] = load(tile.taps[y * t + x] + c);
      winogradInputLine<kOutputs, kShortRows>(d + x, t);
    }
    float* out = tile.out + c;
#pragma GCC unroll 6
    for (int y = 0; y < rows; y++) {
      winogradInputLine<kOutputs, kShortColumns>(d + y * t, 1);
#pragma GCC unroll 6
      for (int x = 0; x < columns; x++) {
        store(out + (linePoint<kShortRows>(y) * t + linePoint<kShortColumns>(x)) * tile.pointStride, d[y * t + x]);
      }
    }
  }
}

template <int kOutputs, bool kShortRows, bool kShortColumns>
static void winogradOutputTile(const WinogradOutput& tile) {
  constexpr int t = kOutputs + 2, rows = kLinePoints<kOutputs, kShortRows>,
                columns = kLinePoints<kOutputs, kShortColumns>;
  const vf low = broadcast(tile.low);
  const vf high = broadcast(tile.high);
  for (int v = 0; v < tile.vectors; v++) {
    const int c = v * VL;
    vf d[t * t];
#pragma GCC unroll 6
    for (int x = 0; x < columns; x++) {
#pragma GCC unroll 6
      for (int y = 0; y < rows; y++)
        d[y * t + x] =
            load(tile.in + (linePoint<kShortRows>(y) * t + linePoint<kShortColumns>(x)) * tile.pointStride + c);
      winogradOutputLine<kOutputs, kShortRows>(d + x, t);
    }
    const vf bias = load(tile.bias + c);
#pragma GCC unroll 4
    for (int y = 0; y < rows - 2; y++) winogradOutputLine<kOutputs, kShortColumns>(d + y * t, 1);
    // Copies: whatever is stored might change the tile, as far as the compiler knows.
    float* out = tile.out + c;
    const float* residual = tile.residual == nullptr ? nullptr : tile.residual + c;
    const ptrdiff_t outRow = tile.outRow, outPixel = tile.outPixel, residualRow = tile.residualRow,
                    residualPixel = tile.residualPixel;
    const int outRows = tile.rows, outColumns = tile.columns;
    for (int y = 0; y < outRows; y++) {
      for (int x = 0; x < outColumns; x++) {
        vf value = d[y * t + x] + bias;
        if (residual != nullptr) value += load(residual + y * residualRow + x * residualPixel);
        store(out + y * outRow + x * outPixel, clamp(value, low, high));
      }
    }
  }
}

static void winogradInput4(const WinogradInput& tile) {
  const auto [rows, columns] = tile.isShort;
  if (rows) return columns ? winogradInputTile<4, true, true>(tile) : winogradInputTile<4, true, false>(tile);
  return columns ? winogradInputTile<4, false, true>(tile) : winogradInputTile<4, false, false>(tile);
}

static void winogradOutput4(const WinogradOutput& tile) {
  const auto [rows, columns] = tile.isShort;
  if (rows) return columns ? winogradOutputTile<4, true, true>(tile) : winogradOutputTile<4, true, false>(tile);
  return columns ? winogradOutputTile<4, false, true>(tile) : winogradOutputTile<4, false, false>(tile);
}

static void fillWinograd(KernelTable& table) {
  table.winogradWeights[2] = winogradWeights<2>;
  table.winogradWeights[4] = winogradWeights<4>;
  table.winogradInput[2] = winogradInputTile<2, false, false>;
  table.winogradInput[4] = winogradInput4;
  table.winogradOutput[2] = winogradOutputTile<2, false, false>;
  table.winogradOutput[4] = winogradOutput4;
}

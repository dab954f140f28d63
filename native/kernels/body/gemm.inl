// The register tile that every dense product goes through (GemmTile in table.h).
//
// Registers: kPixels · kVectors accumulators, kVectors weights, 1 broadcast input. One step of k reads kVectors vectors
// of weights, which stream, and kPixels single inputs, which stay in L1; at 8×3 that is 11 loads for 24 multiply-adds.

template <int kPixels, int kVectors>
static void gemmTile(const GemmTile& tile) {
  vf sum[kPixels][kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; v++) {
    const vf bias = load(tile.bias + v * VL);
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; p++) sum[p][v] = bias;
  }
  const float* weights = tile.weights;
  const ptrdiff_t stride = tile.pixelStride;
  const char* ahead = static_cast<const char*>(tile.prefetch);
  for (int run = 0; run < tile.runCount; run++) {
    const float* in = tile.in + tile.runOffsets[run];
#pragma GCC unroll 4
    for (int k = 0; k < tile.runLength; k++) {
      vf w[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) w[v] = load(weights + v * VL);
      __builtin_prefetch(ahead, 0, 2);
      ahead += tile.prefetchStep;
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; p++) {
        const vf x = broadcast(in[p * stride + k]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; v++) sum[p][v] += x * w[v];
      }
      weights += kVectors * VL;
    }
  }
  // Copies: whatever is stored might change the tile, as far as the compiler knows. (RepVGG-A0 1.04 times as fast,
  // MobileOne-s0 1.03; EPYC, Zen 5.)
  float* out = tile.out;
  const float* residual = tile.residual;
  const ptrdiff_t outStride = tile.outPixelStride, residualStride = tile.residualPixelStride;
  const int lastLanes = tile.lastLanes;
  const bool isClamped = tile.low > -__builtin_inff() || tile.high < __builtin_inff();
  const vf low = broadcast(tile.low);
  const vf high = broadcast(tile.high);
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; p++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) {
      vf value = sum[p][v];
      if (residual != nullptr) value += load(residual + v * VL);
      if (isClamped) value = clamp(value, low, high);
      if (v < kVectors - 1 || lastLanes == VL) {
        store(out + v * VL, value);
      } else {
        storeLanes(out + v * VL, value, lastLanes);
      }
    }
    out += outStride;
    if (residual != nullptr) residual += residualStride;
  }
}

template <int kVectors, int kPixels>
struct FillGemm {
  static void into(KernelTable& table) {
    table.gemm[kVectors][kPixels] = gemmTile<kPixels, kVectors>;
    FillGemm<kVectors, kPixels - 1>::into(table);
  }
};
template <int kVectors>
struct FillGemm<kVectors, 0> {
  static void into(KernelTable&) {}
};

static void fillGemm(KernelTable& table) {
  for (int v = 1; v <= kMaxPanelVectors; v++) table.tilePixels[v] = kTilePixels[v];
  FillGemm<1, kTilePixels[1]>::into(table);
  FillGemm<2, kTilePixels[2]>::into(table);
  FillGemm<3, kTilePixels[3]>::into(table);
}

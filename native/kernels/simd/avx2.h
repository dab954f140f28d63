// AVX2 with FMA: 16 registers of 8 floats.
inline constexpr int kVectorBytes = 32;
// 4×3 and 6×2: 12 accumulators, the panel's vectors of weights, one broadcast input.
inline constexpr int kTilePixels[kMaxPanelVectors + 1] = {0, 12, 6, 4};
// Depthwise 3×3 blocks.
inline constexpr int kDepthwiseRows = 2, kDepthwisePixels = 4;

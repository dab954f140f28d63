// AVX-512 (F, BW, VL, DQ): 32 registers of 16 floats.
inline constexpr int kVectorBytes = 64;
// 8×3 and 12×2: 24 accumulators, the panel's vectors of weights, one broadcast input.
inline constexpr int kTilePixels[kMaxPanelVectors + 1] = {0, 14, 12, 8};
// Depthwise 3×3 blocks.
inline constexpr int kDepthwiseRows = 4, kDepthwisePixels = 4;

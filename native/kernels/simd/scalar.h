// The baseline of the architecture: SSE2 on x86-64, NEON on AArch64, 16-byte vectors through the compiler everywhere.
inline constexpr int kVectorBytes = 16;
// Without a fused multiply-add the product takes a register too.
inline constexpr int kTilePixels[kMaxPanelVectors + 1] = {0, 8, 5, 3};
// Depthwise 3×3 blocks.
inline constexpr int kDepthwiseRows = 2, kDepthwisePixels = 4;

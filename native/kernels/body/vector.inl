// The words the kernels are written in: the compiler's vectors, of the width that simd/<isa>.h states.

typedef float vf __attribute__((vector_size(kVectorBytes)));
typedef float vfUnaligned __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
inline constexpr int VL = kVectorBytes / sizeof(float);

// Long sums are formed by halves, down to stretches of at most so many terms, which one accumulator takes one after the
// other: off by (kStretch + log2 n)·2^-24 at most, where a single accumulator would be off by n·2^-24. The order
// follows from the number of terms alone.
inline constexpr int kStretch = 16;

#define REPCONV_INLINE static inline __attribute__((always_inline))

REPCONV_INLINE vf load(const float* from) { return *reinterpret_cast<const vfUnaligned*>(from); }
REPCONV_INLINE void store(float* to, vf value) { *reinterpret_cast<vfUnaligned*>(to) = value; }
// Subtracting zero keeps −0, where adding it would not.
REPCONV_INLINE vf broadcast(float value) { return value - vf{}; }
// Keeps NaN, and −0 at low = 0, as PyTorch's relu does.
REPCONV_INLINE vf clamp(vf value, vf low, vf high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}
REPCONV_INLINE vf loadLanes(const float* from, int lanes) {
  vf value{};
  for (int i = 0; i < lanes; i++) value[i] = from[i];
  return value;
}
REPCONV_INLINE void storeLanes(float* to, vf value, int lanes) {
  for (int i = 0; i < lanes; i++) to[i] = value[i];
}
// at + step, as an addition where it stands: an unrolled loop's addresses, worked out ahead, would not fit into the
// registers (depthwise 3×3: 169 → 215 GFLOP/s).
template <typename Pointer>
REPCONV_INLINE Pointer stepped(Pointer at, ptrdiff_t step) {
  at += step;
  __asm__("" : "+r"(at));
  return at;
}

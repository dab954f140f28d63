// Every kernel for AVX2. Standard headers come before the target region: what they define must stay at the baseline.
#include "kernels/table.h"

#if defined(__x86_64__) && defined(__GNUC__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

namespace repconv::avx2 {
#include "kernels/simd/avx2.h"
#include "kernels/body/all.inl"
}  // namespace repconv::avx2

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace repconv {
void fillAvx2(KernelTable& table) { avx2::fill(table, "avx2", Isa::avx2); }
}  // namespace repconv

#endif

// Every kernel for AVX-512. Standard headers come before the target region: what they define must stay at the baseline.
#include "kernels/table.h"

#if defined(__x86_64__) && defined(__GNUC__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")
#endif

namespace repconv::avx512 {
#include "kernels/simd/avx512.h"
#include "kernels/body/all.inl"
}  // namespace repconv::avx512

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace repconv {
void fillAvx512(KernelTable& table) { avx512::fill(table, "avx512", Isa::avx512); }
}  // namespace repconv

#endif

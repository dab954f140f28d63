// Every kernel for the baseline of the architecture: the table the others start from.
#include "kernels/table.h"

namespace repconv::scalar {
#include "kernels/simd/scalar.h"
#include "kernels/body/all.inl"
}  // namespace repconv::scalar

namespace repconv {
void fillScalar(KernelTable& table) { scalar::fill(table, "scalar", Isa::scalar); }
}  // namespace repconv

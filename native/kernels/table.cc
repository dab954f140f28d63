#include "kernels/table.h"

#include <iterator>

namespace repconv {

void fillScalar(KernelTable& table);
#if defined(__x86_64__) && defined(__GNUC__)
void fillAvx2(KernelTable& table);
void fillAvx512(KernelTable& table);
#endif

namespace {

struct Tables {
  KernelTable byIsa[std::size(kIsas)];

  Tables() {
    for (KernelTable& table : byIsa) fillScalar(table);
#if defined(__x86_64__) && defined(__GNUC__)
    fillAvx2(byIsa[static_cast<int>(Isa::avx2)]);
    fillAvx512(byIsa[static_cast<int>(Isa::avx512)]);
#endif
  }
};

}  // namespace

const KernelTable& kernelTable(Isa isa) {
  static const Tables tables;
  return tables.byIsa[static_cast<int>(isa)];
}

}  // namespace repconv

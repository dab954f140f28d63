// Makes one allocation fail: the test program's operator new, malloc, calloc, realloc and aligned_alloc count, and the
// n-th finds no memory. Nothing of this is in the engine: operators are replaced, and the calls are wrapped, when the
// test program is linked.
#pragma once

#include <cstdint>

namespace repconv::test {

// From now on, on any thread: the n-th allocation (from 1) fails, once.
void failAllocation(int64_t n);
// Back to normal; true if an allocation failed.
bool stopFailing();

}  // namespace repconv::test

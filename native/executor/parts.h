// A batch in parts. The first steps of a network make its largest images, and those of a whole batch leave every cache before they are read again. So
// these steps run for a few images at a time, as many as there are threads, and the rest for the whole batch, where weights are the larger part:
//
//     images 0 1 ── toNhwc ── conv ── conv ──┐
//     images 2 3 ── toNhwc ── conv ── conv ──┤   part after part, in the same memory
//     images 4 5 ── toNhwc ── conv ── conv ──┤
//     images 6 7 ── toNhwc ── conv ── conv ──┴── images 0 … 7 ── conv ── … ── linear
#pragma once

#include <vector>

#include "executor/program.h"

namespace repconv {

// How a value meets the parts: none reads or makes it; each has a stretch of it; each makes it anew, in the memory of the part before.
enum class Share { none, stretch, anew };

struct Parts {
  size_t steps = 0;   // how many, from the first, run part by part
  size_t count = 1;   // how often
  int64_t images = 0;  // of each part
  std::vector<Share> shares;  // per value

  Share share(size_t value) const { return value < shares.size() ? shares[value] : Share::none; }
};

// The cut for these types and sizes of all values: the first steps that each read and write more than `partBytes`, and fewer
// weights than images of a part.
Parts cutIntoParts(const Program& program, const std::vector<ValueType>& types, const std::vector<size_t>& valueBytes, int threads, size_t partBytes);

// Bytes that a step may read and write for a whole batch before parts pay: eight second-level caches. (RepVGG-A0, 8 images, one thread: 1.035 times as
// fast with parts, MobileOne-s0 1.065, and the arena shrinks to 40 %. EPYC, Zen 5, 1 MB.)
size_t mostWholeBytes();

}  // namespace repconv

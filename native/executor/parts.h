// A batch in parts. The first steps of a network make its largest images, and those of a whole batch leave every cache
// before they are read again. So these steps run image by image, each image on one thread and through all of them, and
// the rest for the whole batch, where weights are the larger part:
//
//     image 0 ── toNhwc ── conv ── conv ──┐
//     image 1 ── toNhwc ── conv ── conv ──┤   each thread in memory of its own, the same for all its images
//     image 2 ── toNhwc ── conv ── conv ──┤
//     image 3 ── toNhwc ── conv ── conv ──┴── images 0 … 3 ── conv ── … ── linear
//
// Threads meet at the end of the parts only, and what an image leaves behind is read from the cache of the thread that
// wrote it.
#pragma once

#include <vector>

#include "executor/program.h"

namespace repconv {

// How a value meets the parts: none reads or makes it; each has its image of it; each makes it anew, in the memory of
// its thread.
enum class Share { none, image, anew };

struct Parts {
  size_t steps = 0;  // how many, from the first, run image by image
  size_t count = 0;  // of images
  std::vector<Share> shares;  // per value

  Share share(size_t value) const { return value < shares.size() ? shares[value] : Share::none; }
};

// The cut for these types and sizes of all values: the first steps that each read and write more than `partBytes`, and
// fewer weights than an image.
Parts cutIntoParts(const Program& program, const std::vector<ValueType>& types, const std::vector<size_t>& valueBytes,
                   int threads, size_t partBytes);

// Bytes that a step may read and write for a whole batch before parts pay: two second-level caches. (8 images, one
// thread: RepVGG-A0 47.8 → 44.6 ms, MobileOne-s0 19.8 → 18.0, with eight caches 45.5 and 18.8; arenas shrink to 40 %.
// EPYC, Zen 5, 1 MB.)
size_t mostWholeBytes();

}  // namespace repconv

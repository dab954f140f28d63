// AMX for processors that have none: executes the tile instructions of native/kernels/bfloat16_amx.cc when the
// processor refuses them (SIGILL), so that the kernel as it is compiled runs here. For tests only; hundreds of times
// slower than the hardware.
//
// Done: LDTILECFG, TILERELEASE, TILELOADD, TILELOADDT1, TILESTORED, TILEZERO, TDPBF16PS, in the VEX encoding, as in
// Intel's Software Developer's Manual, volume 2. Anything else, and whatever the hardware would refuse (no
// configuration, tiles that do not go together), ends as before.
#pragma once

#include <signal.h>

namespace repconv::test {

class AmxEmulator {
 public:
  AmxEmulator();
  ~AmxEmulator();
  AmxEmulator(const AmxEmulator&) = delete;
  AmxEmulator& operator=(const AmxEmulator&) = delete;

  // Instructions executed so far, by all threads.
  static long executed();

 private:
  struct sigaction before_;
};

}  // namespace repconv::test

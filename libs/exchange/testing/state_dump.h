#pragma once

#include <string>

#include "libs/exchange/testing/run_dump.h"

namespace gannet::exchange {

// The normalised state of a run as text, one fact a line, made to be compared: equal behaviour
// means equal text, whatever the backend.
//
//   run NAME running reason="" version 3 adam 5feceb66…
//   leader 00…01 term 2 remaining 4s
//   weights 3 ab01… keep
//   unit r4 s0 leased attempt 2 holder 00…0a failures 0 reason="" remaining 59.5s since_progress
//   500ms done 1 unit r3 s1 done attempt 1 holder … consumed gradient attempt 1 worker … 4/2 1 2
//   0.5 0.5 0.25 codec 1 sha … bytes worker 00…0a incarnation 7 name="ada" hardware="cpu" units 3
//   images 12 seen 1s round 3 epoch 0 gradients 3 images 12 …
//
// Left out, because no call can ever depend on it: the holder of a closed or failed unit, and lease
// and progress of a unit that is not leased. Checksums are shortened to 16 digits.
std::string FormatRunDump(const RunDump& dump);

}  // namespace gannet::exchange

#pragma once

#include "absl/strings/string_view.h"

namespace gannet::base {

// Named places at which a test can have this process killed, as by SIGKILL or a power cut. They
// exist only where the build says so (CMake's GANNET_FAILPOINTS: preset dev); elsewhere
// they do nothing.
//
//   Failpoint("publish_round", "before");
//   … send the statement …
//   Failpoint("publish_round", "after");
//
// The environment variable GANNET_FAILPOINTS, "FILE:PLACE.MOMENT:N", arms one of them: at its N-th
// pass the process adds a line with its name to FILE and kills itself.
//
// Thread safety: may be called from any thread.
void Failpoint(absl::string_view place, absl::string_view moment);

}  // namespace gannet::base

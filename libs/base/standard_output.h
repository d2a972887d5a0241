#pragma once

#include "absl/strings/string_view.h"

namespace gannet::base {

// Makes sure that descriptors 0 to 2 are in use, so that no file that is opened later becomes the
// standard output by accident. Writing to one that was closed fails as before. Call it first.
void HoldStandardFiles();

// The last thing a program does that prints results: `exit_code` when all of its standard output
// has arrived. Otherwise says on stderr, after `program`, that it has not, and why, and returns 1
// in place of 0. A reader that has gone (`| head`) has what it wanted: nothing is said then.
int FinishStandardOutput(absl::string_view program, int exit_code);

}  // namespace gannet::base

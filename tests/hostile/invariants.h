#pragma once

#include <functional>
#include <string>
#include <vector>

namespace gannet::hostile {

// Something that is true of the database at any moment, whatever anybody sends.
struct Invariant {
  std::string claim;
  std::string offenders;  // SQL that counts what breaks it, in one statement, hence one snapshot
};

const std::vector<Invariant>& Invariants();

// Those that do not hold, with the number of offenders. `count` runs a statement that selects one
// number.
std::vector<std::string> BrokenInvariants(const std::function<int64_t(const std::string&)>& count);

}  // namespace gannet::hostile

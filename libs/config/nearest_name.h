#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace gannet::config {

// Steps that turn `a` into `b`: insert, delete or replace a character, or swap two neighbours (the
// "optimal string alignment" distance).
int EditDistance(absl::string_view a, absl::string_view b);

// The candidate a person most likely meant by `name`, or empty when none is close. Case and "-" for
// "_" do not count; for dotted names the right last part in another section is close too.
std::string NearestName(absl::string_view name, const std::vector<std::string>& candidates);

}  // namespace gannet::config

#pragma once

#include <string>

#include "absl/time/time.h"
#include "libs/client/admin_client.h"

namespace gannet::cli {

// What remains at the present speed; InfiniteDuration while nothing is known of it.
absl::Duration TimeLeft(const client::RunReport& report);

// Several lines for people.
std::string StatusText(const client::RunReport& report);

// One JSON object with a line end; sizes in bytes, times in seconds. What is not known is null.
std::string StatusJson(const client::RunReport& report);

// Who trains: a class, whose workers are counted, or one process, which makes updates instead of
// rounds.
enum class Trainer { kClass, kOneProcess };

// One line without a line end: bar, round, share, speed, losses, workers, time left. The bar takes
// what is left of `width` characters; where there is no room for one, it is left out and the rest
// is cut.
std::string ProgressLine(const client::RunReport& report, int width,
                         Trainer trainer = Trainer::kClass);

// The same without a bar, for a log.
std::string PlainProgressLine(const client::RunReport& report, Trainer trainer = Trainer::kClass);

}  // namespace gannet::cli

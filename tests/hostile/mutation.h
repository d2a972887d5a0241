#pragma once

#include <random>
#include <string>

#include "google/protobuf/message.h"

namespace gannet::hostile {

using HostileRandom = std::mt19937_64;

// A number below `limit`; whether something of so many percent happens.
uint64_t Below(HostileRandom& random, uint64_t limit);
bool Percent(HostileRandom& random, int percent);

// Text that readers trip over: empty, long, control characters, directions, formulas.
std::string HostileText(HostileRandom& random);

// Puts an extreme value (0, -0, denormal, the largest and smallest, NaN, no or very long text,
// unknown enumerators, many repetitions) into some fields of the message, or of those in it, or
// clears them. The message stays one that can be encoded.
void Mutate(google::protobuf::Message& message, HostileRandom& random);

}  // namespace gannet::hostile
